"""The command that compares methods on splits of types. Knows nothing of how they train."""
# ruff: noqa: D301 - click takes a backspace character for "leave this paragraph as it is"

from pathlib import Path
from typing import Any

import click

from training.data.options import data_options, read_data
from training.typed import refuse_typed

PLACE = click.Path(path_type=Path)


@click.command("study")
@data_options
@click.option("--backbone", default="squeezenet1_1", show_default=True,
              help="torchvision's name of a network, or timm/<name>.")  # fmt: skip
@click.option(
    "--weights",
    default="imagenet",
    show_default=True,
    help="ImageNet's: a file, a name of torchvision's, or efficientnet-lite.",
)
@click.option("--splits", default="0,1,2,3,4", show_default=True, metavar="N,N,...",
              help="Seeds of the splits; each is that of its runs, too.")  # fmt: skip
@click.option("--method", "labels", multiple=True,
              help="Method to run, with those it begins with; repeatable; none: all.")  # fmt: skip
@click.option("--threads", type=click.IntRange(0), default=0, show_default=True,
              help="Threads of each operation on the CPU; 0: as torch chooses.")  # fmt: skip
@click.option("--runs", type=PLACE, required=True, help="Folder of the runs.")
@click.option("--cache", type=PLACE, help="Folder of decoded photographs, shared by runs.")
@click.option("--out", type=PLACE, required=True, help="Folder of the results.")
def command(labels: tuple[str, ...], splits: str, runs: Path, out: Path, **options: Any) -> None:
    """Train the paper's methods, and one that it lacks, on several splits of types; measure each.

    The schedule is the paper's, scaled for two processor cores (training/study/methods.py says by
    how much). Runs that have their results are not repeated, and one that was cut short goes on.
    `evaluate --join` makes the tables of the results.

    \b
    Example:
      python -m training study --data firearms --groups sources.csv \\
          --weights squeezenet1_1.pth --runs runs --out results
      python -m training evaluate --join results/* --out tables
    """
    from rich.console import Console

    from training.study.methods import SCALED
    from training.study.protocol import Study, run_study

    refuse_typed({"split_seed": "here: --splits names the seeds"})
    del options["split_seed"]
    study = Study(
        backbone=options.pop("backbone"),
        weights=options.pop("weights"),
        schedule=SCALED,
        runs=runs,
        results=out,
        cache=options.pop("cache"),
        threads=options.pop("threads"),
    )
    run_study(
        study,
        lambda seed: read_data(split_seed=seed, **options),
        _seeds(splits),
        labels,
        Console(stderr=True),
    )


def _seeds(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise click.UsageError(f"--splits {text} is not a list of numbers such as 0,1,2") from None
