"""Where a release fails: sources, families, types, and harmless things that it flags. Pure."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from training.card.inputs import Inputs
from training.card.markdown import bullets, code, part, percent, rate, table
from training.naming import known_families
from training.report import with_sides
from training.study.verdicts import MAIN_RATE

SHOWN = 10
"""Most types or kinds that a table of failures names."""

LEAST = 5
"""Photographs that a type or kind needs to be named there: fewer say nothing."""

NO_FAMILY = "not known"

Counts = Mapping[str, Mapping[str, Any]]


def failures(inputs: Inputs) -> Iterator[str]:
    """Yield the lines on failure cases."""
    side, flags = _side(inputs)
    release = inputs.release
    yield "## Failure cases"
    yield from bullets(_folds(inputs))
    yield (
        f"The following is of the release at its own thresholds, on its {side} photographs. Types "
        f"and kinds of fewer than {LEAST} photographs are left out, and at most {SHOWN} are named; "
        "`report.json` has all."
    )
    by_type = flags["firearms_flagged_by_type"]
    families = known_families(release.types)
    if families:
        yield "### Families of firearms, most missed first"
        joined = _joined(by_type, lambda name: families.get(name, NO_FAMILY))
        yield from _missed("family", joined, least=1, shown=len(joined))
    yield "### Types most missed"
    yield from _missed("type", by_type, family=lambda name: families.get(name, NO_FAMILY))
    yield "### Sources of firearms, most missed first"
    sources = flags["firearms_flagged_by_source"]
    yield from _missed("source", sources, least=1, shown=len(sources))
    yield "### Harmless photographs flagged most often"
    yield from _flagged("kind", flags["harmless_flagged_by_kind"])
    yield from _flagged("source", flags["harmless_flagged_by_source"])


def limits(inputs: Inputs) -> Iterator[str]:
    """Yield the lines on what is not known, with what the release's maker notes."""
    absent = inputs.release.report["figures"][_side(inputs)[0]]["types"]["types_without_prototypes"]
    yield "## Limits"
    yield from bullets(
        (
            "Figures are of photographs gathered by others for other purposes, mostly of single "
            "firearms; posts have other shares of everything, so other rates. Measure before use.",
            "A source may share photographs with another in ways that near-copy checks do not see.",
            *(
                [f"Types without prototypes, which can be flagged but not named: {_names(absent)}."]
                if absent
                else []
            ),
            *with_sides(inputs.release.report["notes"]),
        )
    )


def _side(inputs: Inputs) -> tuple[str, Mapping[str, Any]]:
    """Return the side that failures are told of: test where there is one."""
    figures = inputs.release.report["figures"]
    side = "test" if "test" in figures else "threshold"
    return side, figures[side]["flags"]


def _folds(inputs: Inputs) -> Iterator[str]:
    """Yield sentences on the held-out sources that are worse than the average."""
    key = f"{MAIN_RATE:g}"
    rows = [
        (its[inputs.judged][key], fold["source"], its)
        for fold, its in zip(inputs.folds, inputs.ruled, strict=True)
    ]
    mean = sum(recall for recall, _, _ in rows) / len(rows)
    below = sorted((row for row in rows if row[0] <= mean), key=lambda row: row[:2])
    yield (
        f"Of held-out sources, recall at {rate(MAIN_RATE)} false flags is at or below the mean of "
        f"{percent(mean)} in " + ", ".join(f"{code(name)} ({percent(r)})" for r, name, _ in below)
        + "."
    )  # fmt: skip
    for recall, name, its in below:
        small = its["small"]
        if small["photographs"]:
            found = small[inputs.judged]
            yield (
                f"{code(name)}: {part(found, small['photographs'])} small firearms are found, "
                f"{percent(recall)} of all."
            )


def _joined(counts: Counts, family: Callable[[str], str]) -> dict[str, dict[str, int]]:
    photographs: Counter[str] = Counter()
    flagged: Counter[str] = Counter()
    for name, found in counts.items():
        photographs[family(name)] += found["photographs"]
        flagged[family(name)] += found["flagged"]
    return {
        name: {"photographs": photographs[name], "flagged": flagged[name]} for name in photographs
    }


def _missed(
    title: str,
    counts: Counts,
    *,
    least: int = LEAST,
    shown: int = SHOWN,
    family: Callable[[str], str] | None = None,
) -> Iterator[str]:
    """Yield a table of names with the smallest share flagged."""
    enough = [name for name in counts if counts[name]["photographs"] >= least]
    ranked = sorted(enough, key=lambda name: (_share(counts[name]), name))[:shown]
    if not ranked:
        yield "There are none."
        return
    header = (title, *(["family"] if family else []), "flagged", "missed")
    yield from table(
        header,
        (
            (
                code(name),
                *([code(family(name))] if family else []),
                part(counts[name]["flagged"], counts[name]["photographs"]),
                counts[name]["photographs"] - counts[name]["flagged"],
            )
            for name in ranked
        ),
    )


def _flagged(title: str, counts: Counts) -> Iterator[str]:
    """Yield a table of harmless names with the largest share flagged."""
    some = [n for n, c in counts.items() if c["flagged"] and c["photographs"] >= LEAST]
    ranked = sorted(some, key=lambda name: (-_share(counts[name]), name))[:SHOWN]
    if not ranked:
        yield f"No {title} of {LEAST} photographs or more had one flagged."
        return
    yield from table(
        (title, "flagged"),
        ((code(n), part(counts[n]["flagged"], counts[n]["photographs"])) for n in ranked),
    )


def _share(found: Mapping[str, Any]) -> float:
    return float(found["flagged"] / found["photographs"])


def _names(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{code(name)} ({count})" for name, count in counts.items())
