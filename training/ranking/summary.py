"""From the results of single networks to means with intervals, by label. Pure.

An *entry* is what ``training.ranking.measure`` gives, with ``label``, ``split_seed`` and ``seed``.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from training.ranking.paper import METHODS, method
from training.ranking.quality import WHOLE
from training.ranking.spread import Spread, paired, spread

Entry = Mapping[str, Any]
Figures = dict[str, float]
Summary = dict[str, dict[str, Spread]]

PROTOCOLS = ("paper", "every")


def figures(entry: Entry) -> Figures:
    """Return the figures of an entry that are worth a mean, by name.

    ``<protocol>/map``, ``<protocol>/map-standard``, ``<protocol>/recall/<k>``,
    ``<protocol>/pca/<fitted on>/<dimension>``, ``flags/<seen|unseen>/<rate>``, ``…/area``,
    ``…/lookalikes`` (their false flags at 1 %), ``…/alone/<rate>`` and ``error/<binning>``.
    """
    found = {key: value for name in PROTOCOLS for key, value in _ranking(entry, name)}
    for name in ("unseen", "seen"):
        if entry["flags"]:
            found.update(_flags(f"flags/{name}", entry["flags"][name]))
    if entry["calibration"]:
        for binning in ("equal-width", "equal-count"):
            found[f"error/{binning}"] = entry["calibration"][binning]["error"]
    return found


def summarise(entries: Sequence[Entry]) -> Summary:
    """Return label → figure → spread, the labels in the order of the paper's tables.

    Networks of one split are averaged first, as they share what makes it easy or hard; the
    spread is then over splits. With a single split it is over its networks.
    """
    return {
        label: {name: spread(values) for name, values in _values(_of(entries, label)).items()}
        for label in labels(entries)
    }


def differences(entries: Sequence[Entry], against: str) -> Summary:
    """Return label → figure → spread of how much more it is than another label's, split by split.

    Labels and figures without a split in common are left out.

    Args:
        entries: Of any labels.
        against: The label that is taken off.
    """
    base = _by_split(_of(entries, against))
    found: Summary = {}
    for label in labels(entries):
        own = _by_split(_of(entries, label))
        common = sorted(set(own) & set(base), key=str)
        if label == against or not common:
            continue
        names = [n for n in own[common[0]] if all(n in own[c] and n in base[c] for c in common)]
        found[label] = {
            name: paired([own[c][name] for c in common], [base[c][name] for c in common])
            for name in names
        }
    return found


def labels(entries: Sequence[Entry]) -> list[str]:
    """Return the labels, those of the paper's rows first, in its order."""
    known = list(dict.fromkeys(str(entry["label"]) for entry in entries))
    order = [row.key for row in METHODS]

    def place(label: str) -> int:
        row = method(label)
        return len(order) if row is None else order.index(row.key)

    return sorted(known, key=place)


def _of(entries: Sequence[Entry], label: str) -> list[Entry]:
    return [entry for entry in entries if entry["label"] == label]


def _values(entries: Sequence[Entry]) -> dict[str, list[float]]:
    splits = _by_split(entries)
    single = len(splits) == 1
    rows = [figures(entry) for entry in entries] if single else list(splits.values())
    values: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        for name, value in row.items():
            values[name].append(value)
    return values


def _by_split(entries: Sequence[Entry]) -> dict[Any, Figures]:
    """Return the means of each split's networks."""
    rows: dict[Any, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for entry in entries:
        for name, value in figures(entry).items():
            rows[entry["split_seed"]][name].append(value)
    return {
        split: {name: float(np.mean(values)) for name, values in row.items()}
        for split, row in rows.items()
    }


def _ranking(entry: Entry, protocol: str) -> Iterator[tuple[str, float]]:
    part = entry["protocols"][protocol]
    yield f"{protocol}/map", part[WHOLE]["map"]["trapezoid"]
    yield f"{protocol}/map-standard", part[WHOLE]["map"]["standard"]
    for k, share in part[WHOLE]["recall"].items():
        yield f"{protocol}/recall/{k}", share
    for name, dimensions in part["pca"].items():
        for dimension, found in dimensions.items():
            yield f"{protocol}/pca/{name}/{dimension}", found["map"]["trapezoid"]


def _flags(prefix: str, part: Mapping[str, Any]) -> Figures:
    found: Figures = {f"{prefix}/{rate}": at["recall"] for rate, at in part["rates"].items()}
    found[f"{prefix}/area"] = part["area"]
    if part["lookalikes_alone"] is not None:
        found[f"{prefix}/lookalikes"] = part["rates"]["0.01"]["false_flags_lookalikes"]
        for rate, recall in part["lookalikes_alone"]["recall"].items():
            found[f"{prefix}/alone/{rate}"] = recall
    return found
