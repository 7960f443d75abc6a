"""The command that distils a larger network into a smaller one. Knows nothing of how."""
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
from training.stages.settings import DistilSettings


@click.command("distil")
@data_options
@run_options
@network_options
@settings_options(DistilSettings)
def command(out: Path, *, resume: bool, dry_run: bool, **options: Any) -> None:
    """Train a small network on what a larger one says of photographs, and on their types.

    All photographs teach: those of training's types, with --untyped those of no known type, and
    those of --harmless. Beyond the paper.

    \b
    Example:
      python -m training distil --data firearms --untyped --harmless harmless \\
          --backbone squeezenet1_1 --init squeezenet1_1.pth --pooling gem --dimension 512 \\
          --smallest 160 --largest 160 --out runs/distil
    """
    settings = settings_from(DistilSettings, options)
    spec = network_spec(options, settings)
    data = read_data(**options)

    from rich.console import Console

    from training.stages.distil import fit_distil

    console = Console(stderr=True, soft_wrap=True)
    result = fit_distil(data, spec, settings, out, console, resume=resume, dry_run=dry_run)
    if not dry_run:
        click.echo(f"best agreement with the teacher {result['best_agreement']:.4f} in {out}")
