"""How surely a firearm is named: the temperature of each level, on held-out photographs. Pure."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from models.policy import LEVELS
from models.types import Types
from training.heads.figures import grouped, softmax

TEMPERATURES = tuple(float(t) for t in np.round(np.geomspace(0.4, 4.0, 37), 3))
"""That are tried, 7 % apart."""

FLOOR = 1e-6

Floats = NDArray[np.float64]


def level_names(types: Sequence[str], table: Types) -> dict[str, list[str]]:
    """Return by level the names of types; empty for types without a mechanism, as coarse ones."""
    known = [table.mechanism(name) or "" for name in types]
    families = [table.family(name) if its else "" for name, its in zip(types, known, strict=True)]
    models = [name if its else "" for name, its in zip(types, known, strict=True)]
    return dict(zip(LEVELS, (known, families, models), strict=True))


def temperatures(
    scores: Floats, truth: Sequence[int], names: Mapping[str, Sequence[str]]
) -> dict[str, float]:
    """Return by level the temperature at which what is true is likeliest.

    Args:
        scores: float64[N, K], of each type, of firearms whose type has a name at each level.
        truth: N places in 0..K-1 of the types.
        names: By level the K names, see ``level_names``.
    """
    found = {}
    for level, its in names.items():
        known = [place for place, name in enumerate(its) if name]
        kept = scores[:, known]
        groups = [its[place] for place in known]
        _, order = grouped(kept[:1], groups)
        right = np.array([order.index(its[place]) for place in truth], np.int64)
        losses = [
            -np.log(
                np.maximum(
                    grouped(softmax(kept, t), groups)[0][np.arange(len(right)), right], FLOOR
                )
            ).mean()
            for t in TEMPERATURES
        ]
        found[level] = TEMPERATURES[int(np.argmin(losses))]
    return found
