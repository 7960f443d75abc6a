"""The command that compares choices of prototypes. Knows nothing of how they are measured."""
# ruff: noqa: D301 - click takes a backspace character for "leave this paragraph as it is"

import json
from pathlib import Path
from typing import Any

import click

from training.commands.output import PLACE
from training.commands.release import command as release
from training.commands.release import recipe_options

JSON = "prototypes.json"
TABLE = "prototypes.md"

VARIED = ("per_type", "selection", "out", "replace", "flags_all")
"""Options of ``release`` that are what is compared here, or about a release's place."""


@click.command("prototypes")
@click.option(
    "--method",
    "methods",
    type=click.Choice(["medoids", "facility", "k-centre"]),
    multiple=True,
    default=("medoids", "facility", "k-centre"),
    show_default=True,
    help="How they are chosen; repeatable.",
)
@click.option(
    "--counts",
    default="1,2,5,10,20,50,all",
    show_default=True,
    metavar="N,N,...|all",
    help="How many of each type.",
)
@click.option("--out", type=PLACE, required=True, help="Folder of the results.")
@click.option("--replace", is_flag=True, help="Let results at --out give way.")
def command(
    methods: tuple[str, ...], counts: str, out: Path, *, replace: bool, **options: Any
) -> None:
    """Compare how many prototypes a type has, and how they are chosen.

    Each choice is measured by mAP and types right, recall at fixed false flags, and bytes of the
    index; the other options are those of `release`. Writes prototypes.json and prototypes.md.

    \b
    Example:
      python -m training prototypes --images firearms --lookalikes harmless \\
          --groups sources.csv --run runs/tuned --counts 5,20,50,all --out results
    """
    from rich.console import Console

    from training.calibration.study import Plan, study, table
    from training.recipe import Recipe
    from training.stages.checkpoint import write_whole
    from training.stages.space import check_space

    plan = Plan(tuple(dict.fromkeys(methods)), _counts(counts))
    if not replace and (out / JSON).exists():
        raise click.UsageError(f"{out} holds results already; give another --out, or --replace")
    recipe = Recipe(**recipe_options({**options, "per_type": "all"}))
    check_space(out, 0, "--out")
    found = study(recipe, plan, Console(stderr=True))
    write_whole(out / JSON, f"{json.dumps(found, indent=1)}\n".encode())
    write_whole(out / TABLE, table(found).encode())
    click.echo(table(found), nl=False)


def _counts(text: str) -> tuple[int | None, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part == "all" or (part.isdecimal() and int(part) > 0) for part in parts):
        raise click.UsageError(
            f"--counts {text} is not numbers from 1, or all, with commas between"
        )
    return tuple(None if part == "all" else int(part) for part in parts)


command.params[:0] = [param for param in release.params if param.name not in VARIED]
