"""The rules by which neighbours become a reason, hard and soft. Pure; knows nothing of actions.

Without a temperature the *hard rule* holds: a picture is a ``match`` where the best similarity of
some type reaches the type's threshold, a ``near-miss`` where one reaches the band below its
threshold, else ``no-match``. Where it would be one of the first two, it is a ``lookalike`` if a
look-alike prototype is nearer than the nearest firearm by more than the policy's margin.

With one the *soft rule* does: each type's support (``models.scoring``) stands for its best
similarity. Support counts look-alikes already, so that they only explain what reaches no band:
``lookalike`` if one is nearer by more than the margin than the nearest firearm, else ``no-match``.

With either, a picture whose nearest firearm is less similar than the policy's least is of nothing
known: ``no-match``.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import numpy as np

from models.index import Neighbours
from models.policy import Policy
from models.scoring import type_supports


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found in a frame or a region of one.

    ``reached`` says of each type that reaches its band by how much it is above its threshold, in
    similarity or support; below 0 within the band. ``closest`` is how much less of a change, in
    similarity or support, would leave it as it is.
    """

    reason: Literal["match", "lookalike", "no-match", "near-miss"]
    reached: Mapping[str, float]
    closest: float = field(default=math.inf, compare=False)


def find(neighbours: Neighbours, policy: Policy, margin: float) -> Finding:
    """Apply the policy's rule to the neighbours of one embedding.

    Args:
        neighbours: Nearest prototypes; kinds other than firearms and look-alikes say nothing.
        policy: Thresholds and bands.
        margin: What is asked above every threshold, in similarity or support.
    """
    best = _best(neighbours, "firearm")
    nearest = max(best.values(), default=-math.inf)
    edge = abs(nearest - policy.least_similarity)
    if nearest < policy.least_similarity:
        return Finding("no-match", {}, edge)
    lookalike = max(_best(neighbours, "lookalike").values(), default=-math.inf)
    vetoed = lookalike > nearest + policy.lookalike_margin
    soft = policy.temperature is not None
    weights = best if policy.temperature is None else _supports(neighbours, policy.temperature)
    excess = {name: by - policy.threshold_of(name) - margin for name, by in weights.items()}
    reached = {name: by for name, by in excess.items() if by >= -policy.near_miss}
    # Where it can be one, how far it is from being a look-alike or from not being one.
    veto = abs(lookalike - nearest - policy.lookalike_margin) if soft != bool(reached) else math.inf
    closest = min(edge, veto, _closest(excess, reached, policy))
    if vetoed and (soft != bool(reached)):
        return Finding("lookalike", reached, closest)
    if not reached:
        return Finding("no-match", reached, closest)
    reason: Literal["match", "near-miss"] = "match" if max(reached.values()) >= 0 else "near-miss"
    return Finding(reason, reached, closest)


def _closest(excess: Mapping[str, float], reached: Mapping[str, float], policy: Policy) -> float:
    """Return how far the nearest type is from an edge of its band, or two from changing places."""
    edges = [min(abs(by), abs(by + policy.near_miss)) for by in excess.values()]
    ordered = sorted(reached.values())
    return min([*edges, *(after - by for by, after in pairwise(ordered))], default=math.inf)


def _best(neighbours: Neighbours, kind: str) -> dict[str, float]:
    """Return the best similarity of each type among the neighbours of a kind."""
    best: dict[str, float] = {}
    rows = zip(neighbours.types, neighbours.kinds, neighbours.similarities, strict=True)
    for name, its_kind, similarity in rows:
        if its_kind == kind:
            best[name] = max(best.get(name, -1.0), float(similarity))
    return best


def _supports(neighbours: Neighbours, temperature: float) -> dict[str, float]:
    kinds = np.array(neighbours.kinds, dtype=np.str_)
    telling = np.flatnonzero((kinds == "firearm") | (kinds == "lookalike"))
    if not telling.size:
        return {}
    names = [neighbours.types[place] for place in telling.tolist()]
    firearm = kinds[telling] == "firearm"
    return type_supports(neighbours.similarities[telling], firearm, names, temperature)
