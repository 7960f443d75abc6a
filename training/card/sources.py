"""The release's own sides by source, look-alikes apart, and which took part in choices. Pure.

One share of a side is a mixture: a large easy source hides a small hard one.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from training.card.inputs import Inputs
from training.card.markdown import NONE, code, part, percent, table
from training.ranking.openset import LOOKALIKES

Counts = Mapping[str, Mapping[str, Any]]
SIDES = {"threshold": "that set the thresholds", "test": "of the test"}


def choices(inputs: Inputs) -> Iterator[str]:
    """Yield sentences on test photographs whose sources the folds have measured before.

    Rules and settings are compared on folds; whoever chose among them has seen those sources.
    """
    figures = inputs.release.report["figures"]
    if "test" not in figures:
        return
    flags = figures["test"]["flags"]
    held = {source for fold in inputs.folds for source in fold["together"]}
    dealt = held | {source for fold in inputs.folds for source in fold["harmless_sources"]}
    firearms = flags["firearms_flagged_by_source"]
    harmless = flags["harmless_flagged_by_source"]
    if not (set(firearms) & held or set(harmless) & dealt):
        yield "No source of the test is in a fold: what was chosen by the folds has not seen it."
        return
    names = [name for name in firearms if name in held]
    measured = ", ".join(f"{code(n)} ({firearms[n]['photographs']})" for n in names)
    yield (
        f"**The test is not free of choices.** {_seen(firearms, held)} of its firearms are of "
        f"sources whose firearms a fold tests{f': {measured}' if names else ''}; "
        f"{_seen(harmless, dealt)} of its harmless photographs are of sources whose harmless ones "
        "a fold tests. Rules of scoring and settings are compared on the folds, so that these "
        "sources took part in choosing among them, though not in learning, prototypes or "
        "thresholds."
    )


def by_source(inputs: Inputs) -> Iterator[str]:
    """Yield a table of each side: a row for each source of firearms, for look-alikes and others."""
    held = {source for fold in inputs.folds for source in fold["together"]}
    for side, said in SIDES.items():
        figures = inputs.release.report["figures"].get(side)
        if figures is None:
            continue
        yield f"#### By source, photographs {said}"
        yield from table(
            ("photographs", "in a fold", "flagged"),
            [*_firearms(figures, held), *_harmless(figures)],
        )


def _firearms(figures: Mapping[str, Any], held: set[str]) -> Iterator[tuple[str, str, str]]:
    counts: Counts = figures["flags"]["firearms_flagged_by_source"]
    for name in sorted(counts, key=lambda name: (-counts[name]["photographs"], name)):
        own = counts[name]
        yield (
            f"firearms, {code(name)}",
            "yes" if name in held else "no",
            part(own["flagged"], own["photographs"]),
        )


def _harmless(figures: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield a row of look-alikes and one of all other harmless photographs."""
    kinds: Counts = figures["flags"]["harmless_flagged_by_kind"]
    parts = {
        "look-alikes": [own for name, own in kinds.items() if name in LOOKALIKES],
        "other harmless photographs": [own for n, own in kinds.items() if n not in LOOKALIKES],
    }
    for said, own in parts.items():
        yield said, NONE, part(sum(o["flagged"] for o in own), sum(o["photographs"] for o in own))


def _seen(counts: Counts, sources: set[str]) -> str:
    total = sum(own["photographs"] for own in counts.values())
    seen = sum(own["photographs"] for name, own in counts.items() if name in sources)
    return f"{seen} of {total} ({percent(seen / total)})" if total else "none"
