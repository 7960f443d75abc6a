"""What an index says of photographs and their regions, before any threshold.

A *frame* is a photograph as a whole or one of its regions. Asks as serving asks; must not know
how thresholds are chosen, nor files or networks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.head import HeadClass
from models.index import Neighbours, PrototypeIndex
from models.policy import MOST_LOGITS, Policy
from models.scoring import class_scores, supports
from training.threshold import VETOED, Floats

BARRED_SUPPORT = -2.0
"""Flag score, under the soft rule, of what no threshold flags."""

BLOCK = 8192
"""Frames that are asked about at once."""

Places = NDArray[np.int64]
Rows = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Frames:
    """What an index says of F frames of N photographs, and of the T types near each.

    Args:
        count: N.
        photo: int64[F], the photograph of each frame, rising.
        whole: bool[F], whether it is the whole photograph: each photograph's first frame is.
        nearest: float64[F], similarity to the nearest firearm, -1 without one.
        support: float64[F], what thresholds speak of, for the best type: that similarity, or the
            support under the soft rule.
        barred: bool[F], whether a nearer look-alike keeps it from being flagged.
        types: Names of types.
        row: int64[M], frames with a type near them, rising.
        code: int64[M], the place in ``types`` of that type.
        value: float64[M], what thresholds speak of, for that type.
        floor: Flag score of what no threshold flags.
    """

    count: int
    photo: Places
    whole: NDArray[np.bool_]
    nearest: Floats
    support: Floats
    barred: NDArray[np.bool_]
    types: tuple[str, ...]
    row: Places
    code: Places
    value: Floats
    floor: float

    @property
    def has_regions(self) -> bool:
        """Whether there are frames other than whole photographs."""
        return not bool(self.whole.all())

    def wholes(self) -> "Frames":
        """Return the same photographs without their regions."""
        places = np.cumsum(self.whole) - 1
        kept = self.whole[self.row]
        return Frames(
            count=self.count,
            photo=self.photo[self.whole],
            whole=self.whole[self.whole],
            nearest=self.nearest[self.whole],
            support=self.support[self.whole],
            barred=self.barred[self.whole],
            types=self.types,
            row=places[self.row[kept]],
            code=self.code[kept],
            value=self.value[kept],
            floor=self.floor,
        )

    def best_types(
        self, offsets: Mapping[str, float] | None = None, margin: float | None = None
    ) -> Places:
        """Return int64[N], the place in ``types`` of what each photograph is most like; -1: none.

        Args:
            offsets: How much more than the others types need.
            margin: How much more regions need than whole photographs; None: they do not count.
        """
        value = self._less(offsets or {})
        value = np.where(self.whole[self.row], value, value - (margin or 0.0))
        counted = self.whole[self.row] | (margin is not None)
        # By value, so that the last one written to a photograph is its best.
        order = np.lexsort((-self.code, value))
        order = order[counted[order]]
        best = np.full(self.count, -1, np.int64)
        best[self.photo[self.row[order]]] = self.code[order]
        return best

    def scores(
        self, offsets: Mapping[str, float] | None = None, *, least: float = -1.0
    ) -> tuple[Floats, Floats]:
        """Return flag scores: a photograph is flagged where one reaches the threshold.

        Args:
            offsets: How much more than the common threshold types need; others need no more.
            least: Similarity to the nearest firearm below which nothing is flagged.

        Returns:
            Of the whole photographs float64[N], and of each one's best region float64[N].
        """
        frame = self._by_types(offsets or {}, np.full(len(self.photo), self.floor))
        frame[self.barred | (self.nearest < least)] = self.floor
        return self._by_photo(frame)

    def evidence(self, offsets: Mapping[str, float] | None = None) -> tuple[Floats, Floats]:
        """Return what scores are made of, whether or not anything bars it; as ``scores`` else."""
        return self._by_photo(self._by_types(offsets or {}, self.support))

    def _by_types(self, offsets: Mapping[str, float], default: Floats) -> Floats:
        """Return the best of each frame's types, with no type near it the default."""
        found = _maxima(self._less(offsets), self.row, len(self.photo))
        return np.where(np.isneginf(found), default, found)

    def _less(self, offsets: Mapping[str, float]) -> Floats:
        """Return the values less what their types need more than the others."""
        more = np.array([offsets.get(name, 0.0) for name in self.types], np.float64)
        return self.value - more[self.code]

    def _by_photo(self, frame: Floats) -> tuple[Floats, Floats]:
        regions = np.full(self.count, self.floor)
        np.maximum.at(regions, self.photo[~self.whole], frame[~self.whole])
        return frame[self.whole], regions


def combined(whole: Floats, regions: Floats, margin: float | None) -> Floats:
    """Return the flag score of photographs judged with their regions; None: without them."""
    return whole if margin is None else np.maximum(whole, regions - margin)


def offsets_of(policy: Policy) -> dict[str, float]:
    """Return how much more than the common threshold a policy's types need."""
    return {name: value - policy.threshold for name, value in policy.thresholds.items()}


def flag_scores_of(frames: Frames, policy: Policy) -> Floats:
    """Return float64[N]: a policy flags what reaches its common threshold."""
    found = frames.scores(offsets_of(policy), least=policy.least_similarity)
    return combined(*found, policy.region_margin)


def evidence_of(frames: Frames, policy: Policy) -> Floats:
    """Return float64[N], what a policy makes scores of, on the scale of its common threshold."""
    return combined(*frames.evidence(offsets_of(policy)), policy.region_margin)


