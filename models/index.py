"""Nearest prototypes by cosine similarity, through hnswlib. Knows nothing of networks or decisions.

An index is never written once it is built: hnswlib's queries are not safe beside its writes.
Changes make a new index that shares the old one's graph.
"""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models import indexfile
from models.errors import BadRelease, WrongDimension
from models.prototypes import Prototypes

GRAPH_LINKS = 32
"""Links of each element (hnswlib's M): recall on clustered data needs more than its 16."""

BUILD_WIDTH = 200
"""Candidates looked at while the graph is built (ef_construction)."""

SEARCH_WIDTH = 128
"""Candidates looked at by a query (ef), at least; it is not saved with an index."""

SEED = 100
SPARE = 16
"""Neighbours asked for beyond k at first, where some prototypes have been removed."""


@dataclass(frozen=True, eq=False, slots=True)
class Neighbours:
    """Prototypes near an embedding, best first, equally near ones in order of their ids.

    ``similarities`` is float32[K], cosines in -1..1. ``added`` are the ids among them that
    ``PrototypeIndex.with_changes`` added.
    """

    ids: tuple[str, ...]
    types: tuple[str, ...]
    kinds: tuple[str, ...]
    similarities: NDArray[np.float32]
    added: frozenset[str] = frozenset()


class _Searcher(Protocol):
    """The part of hnswlib's indexes that is used; ``ef`` and the like are the graph's only."""

    ef: int

    def init_index(self, max_elements: int, **graph: int) -> None: ...
    def add_items(self, data: object, ids: object, **graph: int) -> None: ...
    def set_ef(self, ef: int) -> None: ...
    def save_index(self, path: str) -> None: ...
    def load_index(self, path: str, max_elements: int) -> None: ...
    def get_items(self, ids: object) -> NDArray[np.float32]: ...
    def knn_query(
        self, data: object, k: int, num_threads: int
    ) -> tuple[NDArray[np.uint64], NDArray[np.float32]]: ...


