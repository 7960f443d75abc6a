"""Which of many embeddings stand for the rest. Pure; must not know files or networks."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from training.errors import BadInput

ITERATIONS = 50


def medoids(rows: NDArray[np.float32], k: int, seed: int = 0) -> list[int]:
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
    if k < 1:
        raise ValueError(f"{k} prototypes are too few; at least 1")
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


def medoids_by_name(
    rows: NDArray[np.float32], names: Sequence[str], k: int | None, seed: int = 0
) -> list[int]:
    """Choose k rows of each name as ``medoids`` does; None chooses all.

    Returns:
        Places in ascending order.
    """
    if k is None:
        return list(range(len(rows)))
    labels = np.asarray(names)
    chosen: list[int] = []
    for name in sorted(set(names)):
        members = np.flatnonzero(labels == name)
        chosen.extend(int(members[place]) for place in medoids(rows[members], k, seed))
    return sorted(chosen)


def clear(
    firearms: NDArray[np.float32],
    harmless: NDArray[np.float32],
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
