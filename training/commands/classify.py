"""The command of stage 1. Knows nothing of how it trains."""
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
from training.stages.settings import ClassifySettings


@click.command("classify")
@data_options
@run_options
@network_options
@settings_options(ClassifySettings)
def command(out: Path, *, resume: bool, dry_run: bool, **options: Any) -> None:
    """Train stage 1: a network that tells types as classes.

    The defaults are the paper's, but that the images of a batch have one size and few shapes, so
    that they go through the network together; --faithful varies them as the authors' released
    code does, which also has --batch 64 and --cancel-class-weights.
    Several processes train together under torchrun.

    \b
    Example:
      python -m training classify --data firearm-dataset --out runs/classify
      torchrun --nproc-per-node 2 -m training classify --data firearm-dataset \\
          --out runs/classify --precision bfloat16
    """
    settings = settings_from(ClassifySettings, options)
    spec = network_spec(options, settings)
    data = read_data(**options)

    from rich.console import Console

    from training.stages.classify import fit_classify

    console = Console(stderr=True, soft_wrap=True)
    result = fit_classify(data, spec, settings, out, console, resume=resume, dry_run=dry_run)
    if not dry_run:
        click.echo(f"best validation accuracy {result['best_accuracy']:.4f} in {out}")