class _Layer:
    """Prototypes with hnswlib's index of them; labels are their places in order of ids."""

    def __init__(self, prototypes: Prototypes, searcher: _Searcher, *, exact: bool) -> None:
        self.prototypes = prototypes
        self.exact = exact
        self._searcher = searcher
        order = sorted(range(len(prototypes)), key=prototypes.ids.__getitem__)
        self.order = np.array(order, np.int64)
        self.places = {name: place for place, name in enumerate(prototypes.ids)}

    def search(
        self, rows: NDArray[np.float32], k: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return places int64[N, k] and similarities float32[N, k], best first; k ≤ its size."""
        if not self.exact and self._searcher.ef < k:
            # A width below k finds fewer; setting it would race with other threads' queries.
            return _exhaust(self.prototypes.embeddings, rows, k)
        try:
            labels, distances = self._searcher.knn_query(rows, k=k, num_threads=1)
        except RuntimeError:
            # Fewer than k can be reached in the graph.
            return _exhaust(self.prototypes.embeddings, rows, k)
        return self.order[labels.astype(np.int64)], 1 - distances

    def save(self, path: Path) -> None:
        self._searcher.save_index(os.fspath(path))


class PrototypeIndex:
    """Prototypes that can be searched; immutable, safe to query from several threads.

    Exact below ``EXACT_BELOW`` prototypes, a graph from there on; make one with ``build``.
    """

    EXACT_BELOW = 2000

    def __init__(
        self, base: _Layer, delta: _Layer | None = None, removed: frozenset[str] = frozenset()
    ) -> None:
        self._base = base
        self._delta = delta
        self._removed = removed
        self._kinds: tuple[PrototypeIndex, PrototypeIndex] | None = None

    @classmethod
    def build(cls, prototypes: Prototypes) -> "PrototypeIndex":
        """Index prototypes; the same ones give the same index."""
        exact = len(prototypes) < cls.EXACT_BELOW
        return cls(_built(prototypes, exact=exact))

    @property
    def dimension(self) -> int:
        """Of the embeddings it holds and is asked with."""
        return self._base.prototypes.dimension

    def __len__(self) -> int:
        return (
            len(self._base.prototypes)
            - len(self._removed)
            + (len(self._delta.prototypes) if self._delta else 0)
        )

    @property
    def exact(self) -> bool:
        """Whether a query compares with every prototype."""
        return self._base.exact

    def query(
        self, embeddings: NDArray[np.float32], k: int, *, added_apart: bool = False
    ) -> list[Neighbours]:
        """Find the nearest prototypes.

        Args:
            embeddings: float32[N, D]; only their directions matter. A row that is not finite has
                no neighbours, which says nothing of the image: what makes embeddings must see
                to it that there are none.
            k: How many to find; where fewer prototypes are left, there are fewer.
            added_apart: Find k of those that ``with_changes`` added and k of the others, however
                much nearer these are.

        Returns:
            Neighbours of each row.

        Raises:
            WrongDimension: The embeddings are of another dimension.
            ValueError: k is below 1, or the embeddings are not a matrix.
        """
        rows = np.ascontiguousarray(embeddings, dtype=np.float32)
        if rows.ndim != 2 or k < 1:
            raise ValueError(f"a query needs float32[N, D] and k ≥ 1, not {rows.shape} and {k}")
        if rows.shape[1] != self.dimension:
            raise WrongDimension(rows.shape[1], self.dimension)
        found: list[Neighbours] = [_NONE] * len(rows)
        sound = np.flatnonzero(np.isfinite(rows).all(axis=1))
        if sound.size:
            for row, neighbours in zip(
                sound, self._query(rows[sound], k, added_apart=added_apart), strict=True
            ):
                found[row] = neighbours
        return found

    def query_kinds(
        self, embeddings: NDArray[np.float32], k: int, *, added_apart: bool = False
    ) -> list[Neighbours]:
        """Find the nearest firearms and the nearest of all else, k of each.

        What weighs the one against the other needs both, however much nearer one of them is.

        Args:
            embeddings: As ``query`` takes them.
            k: How many of each to find; where there are fewer, fewer.
            added_apart: Likewise.

        Returns:
            Neighbours of each row, up to 2k, or 4k with those added apart, best first.

        Raises:
            WrongDimension: The embeddings are of another dimension.
            ValueError: k is below 1, or the embeddings are not a matrix.
        """
        firearms, others = (
            part.query(embeddings, k, added_apart=added_apart) for part in self._by_kind()
        )
        return [_merged(*pair) for pair in zip(firearms, others, strict=True)]

    def with_changes(self, added: Prototypes, removed: Collection[str]) -> "PrototypeIndex":
        """Return an index with prototypes removed, then others added; this one stays as it is.

        What is added takes the place of what has the same id. It is searched exactly beside this
        index's graph, which is shared, so that the cost is that of the changes alone.

        Args:
            added: Of the same dimension.
            removed: Ids; those that are not there do not matter.

        Raises:
            WrongDimension: ``added`` is of another dimension.
        """
        if added.dimension != self.dimension:
            raise WrongDimension(added.dimension, self.dimension)
        gone = {*removed, *added.ids}
        hidden = self._removed | (gone & self._base.places.keys())
        joined = self._delta.prototypes.without(gone).joined(added) if self._delta else added
        delta = _built(joined, exact=True) if len(joined) else None
        changed = PrototypeIndex(self._base, delta, frozenset(hidden))
        if self._kinds is not None:
            first, second = _parts(added)
            firearms, others = self._kinds
            changed._kinds = (
                firearms.with_changes(first, gone),
                others.with_changes(second, gone),
            )
        return changed

    def save(self, path: Path) -> None:
        """Write hnswlib's file, which ``load`` reads along with the same prototypes.

        Raises:
            ValueError: The index has changes on top, which no file can hold.
        """
        if self._delta is not None or self._removed:
            raise ValueError("an index with changes cannot be saved; build one of its prototypes")
        self._base.save(path)

    @classmethod
    def load(cls, path: Path, prototypes: Prototypes) -> "PrototypeIndex":
        """Read hnswlib's file of prototypes; its digest must have been verified before.

        Raises:
            BadRelease: The file is not there, not hnswlib's, or of other prototypes.
        """
        exact = len(prototypes) < cls.EXACT_BELOW
        indexfile.check(path, len(prototypes), prototypes.dimension, exact=exact)
        searcher = _empty(prototypes.dimension, exact=exact)
        try:
            searcher.load_index(os.fspath(path), max_elements=len(prototypes))
        except RuntimeError as error:
            raise BadRelease(f"{path} is not an index ({error}); {indexfile.REMEDY}") from None
        if not exact:
            searcher.set_ef(SEARCH_WIDTH)
        layer = _Layer(prototypes, searcher, exact=exact)
        if not exact:
            _check_vectors(path, searcher, layer)
        return cls(layer)

    def prepare_kinds(self) -> None:
        """Build now what ``query_kinds`` asks, so that no query waits for it."""
        self._by_kind()

    def _by_kind(self) -> "tuple[PrototypeIndex, PrototypeIndex]":
        """Return indexes of the firearms and of all else, built the first time they are asked."""
        if self._kinds is None:
            live = self._base.prototypes.without(self._removed)
            firearms, others = map(PrototypeIndex.build, _parts(live))
            if self._delta is not None:
                first, second = _parts(self._delta.prototypes)
                firearms = firearms.with_changes(first, ())
                others = others.with_changes(second, ())
            self._kinds = firearms, others
        return self._kinds

    def _query(self, rows: NDArray[np.float32], k: int, *, added_apart: bool) -> list[Neighbours]:
        lists: list[list[tuple[float, str, str, str]]] = [[] for _ in rows]
        self._search_base(rows, k, lists)
        if self._delta is not None:
            most = min(k, len(self._delta.prototypes))
            _extend(lists, self._delta.prototypes, *self._delta.search(rows, most))
        added = self._delta.places if self._delta else ()
        if not added_apart:
            return [_neighbours(found, k, added) for found in lists]
        return [
            _merged(
                _neighbours([each for each in found if each[1] not in added], k),
                _neighbours([each for each in found if each[1] in added], k, added),
            )
            for found in lists
        ]

    def _search_base(
        self, rows: NDArray[np.float32], k: int, lists: list[list[tuple[float, str, str, str]]]
    ) -> None:
        """Add k live prototypes of the base to each list, or all there are."""
        prototypes = self._base.prototypes
        size, live = len(prototypes), len(prototypes) - len(self._removed)
        open_rows = np.arange(len(rows))
        asked = min(size, k + min(SPARE, len(self._removed)))
        while live and open_rows.size:
            places, similarities = self._base.search(rows[open_rows], asked)
            left = []
            for row, its_places, its in zip(open_rows, places, similarities, strict=True):
                found: list[list[tuple[float, str, str, str]]] = [[]]
                _extend(found, prototypes, its_places[None], its[None], self._removed)
                if len(found[0]) >= min(k, live) or asked == size:
                    lists[row].extend(found[0])
                else:
                    left.append(row)
            open_rows, asked = np.array(left, np.int64), min(size, asked * 4)


_NONE = Neighbours((), (), (), np.zeros(0, np.float32))


def _empty(dimension: int, *, exact: bool) -> _Searcher:
    # Imported here: settings errors and --help must not wait for it.
    import hnswlib

    kind = hnswlib.BFIndex if exact else hnswlib.Index
    searcher: _Searcher = kind(space="cosine", dim=dimension)
    return searcher


def _built(prototypes: Prototypes, *, exact: bool) -> _Layer:
    searcher = _empty(prototypes.dimension, exact=exact)
    layer = _Layer(prototypes, searcher, exact=exact)
    size = max(1, len(prototypes))
    if exact:
        searcher.init_index(max_elements=size)
    else:
        searcher.init_index(
            max_elements=size, M=GRAPH_LINKS, ef_construction=BUILD_WIDTH, random_seed=SEED
        )
        searcher.set_ef(SEARCH_WIDTH)
    if len(prototypes):
        rows, labels = prototypes.embeddings[layer.order], np.arange(len(prototypes))
        # On one thread: with several, the order of insertion and so the graph would vary.
        searcher.add_items(rows, labels, **({} if exact else {"num_threads": 1}))
    return layer


def _exhaust(
    embeddings: NDArray[np.float32], rows: NDArray[np.float32], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the k nearest by one matrix product, as ``_Layer.search`` does."""
    norms = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.float32(1e-30))
    similarities = (rows / norms) @ embeddings.T
    places = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
    return places, np.take_along_axis(similarities, places, axis=1)


