"""The command that writes a release's model card. Knows nothing of what stands in it."""
# ruff: noqa: D301 - click takes a backspace character for "leave this paragraph as it is"

from pathlib import Path

import click

PLACE = click.Path(path_type=Path)


@click.command("card")
@click.argument("release", type=PLACE)
@click.option("--folds", type=PLACE, required=True,
              help="Folder of the results of `folds`.")  # fmt: skip
@click.option("--study", type=PLACE,
              help="Results of `study` or `evaluate`: a file, its folder, or a folder of "
              "such folders.")  # fmt: skip
@click.option("--transformations", type=PLACE,
              help="File of results of `make transformations`.")  # fmt: skip
@click.option("--out", type=PLACE, help="File of the card.  [default: RELEASE/MODEL_CARD.md]")
def command(
    release: Path,
    folds: Path,
    study: Path | None,
    transformations: Path | None,
    out: Path | None,
) -> None:
    """Write the model card of a release.

    All its figures are taken from the release's report and from the results given; a card that is
    there is replaced. A card in the release's own folder changes neither its id nor its digests.

    \b
    Example:
      python -m training card models/starter --folds results/folds --study results/study
    """
    from training.card.card import write_card

    file = write_card(release, folds, study=study, transformations=transformations, out=out)
    click.echo(f"model card in {file}")
