"""Write a release's model card. Joins the sections, which the other modules make.

The sections are those of Mitchell et al., Model Cards for Model Reporting (FAT* 2019). The same
inputs give the same bytes.
"""

from pathlib import Path

from models.manifest import NAME as MANIFEST
from models.release import Release
from training.card import details, failures, heads, numbers, uses, ways
from training.card.inputs import Inputs, read_inputs
from training.card.markdown import tidy
from training.errors import BadInput

CARD = "MODEL_CARD.md"


def write_card(
    release: Path,
    folds: Path,
    *,
    study: Path | None = None,
    transformations: Path | None = None,
    out: Path | None = None,
) -> Path:
    """Write the model card of a release.

    Args:
        release: Its directory, which stays valid.
        folds: See ``training.card.inputs.read_inputs``.
        study: Likewise.
        transformations: Likewise.
        out: File of the card, which is replaced; None: ``MODEL_CARD.md`` in the release.

    Returns:
        The file.

    Raises:
        BadInput: The results cannot be used, or the file cannot be written.
        BadRelease: The release cannot be read.
    """
    inputs = read_inputs(release, folds, study, transformations)
    file = out or release / CARD
    _check_place(file, inputs.release)
    text = render(inputs)
    beside = file.with_name(f".{file.name}.new")
    try:
        beside.write_text(text, "utf-8")
        beside.replace(file)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise BadInput(f"--out {file} cannot be written: {error.strerror}") from None
    return file


def render(inputs: Inputs) -> str:
    """Return the card in Markdown.

    Raises:
        BadInput: The report or a fold is not as it should be inside.
    """
    try:
        return tidy(_spaced(inputs))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise BadInput(
            f"the release's report, a fold or the study is not as this version writes it "
            f"({error!r}); make it anew"
        ) from None


def _spaced(inputs: Inputs) -> list[str]:
    """Return the lines of all sections, headings and paragraphs apart from one another."""
    sections = (
        details.details(inputs),
        uses.uses(),
        details.data(inputs),
        numbers.protocol(inputs),
        numbers.held_out(inputs),
        heads.heads(inputs),
        numbers.own_side(inputs),
        ways.shown(inputs),
        numbers.study(inputs),
        failures.failures(inputs),
        uses.ethics(),
        failures.limits(inputs),
        details.rebuild(inputs),
    )
    lines = [f"# Model card of release {inputs.release.id}"]
    for section in sections:
        for line in section:
            lines += ["", line] if line.startswith("#") else [line]
            if line.startswith("#"):
                lines.append("")
    return lines


def _check_place(file: Path, release: Release) -> None:
    """Refuse to write over what makes the release."""
    own = file.resolve().parent == release.path.resolve()
    if own and file.name in (MANIFEST, *release.manifest["files"]):
        raise BadInput(f"--out {file} is a file of the release itself; give another")
