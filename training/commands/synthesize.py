"""The command that draws a data set: options and what is printed. Knows nothing of drawing."""
# ruff: noqa: D301 - click takes a backspace character for "leave this paragraph as it is"

from pathlib import Path
from typing import Any

import click

from models.cpus import available_cpus


@click.command(name="synthesize")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the set.")
@click.option("--types", default=24, show_default=True, help="Types of firearms, from 6.")
@click.option(
    "--images-per-type", default=24, show_default=True, help="Pictures of each type, from 4."
)
@click.option("--lookalikes", default=80, show_default=True, help="Pictures of look-alikes.")
@click.option("--harmless", default=80, show_default=True, help="Pictures of everyday things.")
@click.option("--seed", default=0, show_default=True, help="Of all chance.")
@click.option("--side", default=224, show_default=True, help="Longest side in pixels.")
@click.option(
    "--layout",
    type=click.Choice(["firearm14k", "folders"]),
    default="firearm14k",
    show_default=True,
    help="Firearm 14k's published one, or <type>/<pictures> with a table of groups and boxes.",
)
@click.option(
    "--processes",
    type=int,
    default=available_cpus,
    show_default="all cores",
    help="That draw at the same time; the files do not depend on it.",
)
def command(out: Path, processes: int, **options: Any) -> None:
    """Draw a data set of firearm silhouettes: types that do not exist, in scenes.

    Look-alikes and everyday things are in its folder harmless/. The same seed gives the same
    files.

    \b
    Example:
      python -m training synthesize --out drawn --types 40 --images-per-type 30
    """
    from rich.console import Console

    from training.synthesis.order import Order
    from training.synthesis.synthesize import synthesize

    order = Order(**options)
    synthesize(order, out, Console(stderr=True), processes=processes)
    click.echo(
        f"{out}: {order.types} types with {order.images_per_type} pictures each, "
        f"{order.lookalikes} pictures of look-alikes and {order.harmless} of everyday things"
    )
