"""How much more a picture is of firearms than of look-alikes. Pure; must not know torch.

By neighbours alone that is the soft rule (``supports``); with a head, ``Scorer`` joins both.

Training chooses thresholds with these functions and serving decides with them, so that both speak
of the same figure.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from models.head import KINDS, Head
from models.index import Neighbours
from models.policy import HeadRule, Kernel

OPPOSITE = -1.0
"""Similarity of what a kind without neighbours counts as."""

TIE = 1e-3
"""Difference of similarities below which a prototype counts as no farther than another: copies of
one picture differ by less."""

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

    An added look-alike counts only where no firearm among the neighbours is nearer: what is said
    of one picture must not hide the many firearms that are merely alike.

    Args:
        head: Whose logits are joined.
        rule: The policy's figures.
    """

    def __init__(self, head: Head, rule: HeadRule) -> None:
        self._rule = rule
        kinds = np.array([each.kind for each in head.classes])
        self._firearms, self._others = (np.flatnonzero(kinds == kind) for kind in KINDS)
        self._types = [head.classes[place].name for place in self._firearms]
        self._kinds = [head.classes[place].name for place in self._others]

    def scores(
        self, logits: NDArray[np.float32], near: Sequence[Neighbours]
    ) -> list[dict[str, float]]:
        """Return the score of each type, for each row of a picture.

        Args:
            logits: float32[R, C] of the head.
            near: Of each row its neighbours; kinds other than firearms and look-alikes say nothing.

        Returns:
            Of each row type → score, in the order of the classes and then of the neighbours.
        """
        wide = logits.astype(np.float64)
        firearms, others = wide[:, self._firearms], wide[:, self._others]
        alone = class_scores(firearms, others, self._rule.temperature).tolist()
        return [
            self._joined(firearms[row], others[row], its)
            if self._rule.own is not None or its.added
            else dict(zip(self._types, alone[row], strict=True))
            for row, its in enumerate(near)
        ]

    def _joined(
        self, firearms: NDArray[np.float64], others: NDArray[np.float64], near: Neighbours
    ) -> dict[str, float]:
        """Return the scores of one row with its neighbours."""
        more = self._entries(near)
        temperature = self._rule.temperature
        types, firearms = _with(self._types, firearms, more["firearm"], temperature)
        _, others = _with(self._kinds, others, more["lookalike"], temperature)
        (values,) = class_scores(firearms[None], others[None], temperature).tolist()
        return dict(zip(types, values, strict=True))

    def _entries(self, near: Neighbours) -> dict[str, list[tuple[str, float]]]:
        """Return by kind the type and the logit of each neighbour that counts."""
        own, added = self._rule.own, self._rule.added
        rows = zip(near.ids, near.types, near.kinds, near.similarities.tolist(), strict=True)
        least = nearest_firearm(near) - TIE
        found: dict[str, list[tuple[str, float]]] = {kind: [] for kind in KINDS}
        for name, its_type, kind, similarity in rows:
            new = name in near.added
            kernel: Kernel | None = added if new else own
            if new and kind == "lookalike" and similarity < least:
                continue
            if kernel is not None and kind in found:
                found[kind].append((its_type, kernel.scale * similarity - kernel.offset))
        return found


def nearest_firearm(near: Neighbours) -> float:
    """Return the similarity of the nearest firearm among neighbours; minus infinity if none is."""
    pairs = zip(near.kinds, near.similarities.tolist(), strict=True)
    return max((similarity for kind, similarity in pairs if kind == "firearm"), default=-math.inf)


def class_scores(
    firearms: NDArray[np.float64], others: NDArray[np.float64], temperature: float
) -> NDArray[np.float64]:
    """Return the score of each type by the logits of types and of kinds, see ``Scorer``.

    Args:
        firearms: float64[R, K], a logit of each type, K at least 1.
        others: float64[R, L], a logit of each kind of look-alike, L at least 1.
        temperature: Above 0.

    Returns:
        float64[R, K]; the highest of a row is the score of "a firearm".
    """
    types, kinds = firearms / temperature, others / temperature
    whole = _log_sums(types) - _log_sums(kinds) - types.max(axis=1, keepdims=True)
    scores: NDArray[np.float64] = temperature * (whole + types)
    return scores


def _with(
    names: Sequence[str],
    values: NDArray[np.float64],
    more: Sequence[tuple[str, float]],
    temperature: float,
) -> tuple[Sequence[str], NDArray[np.float64]]:
    """Return names, each once, and t log(sum exp(value / t)) over all that is of each."""
    joined = dict(zip(names, (values / temperature).tolist(), strict=True))
    for name, value in more:
        scaled = value / temperature
        joined[name] = float(np.logaddexp(joined[name], scaled)) if name in joined else scaled
    return list(joined), temperature * np.array(list(joined.values()))


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
    return float(_log_sums(scaled[None])[0, 0])


def _log_sums(scaled: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return float64[R, 1], the log of the sum of exp over each row."""
    highest = scaled.max(axis=1, keepdims=True)
    sums = np.log(np.exp(scaled - highest).sum(axis=1, keepdims=True))
    total: NDArray[np.float64] = highest + sums
    return total