def look(
    index: PrototypeIndex,
    described: Sequence[Rows],
    *,
    neighbours: int,
    temperature: float | None,
    lookalike_margin: float,
) -> Frames:
    """Ask an index about photographs just as it is asked where it serves.

    Args:
        index: Of prototypes.
        described: For each photograph float32[1 + R, D], the whole first, then its regions, as
            they come back from float16.
        neighbours: See ``models.policy.Policy``.
        temperature: Likewise.
        lookalike_margin: Likewise.
    """
    photo, whole = _places([len(rows) for rows in described])
    flat = (
        np.concatenate(described) if len(described) else np.zeros((0, index.dimension), np.float32)
    )
    found: list[Neighbours] = []
    for begin in range(0, len(flat), BLOCK):
        query = index.query if temperature is None else index.query_kinds
        found += query(flat[begin : begin + BLOCK], neighbours)
    table = _table(found)
    nearest = _best(table, firearm=True)
    if temperature is None:
        barred = _best(table, firearm=False) > nearest + lookalike_margin
        support, values = nearest, table.hard_values()
    else:
        barred = np.zeros(len(flat), np.bool_)
        support = supports(table.similarities, table.firearm, temperature) if len(flat) else nearest
        values = table.soft_values(support, temperature)
    return Frames(
        len(described), photo, whole, nearest, support, barred, table.types, *values,
        floor=VETOED if temperature is None else BARRED_SUPPORT,
    )  # fmt: skip


def look_by_head(
    logits: Sequence[Rows], nearest: Floats, classes: Sequence[HeadClass], temperature: float
) -> Frames:
    """Say what a head says of photographs, where prototypes are evidence only.

    Args:
        logits: For each photograph float32[1 + R, C], the whole first, then its regions.
        nearest: float64[F], of each of these rows, similarity to the nearest firearm.
        classes: C of them.
        temperature: See ``models.policy.HeadRule``.

    Returns:
        Frames whose values are those of ``models.scoring.Scorer``.
    """
    sizes = [len(rows) for rows in logits]
    firearm = np.array([each.kind == "firearm" for each in classes], np.bool_)
    photo, whole = _places(sizes)
    wide = np.concatenate([np.zeros((0, len(classes)), np.float32), *logits]).astype(np.float64)
    values = class_scores(wide[:, firearm], wide[:, ~firearm], temperature)
    row, code = np.indices(values.shape).reshape(2, -1)
    types = tuple(each.name for each in classes if each.kind == "firearm")
    return Frames(
        len(logits), photo, whole, nearest, values.max(axis=1), np.zeros(len(wide), np.bool_),
        types, row, code, values.ravel(), floor=-MOST_LOGITS,
    )  # fmt: skip


def _places(sizes: Sequence[int]) -> tuple[Places, NDArray[np.bool_]]:
    """Return of each frame its photograph and whether it is the whole one, of these many each."""
    photo = np.repeat(np.arange(len(sizes)), sizes)
    return photo, np.concatenate([[True], photo[1:] != photo[:-1]])[: len(photo)]


@dataclass(frozen=True, eq=False)
class _Table:
    """Neighbours as columns: similarities float64[F, K], firearm bool[F, K], code int64[F, K]."""

    similarities: Floats
    firearm: NDArray[np.bool_]
    code: Places
    types: tuple[str, ...]

    def hard_values(self) -> tuple[Places, Places, Floats]:
        """Return rows, codes and the best similarity of each type near each frame."""
        keys, inverse, similarities = self._grouped()
        return (*self._split(keys), _maxima(similarities, inverse, len(keys)))

    def soft_values(self, support: Floats, temperature: float) -> tuple[Places, Places, Floats]:
        """Return rows, codes and the support of each type, see ``models.scoring.type_supports``."""
        keys, inverse, similarities = self._grouped()
        best = _maxima(similarities, inverse, len(keys))
        total = np.bincount(
            inverse, np.exp((similarities - best[inverse]) / temperature), minlength=len(keys)
        )
        weight = best + temperature * np.log(total)
        row, code = self._split(keys)
        most = _maxima(weight, row, len(support))
        return row, code, support[row] - (most[row] - weight)

    def _grouped(self) -> tuple[Places, NDArray[np.intp], Floats]:
        rows = np.broadcast_to(np.arange(len(self.code))[:, None], self.code.shape)[self.firearm]
        keys, inverse = np.unique(
            rows * max(1, len(self.types)) + self.code[self.firearm], return_inverse=True
        )
        return keys, inverse, self.similarities[self.firearm]

    def _split(self, keys: Places) -> tuple[Places, Places]:
        row, code = np.divmod(keys, max(1, len(self.types)))
        return row, code


def _table(found: Sequence[Neighbours]) -> _Table:
    """Every frame has equally many neighbours: as many as asked for, or all prototypes."""
    codes: dict[str, int] = {}
    shape = len(found), len(found[0].ids) if found else 0
    similarities = np.array([each.similarities for each in found], np.float64)
    firearm = np.array([[kind == "firearm" for kind in each.kinds] for each in found], np.bool_)
    code = [[codes.setdefault(name, len(codes)) for name in each.types] for each in found]
    return _Table(
        similarities=similarities.reshape(shape),
        firearm=firearm.reshape(shape),
        code=np.array(code, np.int64).reshape(shape),
        types=tuple(codes),
    )


def _maxima(values: Floats, places: NDArray[np.integer[Any]], count: int) -> Floats:
    """Return the greatest value of each place; minus infinity where there is none."""
    found = np.full(count, -np.inf)
    np.maximum.at(found, places, values)
    return found


def _best(table: _Table, *, firearm: bool) -> Floats:
    chosen = np.where(table.firearm == firearm, table.similarities, -1.0)
    result: Floats = chosen.max(axis=1, initial=-1.0)
    return result
