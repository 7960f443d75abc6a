"""The options by which commands say what a policy is to be like. Knows not how it is chosen."""

from dataclasses import fields, replace
from typing import Any, TypeVar

import click

from training.calibration.settings import PolicySettings

Command = TypeVar("Command", bound=Any)

USUAL = PolicySettings()
"""What holds where an option is not given."""

OPTIONS = (
    click.option(
        "--false-flag-rate",
        type=float,
        default=USUAL.false_flag_rate,
        show_default=True,
        help="Share of harmless photographs that may be flagged, counted with regions.",
    ),
    click.option(
        "--near-miss-rate",
        type=float,
        default=USUAL.near_miss_rate,
        show_default=True,
        help="Share of harmless photographs that may be flagged or near misses.",
    ),
    click.option(
        "--fallback-recall",
        type=float,
        default=USUAL.fallback_recall,
        show_default=True,
        help="Share of firearms to flag where there are no look-alikes.",
    ),
    click.option(
        "--least-quantile",
        type=float,
        default=USUAL.least_quantile,
        show_default=True,
        help="Share of firearms that may be too unlike any prototype to be flagged, whatever "
        "their support; 0: no such limit. Of --temperature only.",
    ),
    click.option("--type-thresholds", is_flag=True, help="Give types thresholds of their own."),
    click.option(
        "--type-shrinkage",
        "shrinkage",
        type=float,
        default=USUAL.shrinkage,
        show_default=True,
        help="False flags allowed to a type at which its threshold is half its own, half that of "
        "all.",
    ),
    click.option(
        "--region-share",
        type=float,
        default=USUAL.region_share,
        show_default=True,
        help="Most of the allowed false flags that regions may add; 0: regions are not judged.",
    ),
    click.option(
        "--part-margin",
        type=float,
        show_default=f"the release's, else {USUAL.part_margin}",
        help="How much more the content of margins, a window along a long picture or a cell of a "
        "collage needs than a whole picture; `make transformations` shows what it does.",
    ),
    click.option(
        "--prior",
        type=float,
        default=USUAL.prior,
        show_default=True,
        help="Share of firearms among what is judged: the score is the probability then.",
    ),
)


def policy_options(command: Command) -> Command:
    """Give a command the options that are fields of a policy's settings."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def policy_settings(options: dict[str, Any], usual: PolicySettings) -> PolicySettings:
    """Take the fields of a policy's settings out of a command's options, and return the settings.

    Args:
        options: By name; ``temperature`` as it was typed.
        usual: What holds where an option was not given.

    Raises:
        BadInput: A figure is out of its range.
        click.UsageError: ``temperature`` is neither none nor a number.
    """
    given = {field.name: options.pop(field.name, None) for field in fields(PolicySettings)}
    changes = {name: value for name, value in given.items() if value is not None}
    if "temperature" in changes:
        changes["temperature"] = _temperature(changes["temperature"])
    return replace(usual, **changes)


def idle_options(settings: PolicySettings, *, lookalikes: bool) -> dict[str, str]:
    """Return options that change nothing in such a policy, each with what makes it so.

    Args:
        settings: What the policy is to be like.
        lookalikes: Whether there are photographs without firearms.
    """
    idle = {}
    if lookalikes:
        idle["fallback_recall"] = "with --lookalikes: --false-flag-rate sets the threshold"
    else:
        names = ("false_flag_rate", "near_miss_rate", "region_share", "type_thresholds")
        idle |= dict.fromkeys(names, "without --lookalikes")
    if settings.temperature is None:
        idle["least_quantile"] = "without --temperature"
    if not settings.type_thresholds:
        idle["shrinkage"] = "without --type-thresholds"
    return idle


def _temperature(text: str) -> float | None:
    """Return what ``--temperature`` says; None for the rule of the nearest prototype."""
    if text == "none":
        return None
    try:
        return float(text)
    except ValueError:
        raise click.UsageError(
            f"--temperature {text} is neither none nor a number such as 0.05"
        ) from None
