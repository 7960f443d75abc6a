"""The command that chooses a release's policy anew. Knows nothing of how policies are chosen."""
# ruff: noqa: D301 - click takes a backspace character for "leave this paragraph as it is"

from pathlib import Path
from typing import Any

import click

from training.calibration.options import idle_options, policy_options, policy_settings
from training.commands.output import PLACE, release_options
from training.typed import refuse_typed


@click.command("calibrate")
@click.argument("release", type=PLACE)
@click.option("--images", type=PLACE, required=True, help="Folder of <type>/<photographs>.")
@click.option(
    "--lookalikes",
    type=PLACE,
    help="Folder of <kind>/<photographs> without firearms; without it the threshold follows "
    "--fallback-recall.",
)
@click.option(
    "--groups", type=PLACE, help="CSV file of near copies and sources, as `release` takes it."
)
@click.option(
    "--test-source",
    "test_sources",
    multiple=True,
    help="Source that is used for the report only; repeatable.",
)
@click.option(
    "--lookalike-margin",
    type=float,
    show_default="the release's",
    help="A look-alike wins when it is nearer by more than this.",
)
@click.option(
    "--neighbours",
    type=int,
    show_default="the release's",
    help="Neighbours asked of the index.",
)
@click.option(
    "--temperature",
    show_default="the release's",
    metavar="T|none",
    help="Of the soft rule; none: the nearest firearm alone counts.",
)
@policy_options
@release_options
def command(release: Path, out: Path, *, replace: bool, flags_all: bool, **options: Any) -> None:
    """Choose the policy of RELEASE anew on other photographs; writes a new release.

    Network and prototypes stay. Photographs that are prototypes are left out.

    \b
    Example:
      python -m training calibrate my-release --images firearms --lookalikes harmless \\
          --groups sources.csv --false-flag-rate 0.005 --out my-release-strict
    """
    from rich.console import Console

    from models.release import load_release
    from training.calibration.recalibrate import Photographs, recalibrate
    from training.calibration.settings import PolicySettings
    from training.summary import summary

    places = ("images", "lookalikes", "groups", "test_sources")
    given = Photographs(**{name: options.pop(name) for name in places})
    known = load_release(release)
    names = ("lookalike_margin", "neighbours", "temperature", "part_margin")
    of_release = PolicySettings(**{name: getattr(known.policy, name) for name in names})
    settings = policy_settings(options, of_release)
    refuse_typed(idle_options(settings, lookalikes=given.lookalikes is not None))
    console = Console(stderr=True)
    written = recalibrate(
        known, given, settings, out, console, replace=replace, flags_all=flags_all
    )
    for line in summary(written):
        click.echo(line)
