"""Flat shapes that drawn things are put together from. Knows neither things nor pictures.

Lengths are in units of the thing: about one from end to end, x to the right, y downwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int]
Outline = NDArray[np.float64]
"""float64[N, 2], the corners of a polygon in order."""

ROUND = 36
"""Corners of a full circle."""

CYLINDER = ((-1.0, 0.6), (-0.72, 0.95), (-0.45, 1.35), (-0.1, 1.05), (0.3, 0.85), (0.7, 0.6))
"""Where each strip of a lit cylinder begins, as shares of its radius, and how bright it is."""


@dataclass(frozen=True, slots=True)
class Part:
    """A polygon of one colour; later parts lie on earlier ones.

    Args:
        outline: float64[N, 2].
        colour: Red, green and blue in 0..255.
    """

    outline: Outline
    colour: Colour


@dataclass(frozen=True, slots=True)
class Figure:
    """A drawn thing.

    Args:
        parts: From the lowest to the topmost.
        hold: Where a hand would hold it.
    """

    parts: tuple[Part, ...]
    hold: tuple[float, float]


def tinted(colour: Colour, factor: float) -> Colour:
    """Return a colour with its light multiplied, within 0..255."""
    red, green, blue = np.clip(np.multiply(colour, factor), 0, 255).astype(int).tolist()
    return red, green, blue


def polygon(colour: Colour, *corners: tuple[float, float]) -> Part:
    """Return the polygon with these corners."""
    return Part(np.array(corners, np.float64), colour)


def rectangle(colour: Colour, x: tuple[float, float], y: tuple[float, float]) -> Part:
    """Return the upright rectangle that spans x and y."""
    return polygon(colour, (x[0], y[0]), (x[1], y[0]), (x[1], y[1]), (x[0], y[1]))


def soft(colour: Colour, *corners: tuple[float, float], cut: float = 0.3) -> Part:
    """Return a polygon whose corners are rounded by a quadratic curve.

    Args:
        colour: Of the part.
        corners: At least three.
        cut: Share of each edge that a rounding takes from both of its ends, in 0..0.5.
    """
    line = np.array(corners, np.float64)
    before, after = np.roll(line, 1, 0), np.roll(line, -1, 0)
    start, end = line + (before - line) * cut, line + (after - line) * cut
    t = np.linspace(0, 1, 6)[None, :, None]
    curve = start[:, None] * (1 - t) ** 2 + 2 * line[:, None] * t * (1 - t) + end[:, None] * t**2
    return Part(curve.reshape(-1, 2), colour)


def ellipse(colour: Colour, middle: tuple[float, float], radii: tuple[float, float]) -> Part:
    """Return an upright ellipse."""
    turn = np.linspace(0, 2 * np.pi, ROUND, endpoint=False)
    return Part(np.array(middle) + np.stack([np.cos(turn), np.sin(turn)], 1) * radii, colour)


def stroke(colour: Colour, width: float, line: Sequence[tuple[float, float]] | Outline) -> Part:
    """Return a line of constant width, with straight ends.

    Args:
        colour: Of the part.
        width: Across the line.
        line: float[N, 2] with N from 2 on; no two neighbours are equal.
    """
    points = np.asarray(line, np.float64)
    along = np.gradient(points, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-12
    side = np.stack([-along[:, 1], along[:, 0]], 1) * width / 2
    return Part(np.concatenate([points + side, (points - side)[::-1]]), colour)


def bow(
    middle: tuple[float, float], radii: tuple[float, float], degrees: tuple[float, float]
) -> Outline:
    """Return points along an ellipse, clockwise from the right; float64[13, 2]."""
    turn = np.radians(np.linspace(*degrees, 13))
    points: Outline = np.array(middle) + np.stack([np.cos(turn), np.sin(turn)], 1) * radii
    return points


def tube(colour: Colour, x: tuple[float, float], y: float, radius: float) -> list[Part]:
    """Return a cylinder that lies along x, lit from above."""
    edges = [share for share, _ in CYLINDER] + [1.0]
    return [
        rectangle(tinted(colour, light), x, (y + edges[place] * radius, y + radius))
        for place, (_, light) in enumerate(CYLINDER)
    ]


def grooves(
    colour: Colour, count: int, x: tuple[float, float], y: tuple[float, float], lean: float = 0.0
) -> list[Part]:
    """Return thin upright strips spread over a rectangle, their tops moved by ``lean``."""
    places = np.linspace(*x, count + 1)[:-1]
    width = (x[1] - x[0]) / count * 0.45
    top, bottom = y
    return [
        polygon(colour, (a + lean, top), (a + lean + width, top), (a + width, bottom), (a, bottom))
        for a in places.tolist()
    ]
