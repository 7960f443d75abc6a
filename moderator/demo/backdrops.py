"""Backgrounds to draw on: uint8[H, W, 3]. Knows nothing of what stands before them."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from moderator.demo.dial import Dial

Pixels = NDArray[np.float32]
"""float32, broadcasts to [H, W, 3], in 0..255."""


def backdrop(dial: Dial, size: int) -> NDArray[np.uint8]:
    """Return a background, uint8[size, size, 3], of a kind that the dial's set has to itself."""
    kind = dial.choose("background", indexed=tuple(INDEXED), posted=tuple(POSTED))
    tint = np.array([dial.between(f"background {c}", 120, 235) for c in "rgb"], np.float32)
    # Backgrounds of daily life are seldom gaudy.
    tint = 0.35 * tint + 0.65 * tint.mean()
    noise = np.random.default_rng(dial.grain())
    pixels = {**INDEXED, **POSTED}[kind](size, tint, noise)
    clipped: NDArray[np.uint8] = np.clip(pixels, 0, 255).astype(np.uint8)
    return clipped


def _grid(size: int) -> tuple[Pixels, Pixels]:
    """Return y and x of every pixel in 0..1, float32[size, size, 1] each."""
    steps = np.linspace(0, 1, size, dtype=np.float32)
    y, x = np.meshgrid(steps, steps, indexing="ij")
    return y[..., None], x[..., None]


def _cloud(size: int, cells: int, noise: np.random.Generator) -> Pixels:
    """Return smooth noise in -1..1 with about ``cells`` bumps a side, float32[size, size, 1]."""
    coarse = noise.uniform(-1, 1, (cells + 2, cells + 2)).astype(np.float32)
    at = np.linspace(0, cells, size, dtype=np.float32)
    low = at.astype(int)
    part = at - low
    part = part * part * (3 - 2 * part)
    rows = coarse[low] * (1 - part)[:, None] + coarse[low + 1] * part[:, None]
    smooth: Pixels = rows[:, low] * (1 - part) + rows[:, low + 1] * part
    return smooth[..., None]


def _plain(size: int, tint: Pixels, noise: np.random.Generator) -> Pixels:
    pixels: Pixels = tint + 2 * noise.standard_normal((size, size, 1), np.float32)
    return pixels


def _gradient(size: int, tint: Pixels, noise: np.random.Generator) -> Pixels:
    y, x = _grid(size)
    along = noise.uniform(-1, 1, 2)
    pixels: Pixels = tint * (1 + 0.5 * (y - 0.5) * along[0] + 0.5 * (x - 0.5) * along[1])
    return pixels


def _grainy(size: int, tint: Pixels, noise: np.random.Generator) -> Pixels:
    pixels: Pixels = tint + 18 * noise.standard_normal((size, size, 3), np.float32)
    return pixels


def _cloth(size: int, tint: Pixels, noise: np.random.Generator) -> Pixels:
    y, x = _grid(size)
    weave = np.sin(x * size * 0.9) * np.sin(y * size * 0.9)
    pixels: Pixels = tint * (0.85 + 0.06 * weave + 0.12 * _cloud(size, 5, noise))
    return pixels


def _wood(size: int, tint: Pixels, noise: np.random.Generator) -> Pixels:
    y, x = _grid(size)
    rings = np.sin((y + 0.05 * _cloud(size, 4, noise)) * 90 + 3 * np.sin(x * 4))
    planks = 1 - 0.35 * ((y * 5) % 1 < 0.03)
    brown = np.array([176, 128, 84], np.float32) * (0.6 + tint.mean() / 400)
    pixels: Pixels = brown * (1 + 0.1 * rings) * planks
    return pixels


def _bricks(size: int, tint: Pixels, noise: np.random.Generator) -> Pixels:
    y, x = _grid(size)
    row = np.floor(y * 10)
    joint = ((y * 10) % 1 < 0.1) | ((x * 5 + 0.5 * (row % 2)) % 1 < 0.05)
    red = 0.5 * tint + 0.5 * np.array([176, 110, 90], np.float32)
    pixels: Pixels = np.where(joint, 205.0, red * (1 + 0.12 * _cloud(size, 9, noise))).astype(
        np.float32
    )
    return pixels


def _grass(size: int, tint: Pixels, noise: np.random.Generator) -> Pixels:
    green = 0.4 * tint + 0.6 * np.array([120, 160, 80], np.float32)
    blades = noise.standard_normal((size // 4 + 1, size, 1), np.float32).repeat(4, 0)[:size]
    pixels: Pixels = green * (1 + 0.15 * _cloud(size, 12, noise) + 0.07 * blades)
    return pixels


def _marble(size: int, tint: Pixels, noise: np.random.Generator) -> Pixels:
    y, x = _grid(size)
    veins = np.abs(np.sin((x + y) * 9 + 4 * _cloud(size, 5, noise)))
    light = 0.4 * tint + 0.6 * 235
    pixels: Pixels = light * (0.82 + 0.18 * veins**0.4)
    return pixels


Backdrop = Callable[[int, Pixels, np.random.Generator], Pixels]
INDEXED: Mapping[str, Backdrop] = {
    "plain": _plain,
    "gradient": _gradient,
    "grainy": _grainy,
    "cloth": _cloth,
}
POSTED: Mapping[str, Backdrop] = {
    "wood": _wood,
    "bricks": _bricks,
    "grass": _grass,
    "marble": _marble,
}
