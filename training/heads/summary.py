"""The figures of a head in a few lines for people. Must not know how they were made."""

from collections.abc import Iterator, Mapping
from typing import Any

from training.heads.figures import MAIN_RATE


def summary(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a head does with photographs of sources that it did not learn from."""
    small, main = found["untouched"], f"{MAIN_RATE:g}"
    yield (
        f"{small['firearms']} firearms of small sources, {small['harmless']} harmless "
        "photographs, the network tuned on none of them; 95 % intervals over sources:"
    )
    for rate, row in small["flags"].items():
        yield f"  flagged at {float(rate):.1%} false flags: {_percent(row)}"
    names = small["names"]
    for key, name in (
        ("types", "type"),
        ("top_three", "one of three types"),
        ("mechanism", "mechanism"),
    ):
        yield f"  {name} right: {_percent(names[key])}"
    for name, row in names["mechanisms"].items():
        yield f"    {name}: {_percent(row)}"
    told = ", ".join(f"{level} {error:.3f}" for level, error in small["calibration"].items())
    yield f"  calibration error of {told}"
    for source, row in found["large"].items():
        marked = ", which the network was tuned on" if row["learnt"] else ""
        typed = f", type right {_percent(row['names']['types'])}" if row["names"] else ""
        yield f"{source}{marked}: flagged at {MAIN_RATE:.1%} {_percent(row['flags'][main])}{typed}"
    worst = sorted(
        found["harmless_kinds"].items(),
        key=lambda item: -item[1]["flagged"] / item[1]["n"],
    )
    told = ", ".join(f"{kind} {row['flagged']} of {row['n']}" for kind, row in worst[:3])
    yield f"most flagged kinds at {MAIN_RATE:.1%}: {told}"


def _percent(row: Mapping[str, Any]) -> str:
    if row["share"] is None:
        return "none"
    ends = "" if row["low"] is None else f" ({100 * row['low']:.1f}..{100 * row['high']:.1f})"
    return f"{100 * row['share']:.1f} %{ends} of {row['n']}"
