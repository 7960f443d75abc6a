"""Where a release goes, and making one there: what the commands that write releases share."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from training.recipe import Recipe

PLACE = click.Path(path_type=Path)


def release_options(command: Any) -> Any:
    """Give a command the options ``--out``, ``--replace`` and ``--flags-all``."""
    for option in (
        click.option(
            "--flags-all", is_flag=True, help="Write it although it flags nearly everything."
        ),
        click.option("--replace", is_flag=True, help="Let a release at --out give way."),
        click.option("--out", type=PLACE, required=True, help="Directory of the release."),
    ):
        command = option(command)
    return command


def build_release(recipe: "Recipe", out: Path, *, replace: bool, flags_all: bool) -> None:
    """Make a release and print what it is."""
    from rich.console import Console

    from training.release import build
    from training.summary import summary

    console = Console(stderr=True)
    for line in summary(build(recipe, out, console, replace=replace, flags_all=flags_all)):
        click.echo(line)
