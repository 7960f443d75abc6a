"""Make the pictures of coming batches ready while one is being used. Must not know networks."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.folder import Photo
from training.stages.augment import augment, faithfully
from training.stages.batch import Batch
from training.stages.buckets import shapes
from training.stages.chance import chance
from training.stages.pixelstore import PixelStore
from training.stages.settings import Settings, is_faithful

AHEAD = 2
"""Batches that are made ready before they are asked for."""


@dataclass(frozen=True, eq=False)
class Bucket:
    """Pictures of one shape: uint8[n, height, width, 3], and int64[n], which of the batch."""

    pixels: NDArray[np.uint8]
    rows: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Ready:
    """A batch, its step in the epoch, and the pictures of this process's share of it."""

    step: int
    batch: Batch
    buckets: tuple[Bucket, ...]


class Feed:
    """The pictures of a run's batches, varied by chance that depends only on the position.

    Args:
        store: Of the photographs' pixels.
        photos: What batches' places are of.
        scenes: Photographs without firearms, for insets.
        settings: Of the run.
        share: Which of how many processes this is: row n of a batch is of process n mod count.
    """

    def __init__(
        self,
        store: PixelStore,
        photos: Sequence[Photo],
        scenes: Sequence[Photo],
        settings: Settings,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self._store = store
        self._photos = photos
        self._scenes = scenes
        self._settings = settings
        self._share = share

    def batches(self, epoch: int, batches: Iterable[tuple[int, Batch]]) -> Iterator[Ready]:
        """Yield batches, given with their steps, in their order."""
        with (
            ThreadPoolExecutor(self._settings.workers) as pictures,
            ThreadPoolExecutor(1) as pool,
        ):
            coming: deque[Future[Ready]] = deque()
            try:
                for step, batch in batches:
                    coming.append(pool.submit(self.ready, epoch, step, batch, pictures))
                    if len(coming) > AHEAD:
                        yield coming.popleft().result()
                while coming:
                    yield coming.popleft().result()
            finally:
                for future in coming:
                    future.cancel()

    def ready(
        self, epoch: int, step: int, batch: Batch, pool: ThreadPoolExecutor | None = None
    ) -> Ready:
        """Return a batch with its pictures, which the pool's threads make."""
        number, count = self._share
        rows = np.arange(number, len(batch.places), count, dtype=np.int64)
        faithful = is_faithful(self._settings)

        def picture(row: int) -> NDArray[np.uint8]:
            # By row: a type with few photographs repeats them in a batch, each time varied anew.
            lot = chance(self._settings.seed, "picture", epoch, step, row)
            photo = self._photos[int(batch.places[row])]
            if faithful:
                longest = longest_side(self._settings, epoch, step, row)
                return faithfully(self._store.get(photo.digest), longest, lot)
            return self._picture(photo, longest_side(self._settings, epoch, step), lot)

        found = list((map if pool is None else pool.map)(picture, rows.tolist()))
        by_shape: dict[tuple[int, ...], list[int]] = {}
        for n, pixels in enumerate(found):
            by_shape.setdefault(pixels.shape, []).append(n)
        # In an order of shapes, not of who came first: sums of floats depend on it.
        parts = (by_shape[shape] for shape in sorted(by_shape))
        buckets = tuple(Bucket(np.stack([found[n] for n in part]), rows[part]) for part in parts)
        return Ready(step, batch, buckets)

    def _picture(self, photo: Photo, longest: int, lot: np.random.Generator) -> NDArray[np.uint8]:
        settings = self._settings
        scene = None
        if self._scenes and settings.augmentation == "strong":
            scene = self._store.get(self._scenes[int(lot.integers(len(self._scenes)))].digest)
        return augment(
            self._store.get(photo.digest),
            settings.augmentation,
            shapes(longest, step=settings.bucket_step, keep_aspect=settings.keep_aspect),
            lot,
            boxes=photo.boxes,
            scene=scene,
        )


def longest_side(settings: Settings, epoch: int, step: int, *row: int) -> int:
    """Return the longest side in pixels of a batch's images, or of one row's, drawn by chance.

    The authors draw it for each image; unless a run is faithful, a batch has one, so that its
    images fit together.
    """
    sizes = range(settings.smallest, settings.largest + 1, settings.size_step)
    return sizes[int(chance(settings.seed, "size", epoch, step, *row).integers(len(sizes)))]
