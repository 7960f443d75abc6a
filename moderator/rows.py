"""Which rows of a picture's embeddings are of which frame, and of which region of it. Pure.

A picture has, for each frame judged, the frame's own row and then one for each of its regions.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from moderator.caching.cached import Cached

Boxes = Mapping[tuple[int, int], NDArray[np.float64]]
"""By height and width of a frame in pixels, what parts of it get embeddings of their own:
float64[R, 4], see ``models.regions.boxes``. Empty where regions are not judged."""

Sizes = Sequence[tuple[int, int]]
"""Of each frame of a picture the height and width in pixels, as the network takes it."""

Box = tuple[float, float, float, float]
"""x and y of the top left corner, width and height, as shares of the picture."""


class Rows:
    """Counts the rows of pictures.

    Args:
        boxes: The regions of each size of frame; empty where regions are not judged.
    """

    def __init__(self, boxes: Boxes) -> None:
        self._boxes = boxes

    def counts(self, sizes: Sizes) -> list[int]:
        """Return how many rows each frame has."""
        return [1 + self._regions(size) for size in sizes]

    def place(self, sizes: Sizes, frame: int, region: int) -> int:
        """Return the row of a frame's region; 0 is the whole frame, others count from 1."""
        return frame + region + sum(self._regions(size) for size in sizes[:frame])

    def box(self, sizes: Sizes, frame: int, region: int) -> Box | None:
        """Return where a frame's region lies; None for the whole."""
        if region == 0:
            return None
        x, y, width, height = self._boxes[sizes[frame]][region - 1].tolist()
        return x, y, width, height

    def fit(self, cached: Cached) -> bool:
        """Whether what a cache gave has a row for each region that is judged here."""
        if not self._boxes:
            return True
        known = bool(cached.sizes) and all(size in self._boxes for size in cached.sizes)
        return known and sum(self.counts(cached.sizes)) == len(cached.embeddings)

    def _regions(self, size: tuple[int, int]) -> int:
        return len(self._boxes[size]) if self._boxes else 0
