"""Puts a figure into a picture with background, clutter and light. Knows no files and no types."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.folder import Box
from training.synthesis.backdrop import backdrop
from training.synthesis.chance import pick, stream
from training.synthesis.nuisance import bar, clutter, hand, lit, placed, pose
from training.synthesis.parts import Figure, Part
from training.synthesis.raster import layer

SHAPES = ((1.0, 0.75), (1.0, 0.67), (1.0, 0.5625), (1.0, 1.0), (0.75, 1.0))
"""Width and height of pictures as shares of their longest side."""


@dataclass(frozen=True, slots=True)
class Source:
    """What the pictures of one source have in common.

    Args:
        backdrops: Its kinds of backgrounds.
        shares: Of a picture's width or height that the figure fills, least and most.
        rough: How bad light and camera are, in 0..1.
        crowd: Shapes behind the figure at most.
        held: Share of its pictures in which a hand covers part of the figure.
    """

    backdrops: tuple[str, ...]
    shares: tuple[float, float]
    rough: float
    crowd: int
    held: float


SOURCES: Mapping[str, Source] = {
    "catalogue": Source(("plain", "gradient"), (0.75, 0.97), 0.2, 0, 0.0),
    "snapshots": Source(("cloth", "planks", "speckle"), (0.5, 0.9), 0.7, 4, 0.2),
    "indoors": Source(("room", "table"), (0.25, 0.7), 0.6, 3, 0.35),
    "outdoors": Source(("street", "field", "leaves", "bricks"), (0.18, 0.65), 0.9, 5, 0.35),
}
"""Every source; they differ, as the pictures of shops and of people do."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawn picture.

    Args:
        pixels: uint8[H, W, 3].
        mask: bool[H, W], true where the figure is or would be without what covers it.
        box: The smallest rectangle of whole pixels that holds the mask.
    """

    pixels: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    box: Box


def picture(
    figure: Figure, source: Source, side: int, seed: int, words: tuple[str | int, ...]
) -> Picture:
    """Draw a figure somewhere in a scene.

    Args:
        figure: In units of the thing.
        source: Whose picture it is.
        side: Longest side of the picture in pixels.
        seed: Of all chance.
        words: Which picture it is: equal words give equal pictures.
    """

    def chance(part: str) -> np.random.Generator:
        return stream(seed, *words, part)

    across, down = pick(chance("shape"), SHAPES)
    size = (round(down * side), round(across * side))
    there = placed(figure, pose(chance("pose"), source.shares), size)
    cover = layer(there.parts, size)
    mask = cover.cover[..., 0] > 0
    ground = backdrop(chance("ground"), pick(chance("kind"), source.backdrops), size)
    behind = clutter(chance("behind"), size, source.crowd)
    before = _before(chance("before"), there, mask, source)
    pixels = layer(before, size).over(cover.over(layer(behind, size).over(ground)))
    seen = lit(chance("light"), pixels, source.rough)
    return Picture(seen.round().astype(np.uint8), mask, _box(mask))


def _before(
    chance: np.random.Generator, figure: Figure, mask: NDArray[np.bool_], source: Source
) -> list[Part]:
    """Return what covers part of the figure: a hand, a bar, or neither."""
    x0, y0, x1, y1 = _edges(mask)
    draw = chance.random()
    if draw < source.held:
        return hand(chance, figure.hold, float(np.hypot(x1 - x0, y1 - y0)) * 0.16)
    if draw < source.held + 0.25 * source.rough:
        return bar(chance, (x0, y0, x1, y1))
    return []


def _edges(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of the true pixels; the latter two are beyond them."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _box(mask: NDArray[np.bool_]) -> Box:
    height, width = mask.shape
    x0, y0, x1, y1 = _edges(mask)
    return Box((x0 + x1) / 2 / width, (y0 + y1) / 2 / height, (x1 - x0) / width, (y1 - y0) / height)
