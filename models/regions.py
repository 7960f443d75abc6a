"""Where on a feature map its regions lie, and which part of the image each shows.

Pure: must not know torch, networks or pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Regions = Sequence[tuple[int, int]]
"""(side, stride) of square windows, in cells of the feature map; both at least 1."""


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a feature map in cells: rows top..bottom-1, columns left..right-1."""

    top: int
    bottom: int
    left: int
    right: int


def windows(rows: int, columns: int, regions: Regions) -> tuple[Window, ...]:
    """Return the windows of a feature map, row after row, in the order of ``regions``.

    A side longer than the map is cut to it. The last window of a row or column is moved back to
    end at the border, so that as long as no stride is above its side, the windows of each pair
    cover the map. A window that came before is left out.

    Args:
        rows: Height of the map in cells, at least 1.
        columns: Width of the map in cells, at least 1.
        regions: See ``Regions``.
    """
    found: dict[Window, None] = {}
    for side, stride in regions:
        height, width = min(side, rows), min(side, columns)
        for top in _starts(rows, height, stride):
            for left in _starts(columns, width, stride):
                found[Window(top, top + height, left, left + width)] = None
    return tuple(found)


def boxes(rows: int, columns: int, regions: Regions) -> NDArray[np.float64]:
    """Return which part of the image each window shows.

    Args:
        rows: Height of the map in cells, at least 1.
        columns: Width of the map in cells, at least 1.
        regions: See ``Regions``.

    Returns:
        float64[R, 4]: x and y of the top left corner, width and height, as shares of the image,
        each in 0..1; in the order of ``windows``.
    """
    shares = [
        (
            window.left / columns,
            window.top / rows,
            (window.right - window.left) / columns,
            (window.bottom - window.top) / rows,
        )
        for window in windows(rows, columns, regions)
    ]
    return np.array(shares, np.float64).reshape(-1, 4)


def _starts(length: int, side: int, stride: int) -> list[int]:
    last = length - side
    return [*range(0, last, stride), last]
