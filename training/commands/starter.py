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
    help="Folder with firearms/, negatives/ and sources.csv.",
)
@click.option(
    "--work",
    type=PLACE,
    required=True,
    help="Folder of the network's run and its maps (1.5 GB): what is there is not made again.",
)
@release_options
def command(data: Path, work: Path, out: Path, *, replace: bool, flags_all: bool) -> None:
    """Tune the starter's network and make its release, with the recipe of training/starter.py.

    It takes some half an hour on two processor cores, and goes on where it was stopped.

    \b
    Example:
      python -m training starter --data photographs --work work \\
          --out models/starter --replace
    """
    from rich.console import Console

    from training.naming import STARTER, read_types
    from training.release import check_out
    from training.starter import photographs, tuning
    from training.starter import starter as recipe
    from training.tuning.fit import fit_tune

    check_out(out, replace=replace)
    run = work / "run"
    fit_tune(
        photographs(data), read_types(STARTER), tuning(work), run, Console(stderr=True), resume=True
    )
    build_release(recipe(data, run), out, replace=replace, flags_all=flags_all)
