"""Backgrounds: surfaces, rooms and places outdoors. Knows nothing of what stands before them."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from training.synthesis.parts import Part, ellipse, grooves, polygon, rectangle, tinted
from training.synthesis.raster import Pixels, layer

Size = tuple[int, int]
"""Height and width in pixels."""

Plane = NDArray[np.float64]
"""float64[H, W]."""


def backdrop(chance: np.random.Generator, kind: str, size: Size) -> Pixels:
    """Return a background of a kind of ``BACKDROPS``, float32[H, W, 3] in 0..255."""
    return np.clip(BACKDROPS[kind](chance, size), 0, 255).astype(np.float32)


def clouds(chance: np.random.Generator, size: Size, cells: int) -> Pixels:
    """Return smooth noise in about -1..1 with ``cells`` hills along the longer side.

    Returns:
        float32[H, W, 1].
    """
    coarse = chance.uniform(-1, 1, (cells + 2, cells + 2))
    rows, columns = (np.arange(length) * cells / max(size) for length in size)
    for axis, at in enumerate((rows, columns)):
        low = at.astype(int)
        part = (1 - np.cos((at - low) * np.pi)) / 2
        part = part[:, None] if axis == 0 else part
        coarse = coarse.take(low, axis) * (1 - part) + coarse.take(low + 1, axis) * part
    return coarse[..., None].astype(np.float32)


def _places(size: Size) -> tuple[Plane, Plane]:
    """Return y and x of every pixel."""
    y, x = np.indices(size, np.float64)
    return y, x


def _shares(size: Size) -> tuple[Plane, Plane]:
    """Return y and x of every pixel as shares of height and width, in 0..1."""
    y, x = _places(size)
    return y / (size[0] - 1), x / (size[1] - 1)


def _tint(chance: np.random.Generator, low: float = 90, high: float = 240) -> Pixels:
    """Return a colour that is not gaudy, float32[3]."""
    grey = chance.uniform(low, high)
    return np.clip(grey + chance.normal(0, 11, 3), 10, 250).astype(np.float32)


def _plain(chance: np.random.Generator, size: Size) -> Pixels:
    white = chance.random() < 0.4
    tint = np.full(3, 250, np.float32) if white else _tint(chance)
    return np.broadcast_to(tint, (*size, 3)).astype(np.float32)


def _gradient(chance: np.random.Generator, size: Size) -> Pixels:
    one, other = _tint(chance), _tint(chance)
    y, x = _shares(size)
    turn = chance.uniform(0, np.pi / 2)
    share: Plane = ((y * np.sin(turn) + x * np.cos(turn)) / 1.42)[..., None]
    return (one * (1 - share) + other * share).astype(np.float32)


def _cloth(chance: np.random.Generator, size: Size) -> Pixels:
    y, x = _places(size)
    step = chance.uniform(0.5, 1.6)
    weave = (np.sin(x * step) + np.sin(y * step))[..., None] * 0.04
    folds = clouds(chance, size, 4) * 0.16
    return (_tint(chance, 60, 200) * (1 + weave + folds)).astype(np.float32)


def _planks(chance: np.random.Generator, size: Size) -> Pixels:
    y, x = _shares(size)
    boards = int(chance.integers(3, 8))
    board = np.floor(y * boards).astype(int)
    tones: Plane = chance.uniform(0.8, 1.1, boards + 1)[board][..., None]
    rings = np.sin((y * 60 + 3 * clouds(chance, size, 3)[..., 0]) * 2 + np.sin(x * 5))
    seams = np.where((y * boards) % 1 < 0.04, 0.55, 1.0)
    grain: Plane = ((1 + 0.07 * rings) * seams)[..., None]
    wood: Plane = np.array([168, 120, 78]) * chance.uniform(0.6, 1.25)
    return (wood * tones * grain).astype(np.float32)


def _bricks(chance: np.random.Generator, size: Size) -> Pixels:
    y, x = (place / max(size) for place in _places(size))
    rows = int(chance.integers(7, 15))
    line = np.floor(y * rows)
    across = x * rows * 0.45 + 0.5 * (line % 2)
    joint = ((y * rows) % 1 < 0.12) | (across % 1 < 0.05)
    tones = chance.uniform(0.8, 1.15, 4096)[(line * 61 + np.floor(across)).astype(int) % 4096]
    brick = _tint(chance, 90, 160) + np.array([30, 0, -12])
    stone = brick * tones[..., None] * (1 + 0.08 * clouds(chance, size, 14))
    return np.where(joint[..., None], 190.0, stone).astype(np.float32)


def _speckle(chance: np.random.Generator, size: Size) -> Pixels:
    spots = clouds(chance, size, int(chance.integers(8, 26)))
    return (_tint(chance) * (1 + 0.22 * spots + 0.12 * clouds(chance, size, 5))).astype(np.float32)


def _leaves(chance: np.random.Generator, size: Size) -> Pixels:
    green = np.array([92, 118, 62]) * chance.uniform(0.6, 1.3)
    ground = green * (1 + 0.35 * clouds(chance, size, 9) + 0.25 * clouds(chance, size, 40))
    height, width = size
    parts = []
    for _ in range(70):
        at = chance.random(2) * (width, height)
        radii = chance.uniform(0.008, 0.03, 2) * max(size)
        tone = tinted((100, 130, 60), float(chance.uniform(0.5, 1.4)))
        parts.append(ellipse(tone, tuple(at), tuple(radii)))
    return layer(parts, size).over(ground.astype(np.float32))


def _room(chance: np.random.Generator, size: Size) -> Pixels:
    height, width = size
    floor = height * chance.uniform(0.55, 0.8)
    wall, ground = _colour(chance, 120, 230), _colour(chance, 70, 170)
    glass = (190, 214, 232)
    left, top, wide, high = chance.uniform((0.05, 0.08, 0.16, 0.2), (0.6, 0.2, 0.3, 0.32))
    x, y = (left * width, (left + wide) * width), (top * height, (top + high) * height)
    frame = max(size) * 0.012
    parts = [
        rectangle(wall, (0, width), (0, floor)),
        rectangle(ground, (0, width), (floor, height)),
        rectangle(tinted(wall, 0.7), (0, width), (floor - frame, floor + frame)),
        rectangle((240, 240, 236), (x[0] - frame, x[1] + frame), (y[0] - frame, y[1] + frame)),
        rectangle(glass, x, y),
        rectangle((240, 240, 236), ((x[0] + x[1] - frame) / 2, (x[0] + x[1] + frame) / 2), y),
        *_cupboard(chance, size, floor),
    ]
    lines = grooves(
        tinted(ground, 0.85), 9, (-0.3 * width, 1.3 * width), (floor + frame, height), 0.0
    )
    return layer([*parts, *lines], size).over(np.zeros((*size, 3), np.float32))


def _cupboard(chance: np.random.Generator, size: Size, floor: float) -> list[Part]:
    height, width = size
    colour = _colour(chance, 50, 190)
    left, wide = chance.uniform(0.0, 0.7) * width, chance.uniform(0.2, 0.35) * width
    top = floor - chance.uniform(0.2, 0.5) * height
    low = floor + 0.06 * height
    parts = [rectangle(colour, (left, left + wide), (top, low))]
    drawers = int(chance.integers(2, 5))
    for number in range(drawers):
        y = top + (low - top) * (number + 0.12) / drawers
        end = top + (low - top) * (number + 0.88) / drawers
        parts.append(
            rectangle(tinted(colour, 1.15), (left + wide * 0.06, left + wide * 0.94), (y, end))
        )
        parts.append(
            ellipse(tinted(colour, 0.5), (left + wide / 2, (y + end) / 2), (wide * 0.03,) * 2)
        )
    return parts


def _table(chance: np.random.Generator, size: Size) -> Pixels:
    """Return a wall above a table top, in the colours of wood."""
    height = size[0]
    wall = _plain(chance, size) * (1 + 0.1 * clouds(chance, size, 3))
    top = _planks(chance, size)
    edge = chance.uniform(0.2, 0.5) * height
    below = np.arange(height)[:, None, None] > edge
    return np.where(below, top, wall).astype(np.float32)


def _street(chance: np.random.Generator, size: Size) -> Pixels:
    height, width = size
    line = height * chance.uniform(0.55, 0.75)
    parts = [polygon((92, 92, 96), (0, line), (width, line), (width, height), (0, height))]
    x = 0.0
    while x < width:
        wide = float(chance.uniform(0.12, 0.3)) * width
        top = line - float(chance.uniform(0.25, 0.6)) * height
        wall = _colour(chance, 80, 210)
        parts.append(rectangle(wall, (x, x + wide), (top, line)))
        for row in np.arange(top + 0.05 * height, line - 0.08 * height, 0.1 * height).tolist():
            bright = tinted(wall, float(chance.uniform(0.4, 0.7)))
            parts += grooves(bright, 4, (x + 0.02 * width, x + wide), (row, row + 0.055 * height))
        x += wide
    parts.append(rectangle((150, 150, 150), (0, width), (line, line + 0.02 * height)))
    dashes = grooves((220, 220, 214), 6, (0, width), (height * 0.9, height * 0.92), 0.0)
    return layer([*parts, *dashes], size).over(_sky(chance, size))


def _field(chance: np.random.Generator, size: Size) -> Pixels:
    height, width = size
    x = np.linspace(0, 1, 40)
    parts = []
    for level, tone in ((0.45, 0.75), (0.58, 1.0), (0.75, 1.25)):
        phase, steep = chance.uniform(0, 6), chance.uniform(0.02, 0.08)
        y = level + steep * np.sin(x * chance.uniform(3, 9) + phase)
        ridge = np.stack([x * width, y * height], 1)
        outline = np.concatenate([ridge, [[width, height], [0, height]]])
        parts.append(Part(outline, tinted((96, 124, 70), tone * float(chance.uniform(0.8, 1.15)))))
    land = layer(parts, size).over(_sky(chance, size))
    return (land * (1 + 0.06 * clouds(chance, size, 50))).astype(np.float32)


def _sky(chance: np.random.Generator, size: Size) -> Pixels:
    down = np.linspace(0, 1, size[0])[:, None, None]
    blue = np.array([130, 170, 220]) * (1 - down) + np.array([220, 226, 232]) * down
    white = np.clip(clouds(chance, size, 4), 0, 1) * 60
    return (blue * chance.uniform(0.7, 1.05) + white).astype(np.float32)


def _colour(chance: np.random.Generator, low: float, high: float) -> tuple[int, int, int]:
    red, green, blue = _tint(chance, low, high).astype(int).tolist()
    return red, green, blue


BACKDROPS: Mapping[str, Callable[[np.random.Generator, Size], Pixels]] = {
    "plain": _plain,
    "gradient": _gradient,
    "cloth": _cloth,
    "planks": _planks,
    "bricks": _bricks,
    "speckle": _speckle,
    "leaves": _leaves,
    "room": _room,
    "table": _table,
    "street": _street,
    "field": _field,
}
"""Every kind of background."""
