"""Feature maps on disk, by shards of a plan. Must not know how maps are made or learnt from.

A folder holds for each shard ``<n>.npy`` (float16[k, h, w, c], mapped into memory) and, written
after it, ``<n>.json``: which samples it has, and where their firearms are. A shard without the
second file is as good as none, so that a run that was killed goes on with the next shard.
"""

import io
import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.stages.checkpoint import write_whole
from training.tuning.areas import Area

Maps = NDArray[np.float16]
Places = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Shard:
    """Maps of some samples.

    Args:
        places: Of the samples in the plan, rising.
        firearms: Of each, as far as it is known where they are.
        maps: float16[k, h, w, c].
    """

    places: tuple[int, ...]
    firearms: tuple[tuple[Area, ...], ...]
    maps: Maps


def write_shard(folder: Path, number: int, shard: Shard) -> None:
    """Write a shard, whole or not at all.

    Raises:
        BadInput: The disk is full.
    """
    content = io.BytesIO()
    np.save(content, np.ascontiguousarray(shard.maps), allow_pickle=False)
    write_whole(_file(folder, number), content.getvalue())
    firearms = [[astuple(area) for area in areas] for areas in shard.firearms]
    text = json.dumps({"places": shard.places, "firearms": firearms})
    write_whole(_marker(folder, number), text.encode())


def is_done(folder: Path, number: int) -> bool:
    """Return whether a shard has been written whole."""
    return _marker(folder, number).is_file() and _file(folder, number).is_file()


class MapStore:
    """The maps of a plan, as far as its samples could be made.

    ``places`` int64[M] are those samples' places in the plan, rising; what else is numbered by
    *row* follows their order.

    Args:
        folder: With all shards done.
        shards: How many there are.
    """

    def __init__(self, folder: Path, shards: int) -> None:
        files, places, firearms = [], [], []
        for number in range(shards):
            raw = json.loads(_marker(folder, number).read_text("utf-8"))
            files.append(np.load(_file(folder, number), mmap_mode="r", allow_pickle=False))
            places += raw["places"]
            firearms += [tuple(Area(*area) for area in areas) for areas in raw["firearms"]]
        self._files: list[Maps] = files
        self._begins = np.cumsum([0, *map(len, files)])
        self.places: Places = np.array(places, np.int64)
        self.firearms: tuple[tuple[Area, ...], ...] = tuple(firearms)

    def __len__(self) -> int:
        return len(self.places)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns and channels of a map."""
        _, rows, columns, channels = next(file for file in self._files if len(file)).shape
        return rows, columns, channels

    def get(self, rows: Places | Sequence[int]) -> Maps:
        """Return float16[K, h, w, c] of these rows, in their order.

        They are read in the order in which they lie on the disk.
        """
        wanted = np.asarray(rows, np.int64)
        found = np.empty((len(wanted), *self.shape), np.float16)
        order = np.argsort(wanted, kind="stable")
        shards = np.searchsorted(self._begins, wanted[order], side="right") - 1
        for shard in np.unique(shards).tolist():
            own = order[shards == shard]
            found[own] = self._files[shard][wanted[own] - self._begins[shard]]
        return found


def _file(folder: Path, number: int) -> Path:
    return folder / f"{number:06d}.npy"


def _marker(folder: Path, number: int) -> Path:
    return folder / f"{number:06d}.json"
