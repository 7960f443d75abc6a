"""Draws the magazines, drums and belts of long firearms. Knows nothing else of them."""

from collections.abc import Callable, Mapping

from training.synthesis.design import Design
from training.synthesis.parts import Part, bow, ellipse, grooves, polygon, rectangle, stroke, tinted

BRASS = (178, 142, 70)


def feed(design: Design) -> list[Part]:
    """Return the magazine, or nothing where it is within the stock or the barrel."""
    kinds: Mapping[str, Callable[[Design, float], list[Part]]] = {
        "straight": _box,
        "curved": _curved,
        "drum": _drum,
        "in grip": _in_grip,
        "pan": _pan,
        "top": _top,
        "belt": _belt,
        "lever": _lever,
    }
    kind = kinds.get(design.shapes["feed"])
    return kind(design, _place(design)) if kind else []


def _place(design: Design) -> float:
    """Return the x of the magazine's middle."""
    m = design.measures
    return -m["butt"] * 0.35 if design.shapes["place"] == "behind" else m["receiver"] * 0.72


def _box(design: Design, x: float) -> list[Part]:
    m = design.measures
    half, top = m["feed_width"] / 2, m["depth"] * 0.3
    low, bend = top + m["feed"], m["bend"]
    tone = tinted(design.metal, 0.7)
    return [
        polygon(
            tone,
            (x - half, top),
            (x + half, top),
            (x + half + bend, low),
            (x - half + bend, low + 0.008),
        ),
        stroke(tinted(design.metal, 0.45), 0.007, [(x, top + 0.02), (x + bend, low - 0.015)]),
    ]


def _curved(design: Design, x: float) -> list[Part]:
    m = design.measures
    reach = m["feed"] * 1.5
    bent = bow((x + reach, m["depth"] * 0.2), (reach, reach), (180, 180 - 52 - 200 * m["bend"]))
    inner = bow((x + reach, m["depth"] * 0.2), (reach * 1.02, reach * 1.02), (176, 135))
    return [
        stroke(tinted(design.metal, 0.7), m["feed_width"] * 1.1, bent),
        stroke(tinted(design.metal, 0.45), 0.007, inner),
    ]


def _drum(design: Design, x: float) -> list[Part]:
    m = design.measures
    radius = 0.055 + m["feed"] * 0.22
    middle = (x, m["depth"] * 0.5 + radius + 0.02)
    tone = tinted(design.metal, 0.7)
    return [
        rectangle(tone, (x - 0.025, x + 0.025), (0.0, middle[1])),
        ellipse(tone, middle, (radius, radius)),
        ellipse(tinted(design.metal, 0.95), middle, (radius * 0.78, radius * 0.78)),
        ellipse(tone, middle, (radius * 0.2, radius * 0.2)),
    ]


def _in_grip(design: Design, _: float) -> list[Part]:
    m = design.measures
    x, low = m["receiver"] * 0.45, m["depth"] * 0.5 + m["grip"] + m["feed"] * 0.5
    return [rectangle(tinted(design.metal, 0.6), (x - 0.032, x + 0.02), (0.0, low))]


def _pan(design: Design, x: float) -> list[Part]:
    y, half = -design.measures["depth"] * 0.9, design.measures["feed"] * 0.75
    tone = tinted(design.metal, 0.7)
    disc = [(x - half, y), (x - half * 0.8, y - 0.035), (x + half * 0.8, y - 0.035), (x + half, y)]
    return [
        polygon(tone, *disc),
        rectangle(tinted(tone, 0.7), (x - half * 0.25, x + half * 0.25), (y, 0.0)),
        rectangle(tinted(tone, 1.3), (x - 0.02, x + 0.02), (y - 0.05, y - 0.03)),
    ]


def _top(design: Design, x: float) -> list[Part]:
    m = design.measures
    bent = bow((x + m["feed"] * 1.4, -m["depth"] * 0.3), (m["feed"] * 1.4,) * 2, (180, 232))
    return [stroke(tinted(design.metal, 0.7), m["feed_width"], bent)]


def _belt(design: Design, x: float) -> list[Part]:
    m = design.measures
    half, low = m["feed_width"] * 1.1, m["depth"] * 0.5 + m["feed"] * 0.8
    chest = rectangle(tinted(design.stock, 0.8), (x - half, x + half), (m["depth"] * 0.4, low))
    lid = rectangle(tinted(design.stock, 0.55), (x - half, x + half), (low - 0.035, low - 0.028))
    return [
        chest,
        lid,
        *grooves(BRASS, 6, (x - half * 0.7, x + half * 0.7), (-0.01, m["depth"] * 0.6)),
    ]


def _lever(design: Design, _: float) -> list[Part]:
    m = design.measures
    line = bow((m["receiver"] * 0.1, m["depth"] * 0.7), (0.075, 0.05), (-10, 190))
    return [stroke(tinted(design.metal, 0.8), 0.014, line)]
