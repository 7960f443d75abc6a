"""What of the photographs is left out, said in one line with counts: the same words everywhere."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from training.errors import BadInput

if TYPE_CHECKING:
    from rich.console import Console

NAMED = 5
"""Photographs or folders that a line names; others are counted."""


def some(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return "; ".join(names[:NAMED]) + more


def reason(error: Exception, path: Path) -> str:
    """Return why a photograph cannot be read, in one line without its path."""
    text = str(getattr(error, "strerror", None) or error)
    # Pillow names the file, which is named beside the reason already.
    for name in (repr(str(path)), str(path)):
        text = text.replace(name, "")
    return " ".join(text.split()) or type(error).__name__


def unreadable(
    named: Sequence[str], total: int, console: "Console | None" = None, *, skip: bool = True
) -> None:
    """Say which photographs are left out as they cannot be read.

    Args:
        named: Each as ``<type>/<file>: <why>``.
        total: Photographs that were to be read.
        console: Where it is said; None: standard error.
        skip: Whether they may be left out.

    Raises:
        BadInput: There are such, and they may not.
    """
    if not named:
        return
    line = f"{len(named)} of {total} photographs cannot be read: {some(sorted(named))}"
    if not skip:
        raise BadInput(f"{line}; mend or remove them, or leave out --no-skip-unreadable")
    _say(line, console)


def empty_folders(folder: Path, names: Sequence[str], total: int) -> None:
    """Say which of a folder's types or kinds are left out as they hold no photographs."""
    if names:
        _say(f"{len(names)} of {total} folders in {folder} hold no photographs: {some(names)}")


def _say(line: str, console: "Console | None" = None) -> None:
    if console is None:
        click.echo(f"left out: {line}", err=True)
    else:
        console.print(f"left out: {line}", style="yellow", highlight=False, soft_wrap=True)
