"""The soft rule: how much more firearms than look-alikes lie near. Pure; must not know torch.

Training chooses thresholds with these functions and serving decides with them, so that both speak
of the same figure.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

OPPOSITE = -1.0
"""Similarity of what a kind without neighbours counts as."""

Similarities = NDArray[np.float32] | NDArray[np.float64]


def support(similarities: Similarities, firearm: NDArray[np.bool_], temperature: float) -> float:
    """Return the support of one embedding by its neighbours, see ``supports``.

    Args:
        similarities: float[K], of its neighbours in -1..1, in any order; K at least 1.
        firearm: bool[K], whether a neighbour is a firearm; the others are look-alikes.
        temperature: Above 0.

    Raises:
        ValueError: There are no neighbours, or the shapes differ.
    """
    return float(supports(similarities[None], firearm[None], temperature)[0])


def supports(
    similarities: Similarities, firearm: NDArray[np.bool_], temperature: float
) -> NDArray[np.float64]:
    """Return by how much the near firearms outweigh the near look-alikes.

    With neighbours of similarities s, S(set) = t log(sum over the set of exp(s / t) + exp(-1 / t)),
    where t is the temperature: a kind that is absent counts as one prototype of the opposite
    direction, and keeps a finite S. The support is S of the firearms less S of the look-alikes.
    As t goes to 0 it becomes the nearest firearm's similarity less the nearest look-alike's.

    Args:
        similarities: float[N, K], of each embedding's neighbours in -1..1, in any order.
        firearm: bool[N, K], whether a neighbour is a firearm; the others are look-alikes.
        temperature: Above 0.

    Returns:
        float64[N], in -2..2 for the small temperatures that are of use; beyond it by
        t log(K + 1) at most.

    Raises:
        ValueError: There are no neighbours, or the shapes differ.
    """
    if similarities.shape != firearm.shape or similarities.shape[1] < 1:
        raise ValueError(
            f"similarities {similarities.shape} and kinds {firearm.shape} must be of one shape, "
            "with a neighbour at least"
        )
    wide = similarities.astype(np.float64)
    return _soft(wide, firearm, temperature) - _soft(wide, ~firearm, temperature)


def type_supports(
    similarities: Similarities,
    firearm: NDArray[np.bool_],
    types: Sequence[str],
    temperature: float,
) -> dict[str, float]:
    """Return the support of each firearm type among the neighbours of one embedding.

    The type whose neighbours weigh most has the embedding's whole support; another has less by as
    much as its own weigh less: t log(sum over the type of exp(s / t)).

    Args:
        similarities: float[K], of its neighbours in -1..1, in any order.
        firearm: bool[K], whether a neighbour is a firearm; the others are look-alikes.
        types: K names; those of look-alikes say nothing.
        temperature: Above 0.

    Returns:
        Type → support, in the order of the neighbours; empty where there are no firearms.
    """
    places: dict[str, list[int]] = {}
    for place in np.flatnonzero(firearm).tolist():
        places.setdefault(types[place], []).append(place)
    if not places:
        return {}
    wide = similarities.astype(np.float64)
    weights = {name: _log_sum(wide[its] / temperature) for name, its in places.items()}
    most, whole = max(weights.values()), support(similarities, firearm, temperature)
    return {name: whole - temperature * (most - weight) for name, weight in weights.items()}


def _soft(
    similarities: NDArray[np.float64],
    chosen: NDArray[np.bool_],
    temperature: float,
) -> NDArray[np.float64]:
    kept = np.where(chosen, similarities, -np.inf)
    scaled = np.concatenate([kept, np.full((len(kept), 1), OPPOSITE)], axis=1) / temperature
    highest = scaled.max(axis=1)
    total = np.exp(scaled - highest[:, None]).sum(axis=1)
    soft: NDArray[np.float64] = temperature * (highest + np.log(total))
    return soft


def _log_sum(scaled: NDArray[np.float64]) -> float:
    highest = scaled.max()
    return float(highest + np.log(np.exp(scaled - highest).sum()))
