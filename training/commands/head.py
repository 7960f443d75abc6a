"""The command that trains a head. Knows nothing of how heads are trained."""
# ruff: noqa: D301 - click takes a backspace character for "leave this paragraph as it is"

import json
from pathlib import Path

import click

from training.commands.output import PLACE


@click.command("head")
@click.option("--data", type=PLACE, required=True,
              help="Folder with firearms/, negatives/ and sources.csv.")  # fmt: skip
@click.option("--release", type=PLACE, required=True,
              help="Release whose network gives the features.")  # fmt: skip
@click.option("--cache", type=PLACE, required=True,
              help="Folder of features (400 MB): what is there is not made again.")  # fmt: skip
@click.option("--types", type=PLACE, show_default="the starter's",
              help="JSON table of families, names and mechanisms of types.")  # fmt: skip
@click.option("--strength", "strengths", type=float, multiple=True,
              default=(10.0, 30.0, 100.0), show_default=True,
              help="C of the logistic regression; repeatable, the best one is taken.")  # fmt: skip
@click.option("--evenness", type=float, default=0.5, show_default=True,
              help="0: photographs of a class weigh alike; 1: its sources do.")  # fmt: skip
@click.option("--learnt", multiple=True, show_default="the starter's",
              help="Source that the network was tuned on; repeatable. No figure is chosen on its "
                   "photographs.")  # fmt: skip
@click.option("--figures", type=PLACE, help="File that the figures are written to as well, JSON.")
@click.option("--out", type=PLACE, required=True, help="Directory of the release.")
@click.option("--replace", is_flag=True, help="Let a release at --out give way.")
def command(
    data: Path,
    release: Path,
    cache: Path,
    *,
    types: Path | None,
    strengths: tuple[float, ...],
    evenness: float,
    learnt: tuple[str, ...],
    figures: Path | None,
    out: Path,
    replace: bool,
) -> None:
    """Train a head on the features of a release's network, and make a release with it.

    The network stays as it is. Everything is chosen, and all figures are, of photographs of
    sources that the head did not learn from.

    \b
    Example:
      python -m training head --data photographs --release models/starter \\
          --cache work/features --out releases/head
    """
    from rich.console import Console

    from training.heads.summary import summary
    from training.heads.train import HeadSettings, Places, train
    from training.naming import STARTER, read_types
    from training.stages.space import check_writable
    from training.starter import LEARNT_SOURCES, RELATED, moved, photographs

    if figures is not None:
        if figures.is_dir():
            raise click.UsageError(f"--figures {figures} is a folder; name a file")
        check_writable(figures.absolute().parent, "--figures")
    settings = HeadSettings(
        strengths=strengths,
        evenness=evenness,
        related=RELATED,
        learnt=learnt or LEARNT_SOURCES,
    )
    photos = moved(photographs(data))
    absent = sorted({*learnt} - {photo.source for photo in photos})
    if absent:
        raise click.UsageError(
            f"--learnt {absent[0]}: no photograph is of that source; leave it out, or name it as "
            "the table of sources does"
        )
    found = train(
        photos,
        read_types(types or STARTER),
        settings,
        Places(release, cache, out, replace),
        Console(stderr=True),
    )
    if figures is not None:
        figures.write_text(f"{json.dumps(found.report['head'], indent=1)}\n", "utf-8")
    for line in summary(found.report["head"]):
        click.echo(line)
    click.echo(f"release {found.id} in {found.path}")
