"""From embeddings to whole rankings. Must not know networks, photographs or figures of merit."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Ranked:
    """Rankings of one database, one per query, best first.

    Args:
        order: int64[N_q] each, places in the database; ignored ones are left out.
        similarities: float32[N_q] each, of those places to the query; never rising.
        relevant: bool[N_q] each, whether those places are relevant.
    """

    order: tuple[NDArray[np.int64], ...]
    similarities: tuple[Rows, ...]
    relevant: tuple[NDArray[np.bool_], ...]

    def __len__(self) -> int:
        return len(self.order)


def rank(
    queries: Rows,
    database: Rows,
    relevant: Sequence[Collection[int]],
    ignored: Sequence[Collection[int]] = (),
) -> Ranked:
    """Rank a whole database by dot product with each query.

    Equally similar ones stay in the order of the database.

    Args:
        queries: float[Q, D], finite.
        database: float[N, D], finite.
        relevant: For each query, the relevant places in the database.
        ignored: For each query, places that its ranking leaves out; empty: none at all.

    Raises:
        ValueError: Shapes or lengths do not fit, or a figure is not finite.
    """
    check_asked(queries, database, relevant, ignored)
    size = len(database)
    order, similarities, marks = [], [], []
    for place, query in enumerate(queries):
        similarity = np.asarray(database @ query, np.float32)
        found = np.argsort(-similarity, kind="stable")
        if ignored and ignored[place]:
            found = found[~_marked(ignored[place], size)[found]]
        order.append(found)
        similarities.append(similarity[found])
        marks.append(_marked(relevant[place], size)[found])
    return Ranked(tuple(order), tuple(similarities), tuple(marks))


def check_asked(
    queries: Rows,
    database: Rows,
    relevant: Sequence[Collection[int]],
    ignored: Sequence[Collection[int]],
) -> None:
    """Refuse what cannot be ranked; see ``rank``.

    Raises:
        ValueError: Shapes or lengths do not fit, or an embedding is not finite.
    """
    if queries.ndim != 2 or database.ndim != 2 or queries.shape[1] != database.shape[1]:
        raise ValueError(f"queries {queries.shape} and database {database.shape} do not fit")
    if len(relevant) != len(queries) or (ignored and len(ignored) != len(queries)):
        raise ValueError(
            f"{len(queries)} queries have {len(relevant)} sets of relevant places and "
            f"{len(ignored)} of ignored ones"
        )
    if not (np.isfinite(queries).all() and np.isfinite(database).all()):
        raise ValueError("embeddings that are not finite cannot be ranked")


def _marked(places: Collection[int], size: int) -> NDArray[np.bool_]:
    marks = np.zeros(size, np.bool_)
    marks[list(places)] = True
    return marks
