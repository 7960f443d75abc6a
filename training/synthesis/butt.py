"""Draws the butts of long firearms. Knows nothing of what is before the receiver."""

from collections.abc import Callable, Mapping

from training.synthesis.design import Design
from training.synthesis.parts import Part, bow, rectangle, soft, stroke, tinted

FLOWING = ("straight", "half")
"""Grips that are the wrist of the stock."""


def butt(design: Design) -> list[Part]:
    """Return the stock behind the receiver; a bare cap where there is none."""
    return BUTTS[design.shapes["butt"]](design)


def _sizes(design: Design) -> tuple[float, float, float, float]:
    """Return the x of its end, y of its top and bottom there, and half the receiver's depth."""
    m = design.measures
    half = m["depth"] / 2
    top = m["drop"] - half * 0.8
    return -m["butt"], top, top + m["butt_depth"], half


def _none(design: Design) -> list[Part]:
    half = design.measures["depth"] * 0.4
    return [rectangle(tinted(design.metal, 0.6), (-0.015, 0.0), (-half, half))]


def _pad(design: Design) -> Part:
    end, top, low, _ = _sizes(design)
    return rectangle(tinted(design.metal, 0.6), (end - 0.012, end), (top, low))


def _body(design: Design) -> Part:
    end, top, low, half = _sizes(design)
    neck = half * (0.9 if design.shapes["grip"] in FLOWING else 0.5)
    under = (end * 0.3, neck + design.measures["drop"] * 0.3)
    corners = [(0.02, -half * 0.8), (end, top), (end, low), under, (0.02, neck)]
    return soft(design.stock, *corners, cut=0.12)


def _solid(design: Design) -> list[Part]:
    return [_body(design), _pad(design)]


def _wire(design: Design) -> list[Part]:
    end, top, low, half = _sizes(design)
    line = [(0.0, -half * 0.4), (end, top + 0.01), (end, low), (end * 0.85, low)]
    return [stroke(tinted(design.metal, 0.6), 0.014, [*line, (-0.02, half * 0.5)])]


def _tube(design: Design) -> list[Part]:
    end, _, low, half = _sizes(design)
    low -= design.measures["drop"]
    corners = [(end * 0.55, -half * 0.7), (end, -half * 0.7), (end, low), (end * 0.92, low)]
    return [
        rectangle(tinted(design.metal, 0.6), (end * 0.9, 0.01), (-half * 0.55, half * 0.1)),
        soft(design.stock, *corners, (end * 0.5, half * 0.5), cut=0.1),
    ]


def _spade(design: Design) -> list[Part]:
    half = design.measures["depth"] / 2
    line = [(0.0, -half), (-0.07, -half), (-0.08, half), (0.0, half)]
    return [stroke(tinted(design.metal, 0.6), 0.018, line)]


def _skeleton(design: Design) -> list[Part]:
    end, top, low, half = _sizes(design)
    line = [(0.0, -half * 0.5), (end, top), (end, low), (end * 0.35, half * 0.8)]
    return [stroke(design.stock, 0.026, [*line, (0.0, half * 0.5)]), _pad(design)]


def _curved(design: Design) -> list[Part]:
    end, top, low, _ = _sizes(design)
    plate = bow((end - 0.03, (top + low) / 2), (0.04, (low - top) / 2), (-80, 80))
    return [_body(design), stroke(tinted(design.metal, 0.6), 0.014, plate)]


def _cheek(design: Design) -> list[Part]:
    end, top, _, _ = _sizes(design)
    corners = [(end * 0.35, top), (end * 0.85, top - 0.02), (end * 0.85, top + 0.05)]
    rest = soft(tinted(design.stock, 1.2), *corners, (end * 0.4, top + 0.04))
    return [_body(design), rest, _pad(design)]


def _thumbhole(design: Design) -> list[Part]:
    end, _, _, half = _sizes(design)
    fall = design.measures["drop"] * 0.3
    corners = [
        (end * 0.2, half * 0.1),
        (end * 0.5, half * 0.4 + fall),
        (end * 0.42, half * 1.1 + fall),
    ]
    hole = soft(tinted(design.stock, 0.25), *corners, (end * 0.2, half * 0.8))
    return [_body(design), hole, _pad(design)]


BUTTS: Mapping[str, Callable[[Design], list[Part]]] = {
    "solid": _solid,
    "none": _none,
    "wire": _wire,
    "tube": _tube,
    "spade": _spade,
    "skeleton": _skeleton,
    "curved": _curved,
    "cheek": _cheek,
    "thumbhole": _thumbhole,
}
