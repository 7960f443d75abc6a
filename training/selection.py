"""Which of many embeddings stand for the rest. Pure; must not know files or networks."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from training.errors import BadInput

ITERATIONS = 50

Rows = NDArray[np.float32]


def medoids(rows: Rows, k: int, seed: int = 0) -> list[int]:
    """Choose k rows by k-means on the sphere: of each cluster the row nearest to its centre.

    Args:
        rows: float32[N, D], L2-normalised.
        k: How many to choose, at least 1; where there are no more rows, all are chosen.
        seed: Of the first centres.

    Returns:
        Places in ascending order; fewer than k where rows coincide.

    Raises:
        BadInput: scikit-learn is not installed.
        ValueError: k is below 1.

    Source: Dhillon and Modha, Concept Decompositions, 2001. On unit vectors Euclidean k-means
        assigns as the spherical one does, but for centres of different lengths; so the places
        are chosen by cosine to the normalised centres.
    """
    _check_count(k)
    if len(rows) <= k:
        return list(range(len(rows)))
    try:
        from sklearn.cluster import KMeans
    except ImportError:
        raise BadInput(
            "choosing prototypes needs scikit-learn; pip install 'moderator[training]'"
        ) from None
    distinct = np.unique(rows, axis=0, return_index=True)[1]
    if len(distinct) <= k:
        return sorted(int(place) for place in distinct)
    found = KMeans(k, n_init=1, max_iter=ITERATIONS, random_state=seed).fit(rows)
    centres = found.cluster_centers_
    similarities = rows @ (centres / np.linalg.norm(centres, axis=1, keepdims=True)).T
    chosen = []
    for cluster in range(k):
        members = np.flatnonzero(found.labels_ == cluster)
        if members.size:
            chosen.append(int(members[np.argmax(similarities[members, cluster])]))
    return sorted(chosen)


def facility(rows: Rows, k: int, seed: int = 0) -> list[int]:  # noqa: ARG001
    """Choose k rows one after the other, each the one that most raises the coverage.

    The coverage is the sum over all rows of the similarity to the nearest chosen one (facility
    location). The greedy choice has at least 1 - 1/e of the best coverage that k rows can have.

    Args:
        rows: float32[N, D], L2-normalised.
        k: How many to choose, at least 1; where there are no more rows, all are chosen.
        seed: Ignored: there is no chance in it.

    Returns:
        Places in ascending order.

    Raises:
        ValueError: k is below 1.

    Source: Nemhauser, Wolsey and Fisher, 1978.
    """
    _check_count(k)
    if len(rows) <= k:
        return list(range(len(rows)))
    similarities = np.asarray(rows @ rows.T, np.float64)
    covered = np.full(len(rows), -1.0)
    chosen: list[int] = []
    for _ in range(k):
        gains = np.maximum(similarities, covered[:, None]).sum(axis=0)
        gains[chosen] = -np.inf
        best = int(np.argmax(gains))
        chosen.append(best)
        covered = np.maximum(covered, similarities[:, best])
    return sorted(chosen)


def k_centre(rows: Rows, k: int, seed: int = 0) -> list[int]:  # noqa: ARG001
    """Choose k rows one after the other, each the farthest from those chosen.

    The first is the nearest to the mean. No row is then farther from the nearest chosen one than
    twice what the best k rows could do. It seeks out the odd ones, wrong labels among them.

    Args:
        rows: See ``facility``.
        k: Likewise.
        seed: Likewise.

    Returns:
        Places in ascending order.

    Raises:
        ValueError: k is below 1.

    Source: Gonzalez, Clustering to Minimize the Maximum Intercluster Distance, 1985.
    """
    _check_count(k)
    if len(rows) <= k:
        return list(range(len(rows)))
    first = int(np.argmax(rows @ rows.mean(axis=0)))
    chosen, nearest = [first], np.asarray(rows @ rows[first], np.float64)
    while len(chosen) < k:
        nearest[chosen] = np.inf
        farthest = int(np.argmin(nearest))
        chosen.append(farthest)
        nearest = np.maximum(nearest, rows @ rows[farthest])
    return sorted(chosen)


def _check_count(k: int) -> None:
    if k < 1:
        raise ValueError(f"{k} prototypes are too few; at least 1")


SELECTIONS: Mapping[str, Callable[[Rows, int, int], list[int]]] = {
    "medoids": medoids,
    "facility": facility,
    "k-centre": k_centre,
}
"""How prototypes may be chosen, by name."""


def chosen_by_name(
    rows: Rows, names: Sequence[str], k: int | None, seed: int = 0, method: str = "medoids"
) -> list[int]:
    """Choose k rows of each name by a method of ``SELECTIONS``; None chooses all.

    Returns:
        Places in ascending order.
    """
    if k is None:
        return list(range(len(rows)))
    labels = np.asarray(names)
    chosen: list[int] = []
    for name in sorted(set(names)):
        members = np.flatnonzero(labels == name)
        found = SELECTIONS[method](rows[members], k, seed)
        chosen.extend(int(members[place]) for place in found)
    return sorted(chosen)


def clear(
    firearms: Rows,
    harmless: Rows,
    groups: Sequence[str],
    sources: Sequence[str | None],
    margin: float,
) -> NDArray[np.bool_]:
    """Tell which firearms are nearer to another firearm than to anything harmless.

    Photographs in which the firearm is small or hardly to be seen look like the scene around it;
    as prototypes they flag scenes.

    Args:
        firearms: float32[N, D], L2-normalised, at least 1.
        harmless: float32[M, D], L2-normalised; none: all firearms are clear.
        groups: Of each firearm; near copies do not count as another firearm.
        sources: Of each firearm; those of one known source do not count either, for they share
            more than what they show.
        margin: By how much nearer, in cosine similarity.

    Returns:
        bool[N]; all true where no firearm is of another source and group.
    """
    if not len(harmless):
        return np.ones(len(firearms), np.bool_)
    own = firearms @ firearms.T
    marks = np.unique(np.asarray(groups), return_inverse=True)[1]
    own[marks[:, None] == marks[None, :]] = -np.inf
    places = np.unique([source or "" for source in sources], return_inverse=True)[1]
    known = np.array([source is not None for source in sources])
    own[(places[:, None] == places[None, :]) & known[:, None] & known[None, :]] = -np.inf
    nearest = own.max(axis=1)
    against = (firearms @ harmless.T).max(axis=1)
    found: NDArray[np.bool_] = (nearest > against + margin) | np.isneginf(nearest)
    return found
