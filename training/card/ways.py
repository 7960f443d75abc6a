"""How much of what is flagged stays flagged in other ways of showing a photograph."""

from collections.abc import Iterator

from training.card.inputs import Inputs
from training.card.markdown import percent, table

HEADER = (
    "way of showing", "firearms still flagged", "by the whole picture alone",
    "harmless flagged", "by the whole picture alone", "views of a picture",
)  # fmt: skip


def shown(inputs: Inputs) -> Iterator[str]:
    """Yield the lines on ways of showing; none where they were not measured."""
    found = inputs.shown
    if found is None:
        return
    # A head is trained on all photographs in the end, its test sources too.
    known = (
        "all of which its head may have learnt, so that the first column is too high for others"
        if inputs.release.head is not None
        else "of sources that it has not seen"
    )
    yield "### Other ways of showing a photograph"
    yield (
        f"{found['firearms']} photographs of firearms that the release flags, and "
        f"{found['harmless']} harmless ones, {known}, shown in the ways in "
        "which phones, pages and people show them. Beside the whole picture, the content of wide "
        "margins, windows along a long picture and the cells of a collage have views of their "
        f"own, which need {inputs.release.policy.part_margin:.3f} more than the whole."
    )
    yield from table(
        HEADER,
        (
            (
                name,
                percent(way["firearms"]),
                percent(way["firearms_whole"]),
                percent(way["harmless"]),
                percent(way["harmless_whole"]),
                f"{way['firearms_views']:.1f}",
            )
            for name, way in found["ways"].items()
        ),
    )
