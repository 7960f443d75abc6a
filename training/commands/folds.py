"""The command that holds sources out in turn. Knows nothing of how networks are tuned."""
# ruff: noqa: D301 - click takes a backspace character for "leave this paragraph as it is"

from pathlib import Path
from typing import Any

import click

from training.tuning.options import settings_from, tune_options

PLACE = click.Path(path_type=Path)


@click.command("folds")
@click.option("--images", type=PLACE, required=True, help="Folder of <type>/<photographs>.")
@click.option("--harmless", type=PLACE, required=True, help="Folder of <kind>/<photographs>.")
@click.option("--groups", type=PLACE, required=True,
              help="CSV file of sources and near copies.")  # fmt: skip
@click.option("--types", type=PLACE, help="JSON table of families and display names of types.")
@click.option("--least", type=click.IntRange(1), default=150, show_default=True,
              help="Firearms that a source needs to be held out.")  # fmt: skip
@click.option("--only", multiple=True, help="Source to hold out; repeatable; none: all large ones.")
@click.option("--related", multiple=True, metavar="SOURCE,SOURCE,...",
              help="Sources that are held out together; repeatable.")  # fmt: skip
@tune_options
@click.option("--runs", type=PLACE, required=True, help="Folder of the runs.")
@click.option("--out", type=PLACE, required=True, help="Folder of the results.")
def command(
    images: Path,
    harmless: Path,
    groups: Path,
    types: Path | None,
    *,
    least: int,
    only: tuple[str, ...],
    related: tuple[str, ...],
    runs: Path,
    out: Path,
    **options: Any,
) -> None:
    """Tune a network for each large source, without it, and test it there.

    Writes a file of results for each source and, of all there are, table.md. What is there already
    is not run again.

    \b
    Example:
      python -m training folds --images firearms --harmless harmless --groups sources.csv \\
          --types types.json --runs runs --out results
    """
    from rich.console import Console

    from training.folder import read_photos, with_groups
    from training.naming import read_types
    from training.study.crossing import Crossing, run_folds
    from training.study.foldtable import write_table
    from training.study.sources import folds

    settings = settings_from(options)
    photos = read_photos(images, firearm=True) + read_photos(harmless, firearm=False)
    photos = with_groups(photos, groups)
    planned = folds(photos, least=least, related=[text.split(",") for text in related])
    unknown = sorted(set(only) - {fold.source for fold in planned})
    if unknown:
        raise click.UsageError(f"--only {unknown[0]} is no source of {least} firearms or more")
    crossing = Crossing(tuple(photos), read_types(types), settings, runs, out)
    console = Console(stderr=True)
    run_folds(crossing, [f for f in planned if not only or f.source in only], console)
    for line in write_table(out):
        click.echo(line)
