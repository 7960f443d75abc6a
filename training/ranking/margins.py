"""mAP by the two margins of the double-margin loss, and how far apart the best two pairs are. Pure.

Must not know pictures; ``training.ranking.figures`` draws what this finds.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from training.ranking.quality import WHOLE
from training.ranking.spread import Spread, paired
from training.ranking.summary import Entry

Pair = tuple[float, float]
Margins = Mapping[Pair, float]


@dataclass(frozen=True)
class Best:
    """The best pair of margins and the next.

    Args:
        first: (positive margin, negative margin) of the highest mAP.
        second: Of the next.
        maps: Their mAP in percent, every photograph asked.
        by_type: How much better the first is, type by type; in shares.
        pairs: Pairs of margins that were tried.
        splits: Splits of types, and
        networks: networks of each pair and split, at most.
    """

    first: Pair
    second: Pair
    maps: tuple[float, float]
    by_type: Spread
    pairs: int
    splits: int
    networks: int

    def says(self) -> str:
        """Return it in a sentence or two, without claiming what the interval does not carry."""
        (one, other), half = self.maps, self.by_type.half
        names = [f"{pair[0]:g} and {pair[1]:g}" for pair in (self.first, self.second)]
        text = (
            f"Of {self.pairs} pairs on {_count(self.splits, 'split')} with "
            f"{_count(self.networks, 'network')} each, measured on its test types, the highest "
            f"mAP is that of {names[0]} ({one:.2f} %, every photograph asked), "
            f"{one - other:.2f} points above that of {names[1]} ({other:.2f} %)."
        )
        if half is None:
            return text
        told = (
            "which tells them apart"
            if self.by_type.mean > half
            else ("which does not tell them apart")
        )
        return (
            f"{text} Over {self.by_type.count} test types the difference is "
            f"{100 * self.by_type.mean:+.1f} ± {100 * half:.1f} points (95 % interval by types), "
            f"{told}. The highest of several was chosen on the figures it is reported by."
        )


def margins_of(entries: Sequence[Entry]) -> Margins:
    """Return (positive margin, negative margin) → mean mAP in percent, every photograph asked.

    They are those of one label, the one with most pairs of margins: other labels' networks
    differ in more than that.
    """
    return {
        pair: 100 * float(np.mean([_map(entry) for entry in own]))
        for pair, own in _by_pair(entries).items()
    }


def networks_of(entries: Sequence[Entry]) -> tuple[int, int]:
    """Return of how many splits, and at most how many networks a split, ``margins_of`` tells."""
    found = _by_pair(entries).values()
    splits = {entry["split_seed"] for own in found for entry in own}
    return len(splits), max((-(-len(own) // len(splits)) for own in found), default=0)


def best_margins(entries: Sequence[Entry]) -> Best | None:
    """Return the best two pairs of margins; None with fewer than two, or no type in common."""
    found, maps = _by_pair(entries), margins_of(entries)
    if len(maps) < 2:
        return None
    first, second = sorted(maps, key=lambda pair: (-maps[pair], pair))[:2]
    one, other = _types(found[first]), _types(found[second])
    common = sorted(set(one) & set(other))
    if not common:
        return None
    splits, networks = networks_of(entries)
    return Best(
        first=first,
        second=second,
        maps=(maps[first], maps[second]),
        by_type=paired([one[name] for name in common], [other[name] for name in common]),
        pairs=len(maps),
        splits=splits,
        networks=networks,
    )


def _by_pair(entries: Sequence[Entry]) -> dict[Pair, list[Entry]]:
    found: dict[str, dict[Pair, list[Entry]]] = {}
    for entry in entries:
        # Averaging with neighbours measures a network that is there already.
        if (margins := entry.get("margins")) and not entry.get("neighbours"):
            own = found.setdefault(entry["label"], defaultdict(list))
            own[margins[0], margins[1]].append(entry)
    return max(found.values(), key=len, default={})


def _map(entry: Entry) -> float:
    return float(entry["protocols"]["every"][WHOLE]["map"]["trapezoid"])


def _types(entries: Sequence[Entry]) -> dict[str, float]:
    """Return the mean mAP of each type."""
    rows: dict[str, list[float]] = defaultdict(list)
    for entry in entries:
        for row in entry["types"]:
            rows[row["type"]].append(row["map"])
    return {name: float(np.mean(values)) for name, values in rows.items()}


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
