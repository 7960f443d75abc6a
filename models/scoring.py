"""How much more a picture is of firearms than of look-alikes. Pure; must not know torch.

By neighbours alone that is the soft rule (``supports``); with a head, ``Scorer`` joins both.

Training chooses thresholds with these functions and serving decides with them, so that both speak
of the same figure.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from models.head import Head
from models.index import Neighbours
from models.policy import HeadRule, Kernel

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


class Scorer:
    """The one score of a head and of prototypes.

    Each class is an entry of its kind and name, of the value of its logit, and so is each firearm
    or look-alike among the neighbours, by its kernel. Over the entries of each type, and of each
    kind, S = t log(sum exp(value / t)) at the rule's temperature t. The score of "a firearm" is S
    of the firearms less S of the look-alikes; a type has less than that by as much as its own S
    is below that of the best type.

    Args:
        head: Whose logits are joined.
        rule: The policy's figures.
    """

    def __init__(self, head: Head, rule: HeadRule) -> None:
        self._rule = rule
        self._places: Mapping[tuple[str, str], int] = {
            (each.kind, each.name): place for place, each in enumerate(head.classes)
        }

    def scores(self, logits: NDArray[np.float32], near: Neighbours) -> dict[str, float]:
        """Return the score of each type.

        Args:
            logits: float32[C] of the head for one row of a picture.
            near: Its neighbours; kinds other than firearms and look-alikes say nothing.

        Returns:
            Type → score, in the order of the classes and then of the neighbours.
        """
        t = self._rule.temperature
        places = dict(self._places)
        sums = (logits.astype(np.float64) / t).tolist()
        for key, value in self._entries(near):
            place = places.setdefault(key, len(sums))
            if place == len(sums):
                sums.append(value / t)
            else:
                sums[place] = float(np.logaddexp(sums[place], value / t))
        firearms = {name: sums[at] for (kind, name), at in places.items() if kind == "firearm"}
        others = [sums[at] for (kind, _), at in places.items() if kind == "lookalike"]
        own = np.array(list(firearms.values()))
        whole = _log_sum(own) - _log_sum(np.array(others)) - own.max()
        return {name: t * (whole + value) for name, value in firearms.items()}

    def _entries(self, near: Neighbours) -> list[tuple[tuple[str, str], float]]:
        """Return kind and type, and the logit, of each neighbour that counts."""
        own, added = self._rule.own, self._rule.added
        if own is None and not near.added:
            return []
        rows = zip(near.ids, near.types, near.kinds, near.similarities.tolist(), strict=True)
        found: list[tuple[tuple[str, str], float]] = []
        for name, its_type, kind, similarity in rows:
            kernel: Kernel | None = added if name in near.added else own
            if kernel is not None and kind in ("firearm", "lookalike"):
                found.append(((kind, its_type), kernel.scale * similarity - kernel.offset))
        return found


def level_shares(
    scores: Mapping[str, float], name_of: Callable[[str], str | None], temperature: float
) -> dict[str, float]:
    """Return how probable each name of a level is, given that it is a firearm.

    Args:
        scores: Of each type, see ``Scorer.scores``.
        name_of: Returns a type's name at the level, None where it has none: it is left out.
        temperature: Of the level.

    Returns:
        Name → probability, summing to 1, most probable first; empty without any name.
    """
    named = {name: name_of(name) for name in scores}
    known = [(at, scores[name]) for name, at in named.items() if at is not None]
    if not known:
        return {}
    scaled = np.array([value for _, value in known]) / temperature
    shares = np.exp(scaled - _log_sum(scaled)).tolist()
    total: dict[str, float] = {}
    for (at, _), share in zip(known, shares, strict=True):
        total[at] = total.get(at, 0.0) + share
    return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))


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
