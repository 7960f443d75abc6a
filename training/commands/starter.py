"""The command that makes the starter release. Knows nothing of how releases are made."""
# ruff: noqa: D301 - click takes a backspace character for "leave this paragraph as it is"

from pathlib import Path

import click

from training.commands.output import PLACE, build_release, release_options


@click.command("starter")
@click.option(
    "--data",
    type=PLACE,
    required=True,
    help="Folder with firearms/, negatives/, sources.csv and weights/.",
)
@release_options
def command(data: Path, out: Path, *, replace: bool) -> None:
    """Make the starter release, with the recipe of training/starter.py.

    \b
    Example:
      python -m training starter --data photographs --out models/starter --replace
    """
    from training.starter import starter as recipe

    build_release(recipe(data), out, replace=replace)
