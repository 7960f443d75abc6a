"""The command of tuning. Knows nothing of how it trains."""
# ruff: noqa: D301 - click takes a backspace character for "leave this paragraph as it is"

from pathlib import Path
from typing import Any

import click

from training.errors import BadInput
from training.stages.options import PLACE, run_options
from training.tuning.options import settings_from, tune_options


@click.command("tune")
@click.option("--images", type=PLACE, required=True, help="Folder of <type>/<photographs>.")
@click.option(
    "--harmless",
    type=PLACE,
    required=True,
    help="Folder of <kind>/<photographs> without firearms.",
)
@click.option(
    "--groups",
    type=PLACE,
    help="CSV file with the columns file (relative to the CSV), dup_group, source_repo and, if "
    "you like, role and boxes: sources can then be balanced and held out, and firearms found.",
)
@click.option(
    "--types",
    type=PLACE,
    help="JSON table of families of types; needed where there are types named coarse_...",
)
@run_options
@tune_options
def command(
    images: Path,
    harmless: Path,
    groups: Path | None,
    types: Path | None,
    out: Path,
    *,
    resume: bool,
    dry_run: bool,
    **options: Any,
) -> None:
    """Tune the top of a network on maps of many views of each photograph.

    The maps of the lower part, which stays as it is, are made once and kept in --cache; runs
    that hold out other sources share them.

    \b
    Example:
      python -m training tune --images photographs --harmless harmless --groups groups.csv \\
          --types types.json --backbone timm/tf_efficientnet_lite2 --weights efficientnet-lite \\
          --size 320 --hold-out one-camera --out runs/tuned
    """
    settings = settings_from(options)
    if groups is None and (settings.hold_out or settings.hold_out_harmless):
        raise BadInput("sources can only be held out with --groups, the table that names them")

    from training.folder import read_photos, with_groups
    from training.naming import read_types

    photos = [*read_photos(images, firearm=True), *read_photos(harmless, firearm=False)]
    if groups is not None:
        photos = with_groups(photos, groups)
    table = read_types(types)

    from rich.console import Console

    from training.tuning.fit import fit_tune

    console = Console(stderr=True, soft_wrap=True)
    result = fit_tune(photos, table, settings, out, console, resume=resume, dry_run=dry_run)
    if not dry_run:
        click.echo(f"loss {result['loss']:.4f} over {result['photographs']} photographs in {out}")
