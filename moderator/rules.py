"""The rules by which neighbours become a reason, hard and soft. Pure; knows nothing of actions.

Without a temperature the *hard rule* holds: a picture is a ``match`` where the best similarity of
some type reaches the type's threshold, a ``near-miss`` where one reaches the band below its
threshold, else ``no-match``. Where it would be one of the first two, it is a ``lookalike`` if a
look-alike prototype is nearer than the nearest firearm by more than the policy's margin.

With one the *soft rule* does: each type's support (``models.scoring``) stands for its best
similarity. Support counts look-alikes already, so that they only explain what reaches no band:
``lookalike`` if one is nearer by more than the margin than the nearest firearm, else ``no-match``.

Of a release whose policy judges by its head, each type's score (``models.scoring.Scorer``) stands
for its support, else it is the soft rule.

With any, a picture whose nearest firearm is less similar than the policy's least is of nothing
known: ``no-match``.

Before all comes the *near rule*: a prototype that was added to the release and lies within the
policy's ``near_radius`` decides by itself, where no other is nearer: ``match`` of its type, or
``lookalike``. What reviewers say of a picture so holds at once for it and its near copies,
however many prototypes of the release surround it. The release's own have no such weight.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.index import Neighbours, PrototypeIndex
from models.policy import Policy
from models.scoring import TIE, type_supports

SCORE_UNIT = 80.0
"""What of a score is as much as a similarity of 1: kept in float16, logits are off by up to 0.008
where similarities are off by 1e-4."""


def neighbours_for(
    policy: Policy, index: PrototypeIndex, embeddings: NDArray[np.float32]
) -> list[Neighbours]:
    """Ask an index for what the policy's rules need of each row of float32[N, D].

    What weighs firearms against all else needs near ones of both. Beside a head, what was added
    counts by itself, so that the release's own must not crowd it out.
    """
    if not policy.by_kind:
        return index.query(embeddings, policy.neighbours)
    apart = policy.head is not None
    return index.query_kinds(embeddings, policy.neighbours, added_apart=apart)


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found in a frame or a region of one.

    ``reached`` says of each type that reaches its band by how much it is above its threshold, in
    similarity, support or score; below 0 within the band. ``closest`` is how much less of a
    change, in similarity or support, would leave it as it is; ``SCORE_UNIT`` of a score count as
    1. ``copy`` says that an added look-alike is this very picture, to which its regions then add
    nothing.
    """

    reason: Literal["match", "lookalike", "no-match", "near-miss"]
    reached: Mapping[str, float]
    closest: float = field(default=math.inf, compare=False)
    copy: bool = field(default=False, compare=False)


def find(
    neighbours: Neighbours,
    policy: Policy,
    margin: float,
    scores: Mapping[str, float] | None = None,
) -> Finding:
    """Apply the policy's rules to the neighbours of one embedding.

    Args:
        neighbours: Nearest prototypes; kinds other than firearms and look-alikes say nothing.
        policy: Thresholds and bands.
        margin: What is asked above every threshold, in similarity, support or score.
        scores: Of each type, where the policy judges by a head.

    Raises:
        ValueError: There are scores and the policy does not judge by them, or the reverse.
    """
    if (scores is None) != (policy.head is None):
        raise ValueError("scores are needed where the policy judges by a head, and only there")
    found = _found(neighbours, policy, margin, scores)
    if not neighbours.added:
        return found
    rows = _telling(neighbours)
    if policy.head is not None:
        found = replace(found, closest=min(found.closest, _counting(rows)))
    if not policy.near_radius:
        return found
    near = _nearest_added(rows, policy)
    if near is None:
        return replace(found, closest=min(found.closest, _short_of_near(rows, policy)))
    inside = near.similarity - (1 - policy.near_radius)
    closest = min(found.closest, inside, _lead(near, rows))
    if near.kind == "lookalike":
        within = near.similarity - (1 - TIE)
        return Finding("lookalike", found.reached, min(closest, abs(within)), copy=within >= 0)
    # It leads whatever the rule reached, by more the nearer it is.
    excess = max(0.0, *found.reached.values()) if found.reached else 0.0
    return Finding("match", {**found.reached, near.type: excess + inside}, closest)


