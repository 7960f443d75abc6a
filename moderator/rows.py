"""Which rows of a picture's embeddings are of which view, and of which region of it.

A picture has, for each view, the view's own row and then one for each of its regions.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from moderator.caching.cached import Cached
from moderator.decoding.view import Layout

Boxes = Mapping[tuple[int, int], NDArray[np.float64]]
"""By height and width of a frame in pixels, what parts of it get embeddings of their own:
float64[R, 4], see ``models.regions.boxes``. Empty where regions are not judged."""

Box = tuple[float, float, float, float]
"""x and y of the top left corner, width and height, as shares of the picture."""

WHOLE: Box = (0.0, 0.0, 1.0, 1.0)


class Rows:
    """Counts the rows of pictures.

    Args:
        boxes: The regions of each size of frame; empty where regions are not judged.
    """

    def __init__(self, boxes: Boxes) -> None:
        self._boxes = boxes

    def counts(self, layout: Layout) -> list[int]:
        """Return how many rows each view has."""
        return [1 + self._regions(size) for size in layout.sizes]

    def place(self, layout: Layout, view: int, region: int) -> int:
        """Return the row of a view's region; 0 is the whole view, others count from 1."""
        return view + region + sum(self._regions(size) for size in layout.sizes[:view])

    def box(self, layout: Layout, view: int, region: int) -> Box | None:
        """Return where a view's region lies in the picture; None for the whole picture."""
        part = layout.views[view].box
        if region == 0 and part is None:
            return None
        inner = self._boxes[layout.sizes[view]][region - 1].tolist() if region else WHOLE
        x, y, width, height = inner
        left, top, right, bottom = part or (0, 0, layout.width, layout.height)
        across, down = (right - left) / layout.width, (bottom - top) / layout.height
        return (
            left / layout.width + x * across,
            top / layout.height + y * down,
            width * across,
            height * down,
        )

    def fit(self, cached: Cached) -> bool:
        """Whether what a cache gave has a row for each region that is judged here."""
        if self._boxes and any(size not in self._boxes for size in cached.layout.sizes):
            return False
        return sum(self.counts(cached.layout)) == len(cached.embeddings)

    def _regions(self, size: tuple[int, int]) -> int:
        return len(self._boxes[size]) if self._boxes else 0
