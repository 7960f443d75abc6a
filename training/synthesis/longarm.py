"""Draws firearms with a long barrel from their designs. Knows neither pose, light nor scene.

The receiver begins at x = 0 and the bore lies along y = 0; x to the muzzle, y downwards.
"""

from collections.abc import Callable, Mapping

from training.synthesis.butt import FLOWING, butt
from training.synthesis.design import Design
from training.synthesis.feed import feed
from training.synthesis.fittings import muzzle, support
from training.synthesis.furniture import extra, fore_end, grip
from training.synthesis.parts import (
    Figure,
    Part,
    ellipse,
    polygon,
    rectangle,
    soft,
    stroke,
    tinted,
    tube,
)
from training.synthesis.sights import sights

BEHIND = "behind"
"""Place of a magazine behind the grip: the receiver then reaches through the butt."""


def longarm(design: Design) -> Figure:
    """Return a rifle, submachine gun, shotgun, machine gun or musket."""
    m = design.measures
    front = m["receiver"] + m["fore"]
    parts = [
        *support(design),
        *feed(design),
        *butt(design),
        *grip(design),
        *_barrel(design, front),
        *fore_end(design),
        *_receiver(design),
        *sights(design),
        *muzzle(design, front + m["barrel"]),
        *extra(design),
    ]
    return Figure(tuple(parts), _hold(design))


def _hold(design: Design) -> tuple[float, float]:
    """Return the middle of the grip, or of the stock's wrist where there is no grip."""
    m = design.measures
    if design.shapes["grip"] in FLOWING:
        return 0.0, 0.0
    return m["receiver"] * 0.15, m["depth"] * 0.5 + m["grip"] * 0.4


def _barrel(design: Design, front: float) -> list[Part]:
    m, metal = design.measures, design.metal
    # It begins under the fore-end, which a gap may lay bare.
    x = (m["receiver"] * 0.8, front + m["barrel"])
    parts = tube(metal, x, 0.0, m["bore"])
    if design.shapes["feed"] == "tube":
        parts += tube(tinted(metal, 0.8), (x[0], x[1] - 0.06), m["bore"] * 2.2, m["bore"] * 0.9)
        parts.append(
            rectangle(tinted(metal, 0.6), (x[1] - 0.1, x[1] - 0.08), (-m["bore"], m["bore"] * 3.1))
        )
    if design.shapes["feed"] == "double":
        parts += tube(tinted(metal, 0.85), x, -m["bore"] * 1.6, m["bore"] * 0.7)
    return parts


def _receiver(design: Design) -> list[Part]:
    shape: Mapping[str, Callable[[Design], list[Part]]] = {
        "musket": _lock,
        "shotgun": _small,
        "sniper": _bolt,
        "submachine": _pressed,
        "machine": _heavy,
    }
    return shape.get(design.family, _rifle)(design)


def _rifle(design: Design) -> list[Part]:
    m, metal = design.measures, design.metal
    long, half = m["receiver"], m["depth"] / 2
    left = -m["butt"] * 0.9 if design.shapes["place"] == BEHIND else 0.0
    return [
        polygon(
            metal,
            (left, -half),
            (long, -half),
            (long + 0.01, half * 0.7),
            (long * 0.9, half),
            (left, half),
        ),
        soft(
            tinted(metal, 1.15),
            (left, -half * 0.4),
            (left + 0.02, -half * 1.25),
            (long - 0.02, -half * 1.25),
            (long, -half * 0.4),
            cut=0.15,
        ),
        rectangle(tinted(metal, 0.5), (long * 0.45, long * 0.75), (-half * 0.6, -half * 0.1)),
        ellipse(tinted(metal, 0.5), (long * 0.15, half * 0.5), (0.007, 0.007)),
    ]


def _pressed(design: Design) -> list[Part]:
    m, metal = design.measures, design.metal
    long, half = m["receiver"], m["depth"] / 2
    return [
        polygon(
            metal,
            (0.0, -half),
            (long, -half),
            (long + 0.015, half * 0.4),
            (long * 0.95, half),
            (0.02, half),
        ),
        *tube(tinted(metal, 1.1), (0.0, long), -half * 0.55, half * 0.5),
        rectangle(tinted(metal, 0.45), (long * 0.4, long * 0.6), (-half * 0.75, -half * 0.3)),
        stroke(tinted(metal, 0.5), 0.008, [(long * 0.1, half * 0.3), (long * 0.9, half * 0.3)]),
    ]


def _small(design: Design) -> list[Part]:
    m, metal = design.measures, design.metal
    long, half = m["receiver"], m["depth"] / 2
    return [
        soft(
            metal,
            (-0.01, -half * 0.4),
            (0.03, -half),
            (long, -half * 0.9),
            (long, half * 1.1),
            (0.0, half),
            cut=0.15,
        ),
        rectangle(tinted(metal, 1.35), (long * 0.4, long * 0.75), (-half * 0.4, 0.0)),
    ]


def _bolt(design: Design) -> list[Part]:
    m, metal = design.measures, design.metal
    long, bore = m["receiver"], m["bore"]
    knob = (long * 0.2, 0.055)
    return [
        polygon(
            design.stock,
            (-0.02, bore),
            (long + 0.03, bore * 0.6),
            (long + 0.03, m["depth"] * 0.6),
            (0.0, m["depth"] * 0.7),
        ),
        *tube(metal, (0.0, long), 0.0, bore * 1.6),
        *tube(tinted(metal, 1.3), (-0.06, long * 0.3), 0.0, bore),
        stroke(tinted(metal, 0.8), 0.014, [(long * 0.24, 0.0), knob]),
        ellipse(tinted(metal, 0.6), knob, (0.015, 0.015)),
    ]


def _heavy(design: Design) -> list[Part]:
    m, metal = design.measures, design.metal
    long, half = m["receiver"], m["depth"] / 2
    return [
        polygon(
            metal, (0.0, -half), (long, -half), (long, half), (long * 0.3, half), (0.0, half * 0.7)
        ),
        polygon(
            tinted(metal, 0.85),
            (long * 0.3, -half),
            (long * 0.33, -half * 1.6),
            (long * 0.8, -half * 1.6),
            (long * 0.85, -half),
        ),
        stroke(tinted(metal, 0.5), 0.01, [(long * 0.2, 0.0), (long * 0.8, 0.0)]),
        ellipse(tinted(metal, 1.3), (long * 0.25, 0.0), (0.012, 0.012)),
    ]


def _lock(design: Design) -> list[Part]:
    """Return the wrist of a musket's stock and what fires it."""
    m, metal = design.measures, design.metal
    long, half = m["receiver"], m["depth"] / 2
    wrist = polygon(
        design.stock,
        (-0.02, -half * 0.4),
        (long, -half * 0.5),
        (long, half * 1.2),
        (-0.02, half * 1.2),
    )
    plate = soft(
        tinted(metal, 1.1), (0.01, 0.0), (long, -half * 0.2), (long, half * 0.6), (0.01, half * 0.6)
    )
    cock = {
        "flint": [
            (long * 0.45, half * 0.2),
            (long * 0.3, -0.035),
            (long * 0.55, -0.075),
            (long * 0.75, -0.055),
        ],
        "cap": [(long * 0.5, half * 0.2), (long * 0.35, -0.03), (long * 0.2, -0.05)],
        "bolt": [(long * 0.1, -half * 0.4), (long * 0.7, -half * 0.4)],
    }[design.shapes["lock"]]
    return [wrist, plate, stroke(tinted(metal, 0.7), 0.018, cock)]
