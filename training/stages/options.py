"""Options of the command line from the fields of settings. Must not know what commands do.

A field's default, help and choices are its option's; a field of type bool gives ``--name`` and
``--no-name``.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from training.stages.settings import Settings
from training.typed import refuse_typed

if TYPE_CHECKING:
    from models.spec import NetworkSpec

Kind = TypeVar("Kind", bound=Settings)
Decorator = Callable[[Any], Any]

PLACE = click.Path(path_type=Path)

TYPES = {int: int, float: float, str: str, str | None: str}
"""Annotations of fields, and the types that click reads."""


def settings_options(kind: type[Settings]) -> Decorator:
    """Return a decorator that gives a command an option for each field of the settings."""

    def decorate(command: Any) -> Any:
        for known in reversed(dataclasses.fields(kind)):
            command = _option(known)(command)
        return command

    return decorate


def network_options(command: Any) -> Any:
    """Give a command the options of its network; ``network_spec`` reads them."""
    options = (
        click.option(
            "--backbone",
            help="torchvision's name of a network, or timm/<name>; default: that of the run that "
            "--init names, else vgg16.",
        ),
        click.option(
            "--pooling",
            type=click.Choice(["mac", "spoc", "gem"]),
            help="How the feature map becomes a vector; default: the run's, else mac.",
        ),
        click.option("--gem-power", type=float, help="GeM's exponent; default: the run's, else 3."),
        click.option(
            "--dimension",
            type=int,
            help="Of a linear head; default: the run's, else none: the backbone's channels.",
        ),
        click.option(
            "--size",
            type=int,
            help="Longest side in pixels of the images that validation and serving use; "
            "default: --largest.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def run_options(command: Any) -> Any:
    """Give a command the options of a run's directory."""
    options = (
        click.option("--out", type=PLACE, required=True, help="Directory of the run."),
        click.option("--resume", is_flag=True, help="Go on with the run at --out."),
        click.option(
            "--dry-run",
            is_flag=True,
            help="Read everything, run a step of each kind, print the plan, and stop.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def settings_from(kind: type[Kind], options: dict[str, Any]) -> Kind:
    """Take the settings' options out of a command's, and return the settings.

    Raises:
        BadInput: A figure is out of its range.
        click.UsageError: A figure of an objective is not NAME=VALUE, or an option that was typed
            changes nothing.
    """
    given = {known.name: options.pop(known.name) for known in dataclasses.fields(kind)}
    if "figures" in given:
        given["figures"] = tuple(map(_figure, given["figures"]))
    settings = kind(**given)
    refuse_typed(settings.idle())
    return settings


def network_spec(options: dict[str, Any], settings: Settings) -> "NetworkSpec":
    """Take the network's options out of a command's, and return what the network is made of.

    Args:
        options: What is None is the network's that ``init`` names, else the paper's.
        settings: Of the run.

    Raises:
        BadNetwork: A figure is out of its range.
        click.UsageError: ``--gem-power`` was typed for a pooling without one.
    """
    from models.spec import NetworkSpec
    from training.stages.buckets import shapes
    from training.stages.trained import read_spec

    init = Path(settings.init)
    before = read_spec(init) if init.is_dir() else None
    names = ("backbone", "pooling", "gem_power", "dimension")
    usual: dict[str, Any] = {"backbone": "vgg16", "pooling": "mac", "gem_power": 3.0,
                             "dimension": None}  # fmt: skip
    if before is not None:
        usual = {name: getattr(before, name) for name in names}
    given = {name: options.pop(name) for name in names}
    size = options.pop("size") or settings.largest
    taken = {name: usual[name] if given[name] is None else given[name] for name in names}
    if taken["pooling"] != "gem":
        refuse_typed({"gem_power": f"with --pooling {taken['pooling']}"})
    step, keep_aspect = settings.bucket_step, settings.keep_aspect
    return NetworkSpec(**taken, input=shapes(size, step=step, keep_aspect=keep_aspect))


def _option(known: "dataclasses.Field[Any]") -> Decorator:
    text, choices = known.metadata["help"], known.metadata["choices"]
    name = known.name.replace("_", "-")
    if known.type is bool:
        return click.option(
            f"--{name}/--no-{name}", default=known.default, show_default=True, help=text
        )
    if known.name == "figures":
        return click.option("--figure", "figures", multiple=True, metavar="NAME=VALUE", help=text)
    kind = click.Choice(list(choices)) if choices else TYPES[known.type]  # type: ignore[index]
    return click.option(f"--{name}", type=kind, default=known.default, show_default=True, help=text)


def _figure(text: str) -> tuple[str, float | str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise click.UsageError(f"--figure {text} is not NAME=VALUE, such as margin=0.3")
    try:
        return name, float(value)
    except ValueError:
        return name, value
