"""Draws what a long firearm is aimed with. Knows nothing else of it."""

from collections.abc import Callable, Mapping

from training.synthesis.design import Design
from training.synthesis.parts import (
    Colour,
    Part,
    bow,
    ellipse,
    polygon,
    rectangle,
    stroke,
    tinted,
    tube,
)

GLASS = (70, 96, 120)


def sights(design: Design) -> list[Part]:
    """Return what is aimed with, above the receiver and near the muzzle."""
    return SIGHTS[design.shapes["sight"]](design)


def _muzzle(design: Design) -> float:
    return design.measures["receiver"] + design.measures["fore"] + design.measures["barrel"]


def _top(design: Design) -> float:
    """Return the y of the receiver's top; a bolt's receiver is a mere tube."""
    m = design.measures
    return -m["bore"] * 1.6 if design.family == "sniper" else -m["depth"] * 0.62


def _front(design: Design) -> Part:
    end, top = _muzzle(design), -design.measures["bore"] - design.measures["sight"]
    corners = [(end - 0.05, 0.0), (end - 0.036, top), (end - 0.026, top), (end - 0.012, 0.0)]
    return polygon(tinted(design.metal, 0.6), *corners)


def _bead(design: Design) -> list[Part]:
    at = (_muzzle(design) - 0.012, -design.measures["bore"] - 0.006)
    return [ellipse(tinted(design.metal, 1.5), at, (0.008, 0.008))]


def _ladder(design: Design) -> list[Part]:
    x, high = design.measures["receiver"], design.measures["sight"]
    corners = [(x + 0.03, -0.02), (x + 0.13, -0.02), (x + 0.12, -0.03 - high * 0.4)]
    return [_front(design), polygon(tinted(design.metal, 0.6), *corners)]


def _handle(design: Design) -> list[Part]:
    x, top = design.measures["receiver"], _top(design)
    high = top - design.measures["sight"]
    line = [(x * 0.1, top), (x * 0.2, high), (x * 0.85, high), (x * 0.95, top)]
    return [stroke(design.metal, 0.02, line), _front(design)]


def _dot(design: Design) -> list[Part]:
    x, top, dark = design.measures["receiver"] * 0.5, _top(design), tinted(design.metal, 0.6)
    return [
        rectangle(dark, (x - 0.045, x + 0.045), (top - 0.018, top + 0.008)),
        rectangle(dark, (x - 0.035, x + 0.035), (top - 0.062, top - 0.01)),
        rectangle(GLASS, (x + 0.024, x + 0.03), (top - 0.056, top - 0.016)),
    ]


def _posts(design: Design) -> list[Part]:
    m, top, dark = design.measures, _top(design), tinted(design.metal, 0.6)
    ring = bow((_muzzle(design) - 0.03, -m["bore"] - m["sight"] * 0.6), (0.02, 0.024), (0, 360))
    rear = (m["receiver"] * 0.1, m["receiver"] * 0.22)
    return [stroke(dark, 0.009, ring), rectangle(dark, rear, (top - m["sight"] * 0.8, top + 0.01))]


def _irons(design: Design) -> list[Part]:
    x, high, top = design.measures["receiver"], design.measures["sight"], _top(design)
    leaf = [(x * 0.75, top + 0.01), (x * 0.8, top - high * 0.6), (x * 0.95, top - high * 0.25)]
    return [_front(design), polygon(tinted(design.metal, 0.6), *leaf, (x, top + 0.01))]


def _scope(design: Design) -> list[Part]:
    m, dark = design.measures, tinted(design.metal, 0.5)
    length = m.get("glass", 0.2)
    middle, y = m["receiver"] * 0.5, _top(design) - 0.042
    mounts = [
        rectangle(tinted(dark, 0.7), (x - 0.011, x + 0.011), (y, 0.0))
        for x in (middle - length * 0.2, middle + length * 0.2)
    ]
    body = tube(dark, (middle - length / 2 + 0.03, middle + length / 2 - 0.03), y, 0.015)
    knob = rectangle(dark, (middle - 0.014, middle + 0.014), (y - 0.036, y))
    return [*mounts, *body, *_bells(dark, middle - length / 2, middle + length / 2, y), knob]


def _bells(colour: Colour, left: float, right: float, y: float) -> list[Part]:
    """Return both wide ends of a telescope, and the glass in the front one."""
    front = [(right - 0.09, 0.014), (right - 0.05, 0.03), (right, 0.03)]
    rear = [(left, 0.024), (left + 0.05, 0.022), (left + 0.07, 0.014)]
    bells = [
        polygon(colour, *[(x, y - r) for x, r in line], *[(x, y + r) for x, r in reversed(line)])
        for line in (front, rear)
    ]
    return [*bells, rectangle(GLASS, (right - 0.004, right), (y - 0.026, y + 0.026))]


SIGHTS: Mapping[str, Callable[[Design], list[Part]]] = {
    "irons": _irons,
    "handle": _handle,
    "scope": _scope,
    "dot": _dot,
    "posts": _posts,
    "bead": _bead,
    "ladder": _ladder,
}
