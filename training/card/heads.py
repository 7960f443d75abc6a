"""The head of a release on sources that it did not learn from, as tables. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from training.card.inputs import Inputs
from training.card.markdown import NONE, percent, rate, table
from training.heads.figures import MAIN_RATE, RATES
from training.ranking.spread import LEVEL


def heads(inputs: Inputs) -> Iterator[str]:
    """Yield the lines on the head; none for a release without one."""
    found = inputs.release.report.get("head")
    if found is None:
        return
    small = found["untouched"]
    names = small["names"]
    yield "### The head"
    yield (
        f"Heads of folds, each judging sources that it did not learn from: {small['firearms']} "
        f"firearms of small sources, with thresholds on {small['harmless']} harmless photographs; "
        "the network was tuned on none of these either. In brackets "
        f"{rate(LEVEL)} intervals over sources."
    )
    yield from table(
        ("Figure", "Photographs", "Share"),
        [
            *(_row(f"flagged at {rate(float(r))} false flags", its)
              for r, its in small["flags"].items()),
            _row("type right", names["types"]),
            _row("one of three types right", names["top_three"]),
            _row("mechanism right", names["mechanism"]),
            *(_row(f"– {name}", its) for name, its in names["mechanisms"].items()),
        ],
    )  # fmt: skip
    errors = ", ".join(f"{level} {error:.3f}" for level, error in small["calibration"].items())
    yield f"Calibration error of names: {errors}."
    yield "Large sources, each held out of the head; on some the network was tuned:"
    yield from table(
        ("Source", "Network tuned on it", *(f"Flagged at {rate(r)}" for r in RATES), "Type right"),
        [
            (name, "yes" if its["learnt"] else "no",
             *(_share(its["flags"][f"{r:g}"]) for r in RATES),
             _share(its["names"]["types"]) if its["names"] else NONE)
            for name, its in found["large"].items()
        ],
    )  # fmt: skip
    yield f"Harmless kinds at {rate(MAIN_RATE)} false flags:"
    yield from table(
        ("Kind", "Photographs", "Flagged"),
        [
            (kind, row["n"], f"{row['flagged']} ({percent(row['flagged'] / row['n'])})")
            for kind, row in found["harmless_kinds"].items()
        ],
    )


def _row(name: str, found: Mapping[str, Any]) -> tuple[str, int, str]:
    return name, found["n"], _share(found)


def _share(found: Mapping[str, Any]) -> str:
    ends = "" if found["low"] is None else f" ({percent(found['low'])} .. {percent(found['high'])})"
    return f"{percent(found['share'])}{ends}"