@dataclass(frozen=True, slots=True)
class _Row:
    """A firearm or look-alike among the neighbours."""

    type: str
    kind: str
    similarity: float
    added: bool

    def alike(self, other: "_Row") -> bool:
        """Whether both would decide the same."""
        return self.kind == other.kind and (self.kind == "lookalike" or self.type == other.type)


def _telling(neighbours: Neighbours) -> list[_Row]:
    rows = zip(
        neighbours.ids,
        neighbours.types,
        neighbours.kinds,
        neighbours.similarities.tolist(),
        strict=True,
    )
    return [
        _Row(its_type, kind, similarity, name in neighbours.added)
        for name, its_type, kind, similarity in rows
        if kind in ("firearm", "lookalike")
    ]


def _nearest_added(rows: Sequence[_Row], policy: Policy) -> _Row | None:
    """Return the added prototype that decides by itself; of equally near ones, a firearm."""
    added = [row for row in rows if row.added]
    near = max(added, key=lambda row: (row.similarity, row.kind == "firearm"), default=None)
    if near is None or near.similarity < 1 - policy.near_radius:
        return None
    nearest = max(row.similarity for row in rows)
    return near if near.similarity >= nearest - TIE else None


def _short_of_near(rows: Sequence[_Row], policy: Policy) -> float:
    """Return how much nearer an added prototype must be to decide by itself."""
    nearest = max((row.similarity for row in rows), default=-math.inf)
    wanted = max(1 - policy.near_radius, nearest - TIE)
    return min((wanted - row.similarity for row in rows if row.added), default=math.inf)


def _counting(rows: Sequence[_Row]) -> float:
    """Return how near an added look-alike is to counting beside a head, or to not doing so."""
    nearest = max((row.similarity for row in rows if row.kind == "firearm"), default=-math.inf)
    added = (row.similarity for row in rows if row.added and row.kind == "lookalike")
    return min((abs(similarity - (nearest - TIE)) for similarity in added), default=math.inf)


def _lead(near: _Row, rows: Sequence[_Row]) -> float:
    """Return by how much what decides is nearer than what would decide otherwise."""
    others = (row for row in rows if not (row.added and row.alike(near)))
    leads = (near.similarity - row.similarity + TIE * (not row.added) for row in others)
    return min(leads, default=math.inf)


def _found(
    neighbours: Neighbours, policy: Policy, margin: float, scores: Mapping[str, float] | None
) -> Finding:
    """Apply the hard or the soft rule, or that of the head, see ``find``."""
    best = _best(neighbours, "firearm")
    # A head knows firearms without any prototype of one.
    nearest = max(best.values(), default=-math.inf if scores is None else -1.0)
    edge = abs(nearest - policy.least_similarity) if best else math.inf
    if nearest < policy.least_similarity:
        return Finding("no-match", {}, edge)
    lookalike = max(_best(neighbours, "lookalike").values(), default=-math.inf)
    vetoed = lookalike > nearest + policy.lookalike_margin
    soft = policy.by_kind
    weights = _supports(neighbours, policy.temperature) if policy.temperature else scores or best
    own, common = policy.thresholds, policy.threshold
    excess = {name: by - own.get(name, common) - margin for name, by in weights.items()}
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
    band, ordered = policy.near_miss, sorted(reached.values())
    edges = [*map(abs, excess.values()), *(abs(by + band) for by in excess.values())]
    least = min([*edges, *(after - by for by, after in pairwise(ordered))], default=math.inf)
    return least if policy.head is None else least / SCORE_UNIT


def _best(neighbours: Neighbours, kind: str) -> dict[str, float]:
    """Return the best similarity of each type among the neighbours of a kind."""
    best: dict[str, float] = {}
    rows = zip(neighbours.types, neighbours.kinds, neighbours.similarities.tolist(), strict=True)
    for name, its_kind, similarity in rows:
        if its_kind == kind and similarity >= best.get(name, -1.0):
            best[name] = similarity
    return best


def _supports(neighbours: Neighbours, temperature: float) -> dict[str, float]:
    kinds = np.array(neighbours.kinds, dtype=np.str_)
    telling = np.flatnonzero((kinds == "firearm") | (kinds == "lookalike"))
    if not telling.size:
        return {}
    names = [neighbours.types[place] for place in telling.tolist()]
    firearm = kinds[telling] == "firearm"
    return type_supports(neighbours.similarities[telling], firearm, names, temperature)