def _extend(
    lists: Sequence[list[tuple[float, str, str, str]]],
    prototypes: Prototypes,
    places: NDArray[np.int64],
    similarities: NDArray[np.float32],
    removed: Collection[str] = (),
) -> None:
    for found, its_places, its in zip(lists, places, similarities, strict=True):
        for place, similarity in zip(its_places.tolist(), its.tolist(), strict=True):
            name = prototypes.ids[place]
            if name not in removed:
                found.append((similarity, name, prototypes.types[place], prototypes.kinds[place]))


def _neighbours(
    found: list[tuple[float, str, str, str]], k: int, added: Collection[str] = ()
) -> Neighbours:
    best = sorted(found, key=lambda item: (-item[0], item[1]))[:k]
    if not best:
        return _NONE
    similarities, ids, types, kinds = zip(*best, strict=True)
    clipped = np.clip(np.array(similarities, np.float32), -1, 1)
    return Neighbours(ids, types, kinds, clipped, frozenset(n for n in ids if n in added))


def _parts(prototypes: Prototypes) -> tuple[Prototypes, Prototypes]:
    """Return the firearms, and all else."""
    pairs = list(zip(prototypes.ids, prototypes.kinds, strict=True))
    firearms = {name for name, kind in pairs if kind == "firearm"}
    return prototypes.without({name for name, _ in pairs} - firearms), prototypes.without(firearms)


def _merged(one: Neighbours, other: Neighbours) -> Neighbours:
    rows = [
        row
        for part in (one, other)
        for row in zip(part.similarities.tolist(), part.ids, part.types, part.kinds, strict=True)
    ]
    return _neighbours(rows, len(rows), one.added | other.added)


def _check_vectors(path: Path, searcher: _Searcher, layer: _Layer) -> None:
    """Refuse a graph of other vectors than the prototypes'."""
    size = len(layer.prototypes)
    try:
        vectors = searcher.get_items(np.arange(size))
    except RuntimeError:
        vectors = np.zeros((size, 1), np.float32)
    if not np.allclose(vectors, layer.prototypes.embeddings[layer.order], atol=1e-4):
        raise BadRelease(f"{path} is an index of other prototypes; {indexfile.REMEDY}")
