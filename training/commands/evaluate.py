"""The command that measures networks. Knows nothing of how they are measured."""
# ruff: noqa: D301 - click takes a backspace character for "leave this paragraph as it is"

from pathlib import Path
from typing import Any

import click

from models.spec import IMAGENET_MEAN, IMAGENET_STD
from training.data.options import data_options, read_data
from training.typed import refuse_typed

PLACE = click.Path(path_type=Path)


@click.command("evaluate")
@click.option(
    "--run",
    "runs",
    multiple=True,
    metavar="[LABEL=]DIR",
    help="Directory of a run or release; repeatable. Runs of one label are averaged; labels such "
    "as cls+double stand in the paper's rows.",
)
@data_options
@click.option(
    "--splits",
    metavar="N,N,...",
    help="Seeds of several splits instead of --split-seed; each run is tested on the split that "
    "it was trained on.",
)
@click.option("--trust-splits", is_flag=True, help="Test runs on any split, whatever they learnt.")
@click.option("--backbone", help="Also an untrained network: torchvision's name, or timm/<name>.")
@click.option("--weights", help="Its weights: a file, imagenet, efficientnet-lite; random without.")
@click.option(
    "--pooling",
    "poolings",
    type=click.Choice(["mac", "spoc", "gem"]),
    multiple=True,
    default=("mac",),
    show_default=True,
    help="Its pooling; repeatable, each is a network of its own.",
)
@click.option("--size", type=int, default=384, show_default=True, help="Its longest side, pixels.")
@click.option("--mean", type=(float, float, float), help="Of its input; default: ImageNet's.")
@click.option("--std", type=(float, float, float), help="Of its input; default: ImageNet's.")
@click.option(
    "--lookalike",
    "lookalikes",
    multiple=True,
    metavar="KIND",
    help="Kind of --harmless that looks like firearms; repeatable; none: the usual ones.",
)
@click.option("--against", metavar="LABEL", help="Label to count differences from.")
@click.option("--sheets", type=click.IntRange(0), default=8, show_default=True,
              help="Queries of each retrieval sheet; 0: none.")  # fmt: skip
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:<n>.")
@click.option("--batch", type=click.IntRange(1), default=32, show_default=True,
              help="Most photographs of one forward pass.")  # fmt: skip
@click.option("--readers", type=click.IntRange(1), default=2, show_default=True,
              help="Threads that read photographs.")  # fmt: skip
@click.option("--join", is_flag=True, help="Join RESULTS, which were written before.")
@click.option("--out", type=PLACE, required=True, help="Folder of the results.")
@click.option("--replace", is_flag=True, help="Let results at --out give way.")
@click.argument("results", type=PLACE, nargs=-1)
def command(results: tuple[Path, ...], *, join: bool, out: Path, **options: Any) -> None:
    """Measure networks: mAP, Recall@k, PCA, flags, calibration, with intervals over splits.

    Writes evaluation.json, tables.md laid out like the paper's tables with its figures beside
    ours, figures/ and sheets/, which hold photographs.

    \b
    Example:
      python -m training evaluate --data firearms --harmless harmless --splits 0,1,2 \\
          --run cls+double=runs/double-0 --run cls+double=runs/double-1 \\
          --backbone vgg16 --weights imagenet --out results
      python -m training evaluate --join results-a results-b --against cls+double --out both
    """
    from training.ranking.evaluate import join_results
    from training.ranking.results import TABLES

    _refuse_idle(options, join=join)
    if join:
        kept = {name: options[name] for name in ("against", "replace")}
        entries = join_results(results, out, **kept)
    elif results:
        raise click.UsageError(f"{results[0]} is read with --join only; networks come with --run")
    else:
        entries = _evaluate(out, options)
    click.echo(f"{len(entries)} results in {out}; begin with {out / TABLES}")


def _evaluate(out: Path, options: dict[str, Any]) -> list[dict[str, Any]]:
    from rich.console import Console

    from training.ranking.evaluate import How, evaluate
    from training.ranking.openset import LOOKALIKES

    if options["data"] is None:
        raise click.UsageError("--data is missing; only --join goes without it")
    candidates = _candidates(options)
    seeds = _seeds(options.pop("splits"), options["split_seed"])
    names = ("device", "batch", "readers", "against", "sheets", "replace")
    how = How(
        lookalikes=options.pop("lookalikes") or LOOKALIKES,
        **{name: options.pop(name) for name in names},
    )
    return evaluate(
        candidates,
        lambda seed: read_data(**{**options, "split_seed": seed}),
        seeds,
        out,
        Console(stderr=True, soft_wrap=True),
        how=how,
    )


def _refuse_idle(options: dict[str, Any], *, join: bool) -> None:
    """Refuse what was typed and would be ignored."""
    idle: dict[str, str] = {}
    if join:
        kept = ("join", "results", "against", "out", "replace")
        idle |= {
            param.name: "with --join"
            for param in command.params
            if param.name is not None and param.name not in kept
        }
    if options["backbone"] is None:
        idle |= dict.fromkeys(("poolings", "size", "mean", "std"), "without --backbone")
    if options["splits"] is not None:
        idle["split_seed"] = "with --splits"
    if options["harmless"] is None:
        idle["lookalikes"] = "without --harmless"
    if not options["runs"]:
        idle["trust_splits"] = "without --run"
    refuse_typed(idle)


def _candidates(options: dict[str, Any]) -> list[Any]:
    """Take the options of networks out of a command's, and return the networks."""
    from training.ranking.candidates import OffTheShelf, named_runs

    names = ("backbone", "weights", "poolings", "size", "mean", "std")
    backbone, weights, poolings, size, mean, std = (options.pop(name) for name in names)
    found: list[Any] = [
        *named_runs(options.pop("runs"), trusted=options.pop("trust_splits")),
    ]
    if backbone is None and weights is not None:
        raise click.UsageError(f"--weights {weights} needs --backbone, the network they are of")
    if backbone is not None:
        mean, std = mean or IMAGENET_MEAN, std or IMAGENET_STD
        found += [OffTheShelf(backbone, weights, kind, size, mean, std) for kind in poolings]
    return found


def _seeds(text: str | None, single: int) -> list[int]:
    if text is None:
        return [single]
    try:
        seeds = [int(part) for part in text.split(",")]
    except ValueError:
        raise click.UsageError(f"--splits {text} is not numbers with commas, as 0,1,2") from None
    return list(dict.fromkeys(seeds))


for _option in command.params:
    # Joining results needs no photographs.
    if _option.name == "data":
        _option.required = False
