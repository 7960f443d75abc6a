"""Rankings in which each photograph stands together with its nearest neighbours.

A database entry becomes the mean of itself and its nearest ones, a query that of itself and what
it finds first: two photographs of one type that differ then meet by what is between them. The
network runs no more often; a query is put to the index twice.

Source: database-side feature augmentation (Turcot and Lowe 2009; Arandjelović and Zisserman 2012)
and weighted query expansion (Radenović 2018).
"""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from training.ranking.rank import Ranked, Rows, rank

POWER = 3.0
"""Of the similarity, by which a neighbour is weighed."""


def rank_with_neighbours(
    queries: Rows,
    database: Rows,
    relevant: Sequence[Collection[int]],
    ignored: Sequence[Collection[int]] = (),
    *,
    count: int,
) -> Ranked:
    """Rank a database whose entries, and the queries, are averaged with their neighbours.

    What a query ignores, as itself and its near copies, takes no part in any average of its
    ranking: to each query the database is as if they had never been in it.

    Args:
        queries: float32[Q, D], L2-normalised.
        database: float32[N, D], L2-normalised.
        relevant: For each query, the relevant places in the database.
        ignored: For each query, places that its ranking leaves out; empty: none at all.
        count: Neighbours of each average, at least 1.

    Raises:
        ValueError: Shapes or lengths do not fit, or a figure is out of its range.
    """
    if count < 1:
        raise ValueError(f"{count} neighbours are averaged; at least 1 are")
    similar = database @ database.T
    most = max((len(places) for places in ignored), default=0)
    near = np.argsort(-similar, axis=1, kind="stable")[:, : count + 1 + most]
    whole = _averaged(database, similar, near[:, : count + 1], np.arange(len(database)))
    parts = []
    for place, query in enumerate(queries):
        left_out = ignored[place] if ignored else ()
        entries = _without(whole, database, similar, near, left_out=left_out, count=count)
        asked = _expanded(query, entries, left_out, count)
        mine = [left_out] if ignored else ()
        parts.append(rank(asked[None], entries, [relevant[place]], mine))
    return Ranked(
        tuple(part.order[0] for part in parts),
        tuple(part.similarities[0] for part in parts),
        tuple(part.relevant[0] for part in parts),
    )


def _averaged(
    database: Rows, similar: Rows, near: NDArray[np.int64], places: NDArray[np.int64]
) -> Rows:
    """Return float32[P, D]: the weighted means of the entries at ``near`` int64[P, K]."""
    weights = np.clip(similar[places[:, None], near], 0, None) ** POWER
    return _unit((database[near] * weights[..., None]).sum(axis=1))


def _without(
    whole: Rows,
    database: Rows,
    similar: Rows,
    near: NDArray[np.int64],
    *,
    left_out: Collection[int],
    count: int,
) -> Rows:
    """Return the averaged entries as they are without some places."""
    gone = np.array(sorted(left_out), np.int64)
    touched = np.flatnonzero(np.isin(near[:, : count + 1], gone).any(axis=1))
    if not len(touched):
        return whole
    changed = whole.copy()
    for place in touched:
        # What is left out itself is not ranked, so it may stay as it is.
        kept = near[place][~np.isin(near[place], gone)][: count + 1]
        if len(kept):
            changed[place] = _averaged(database, similar, kept[None], np.array([place]))[0]
    return changed


def _expanded(query: Rows, entries: Rows, left_out: Collection[int], count: int) -> Rows:
    similarity = entries @ query
    similarity[sorted(left_out)] = -1
    first = np.argsort(-similarity, kind="stable")[:count]
    weights = np.clip(similarity[first], 0, None) ** POWER
    found: Rows = _unit((query + weights @ entries[first])[None])[0]
    return found


def _unit(rows: Rows) -> Rows:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Rows = (rows / np.clip(lengths, 1e-12, None)).astype(np.float32)
    return unit
