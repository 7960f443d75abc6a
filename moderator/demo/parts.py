"""Flat coloured pieces that drawings are put together from. Knows nothing of what they depict.

Coordinates are in units of the depicted thing: about one unit long, its middle at the origin,
x to the right and y downwards.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

Colour = tuple[int, int, int]
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Part:
    """A filled polygon; later parts lie on top of earlier ones."""

    points: tuple[Point, ...]
    colour: Colour


def shade(colour: Colour, factor: float) -> Colour:
    """Return a colour made darker (below 1) or lighter (above 1)."""
    red, green, blue = (min(255, max(0, round(value * factor))) for value in colour)
    return red, green, blue


def slab(colour: Colour, *points: Point) -> Part:
    """Return the polygon through these points."""
    return Part(points, colour)


def box(colour: Colour, left: float, top: float, right: float, bottom: float) -> Part:
    """Return an upright rectangle."""
    return slab(colour, (left, top), (right, top), (right, bottom), (left, bottom))


def rounded(colour: Colour, *points: Point, rounds: int = 2) -> Part:
    """Return the polygon through these points with its corners cut off again and again.

    Source: Chaikin, An algorithm for high speed curve generation, 1974.
    """
    line = list(points)
    for _ in range(rounds):
        line = [
            (a * near + c * (1 - near), b * near + d * (1 - near))
            for (a, b), (c, d) in zip(line, line[1:] + line[:1], strict=True)
            for near in (0.75, 0.25)
        ]
    return slab(colour, *line)


def pill(colour: Colour, left: float, top: float, right: float, bottom: float) -> Part:
    """Return an upright rectangle with rounded corners."""
    return rounded(colour, *box(colour, left, top, right, bottom).points)


def oval(colour: Colour, x: float, y: float, across: float, down: float | None = None) -> Part:
    """Return an ellipse about (x, y) from its radii."""
    down = across if down is None else down
    turns = [step * math.tau / 40 for step in range(40)]
    return slab(colour, *((x + across * math.cos(t), y + down * math.sin(t)) for t in turns))


def band(colour: Colour, width: float, *points: Point) -> Part:
    """Return a strip of this width along a line of points."""
    left = [_beside(points, place, width / 2) for place in range(len(points))]
    right = [_beside(points, place, -width / 2) for place in range(len(points))]
    return slab(colour, *left, *reversed(right))


def arc(
    colour: Colour, width: float, middle: Point, radius: float, angles: tuple[float, float]
) -> Part:
    """Return a strip along a circle, from one angle to another in degrees, clockwise from right."""
    begin, end = angles
    turns = [math.radians(begin + (end - begin) * step / 24) for step in range(25)]
    line = [(middle[0] + radius * math.cos(t), middle[1] + radius * math.sin(t)) for t in turns]
    return band(colour, width, *line)


def ribs(colour: Colour, count: int, x: tuple[float, float], y: tuple[float, float]) -> list[Part]:
    """Return upright lines spread evenly over a rectangle: serrations, grooves, slats."""
    (left, right), (top, bottom) = x, y
    step = (right - left) / count
    return [
        box(colour, left + step * (place + 0.3), top, left + step * (place + 0.6), bottom)
        for place in range(count)
    ]


def _beside(points: Sequence[Point], place: int, offset: float) -> Point:
    """Return the point at right angles to the line, ``offset`` away from its point ``place``."""
    (x0, y0), (x1, y1) = points[max(place - 1, 0)], points[min(place + 1, len(points) - 1)]
    length = math.hypot(x1 - x0, y1 - y0) or 1.0
    x, y = points[place]
    return x - (y1 - y0) / length * offset, y + (x1 - x0) / length * offset
