"""The command of stage 2. Knows nothing of how it trains."""
# ruff: noqa: D301 - click takes a backspace character for "leave this paragraph as it is"

from pathlib import Path
from typing import Any

import click

from training.data.options import data_options, read_data
from training.stages.options import (
    network_options,
    network_spec,
    run_options,
    settings_from,
    settings_options,
)
from training.stages.settings import RetrieveSettings


@click.command("retrieve")
@data_options
@run_options
@network_options
@settings_options(RetrieveSettings)
def command(out: Path, *, resume: bool, dry_run: bool, **options: Any) -> None:
    """Train stage 2: a network whose embeddings of one type are near each other.

    The defaults are the paper's, but that the images of a batch have one size and few shapes, so
    that they go through the network together; --faithful varies them as the authors' released
    code does. Several processes train together under torchrun.

    \b
    Example:
      python -m training retrieve --data firearm-dataset --init runs/classify \\
          --out runs/retrieve
      python -m training retrieve --data photographs --backbone mobilenet_v2 \\
          --sampling balanced --objective multi-similarity --smallest 160 --largest 160 \\
          --out runs/retrieve
    """
    settings = settings_from(RetrieveSettings, options)
    spec = network_spec(options, settings)
    data = read_data(**options)

    from rich.console import Console

    from training.stages.retrieve import fit_retrieve

    console = Console(stderr=True, soft_wrap=True)
    result = fit_retrieve(data, spec, settings, out, console, resume=resume, dry_run=dry_run)
    if not dry_run:
        click.echo(f"best validation mAP {result['best_map']:.4f} in {out}")
