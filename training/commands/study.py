"""The command that compares methods on splits of types. Knows nothing of how they train."""
# ruff: noqa: D301 - click takes a backspace character for "leave this paragraph as it is"

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from training.data.options import data_options, read_data

if TYPE_CHECKING:
    from training.data.sets import RetrievalData

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
@click.option(
    "--schedule",
    type=click.Choice(["scaled", "paper"]),
    default="scaled",
    show_default=True,
    help="How long is trained, on how large pictures: the paper's figures want a GPU.",
)
@click.option("--method", "labels", multiple=True,
              help="Method to run, with those it begins with; repeatable; none: all.")  # fmt: skip
@click.option("--threads", type=click.IntRange(0), default=0, show_default=True,
              help="Threads of each operation on the CPU; 0: as torch chooses.")  # fmt: skip
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:<n>.")
@click.option("--dry-run", is_flag=True,
              help="Read everything, make the network, print the plan, and stop.")  # fmt: skip
@click.option("--runs", type=PLACE, required=True, help="Folder of the runs.")
@click.option("--cache", type=PLACE, help="Folder of decoded photographs, shared by runs.")
@click.option("--out", type=PLACE, required=True, help="Folder of the results.")
def command(
    labels: tuple[str, ...], splits: str, runs: Path, out: Path, *, dry_run: bool, **options: Any
) -> None:
    """Train the paper's methods, and one that it lacks, on several splits of types; measure each.

    The schedule is the paper's, scaled for two processor cores (training/study/methods.py says by
    how much), or with --schedule paper the paper's own. Firearm 14k has one split: there --splits
    are seeds of chance. Runs that have their results are not repeated, and one that was cut short
    goes on. `evaluate --join` makes the tables of the results.

    \b
    Example:
      python -m training study --data firearms --groups sources.csv \\
          --weights squeezenet1_1.pth --runs runs --out results
      python -m training evaluate --join results/* --against cls+double --out tables
      python -m training study --data firearm-dataset --schedule paper --backbone vgg16 \\
          --device cuda --runs runs --out results --dry-run
    """
    from rich.console import Console

    from training.study.methods import SCHEDULES
    from training.study.protocol import Study, plan, run_study

    del options["split_seed"]
    study = Study(
        backbone=options.pop("backbone"),
        weights=options.pop("weights"),
        schedule=SCHEDULES[options.pop("schedule")],
        runs=runs,
        results=out,
        cache=options.pop("cache"),
        threads=options.pop("threads"),
        device=options.pop("device"),
    )
    seeds = _seeds(splits)

    def read(seed: int) -> "RetrievalData":
        return read_data(split_seed=seed, **options)

    if dry_run:
        for line in plan(study, read, seeds, labels):
            click.echo(line)
    else:
        run_study(study, read, seeds, labels, Console(stderr=True))


def _seeds(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise click.UsageError(f"--splits {text} is not a list of numbers such as 0,1,2") from None
