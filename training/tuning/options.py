"""Options of the command line from the fields of the settings of tuning. Knows no command."""

import dataclasses
from typing import Any

import click

from training.tuning.settings import TuneSettings, option

TYPES = {int: int, float: float, str: str, str | None: str}
"""Annotations of fields, and the types that click reads."""


def tune_options(command: Any) -> Any:
    """Give a command an option for each field of ``TuneSettings``."""
    for known in reversed(dataclasses.fields(TuneSettings)):
        command = _decorator(known)(command)
    return command


def settings_from(options: dict[str, Any]) -> TuneSettings:
    """Take the settings' options out of a command's, and return the settings.

    Raises:
        BadInput: A figure is out of its range.
    """
    names = [known.name for known in dataclasses.fields(TuneSettings)]
    return TuneSettings(**{name: options.pop(name) for name in names})


def _decorator(known: "dataclasses.Field[Any]") -> Any:
    text, choices = known.metadata["help"], known.metadata["choices"]
    name = option(known.name)
    usual: dict[str, Any] = {"default": known.default, "show_default": True}
    if known.type is bool:
        return click.option(f"{name}/--no-{name.removeprefix('--')}", help=text, **usual)
    if isinstance(known.default, tuple):
        return click.option(name, multiple=True, help=text, **usual)
    kind = click.Choice(list(choices)) if choices else TYPES[known.type]  # type: ignore[index]
    return click.option(name, type=kind, help=text, **usual)
