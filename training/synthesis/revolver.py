"""Draws revolvers from their designs. Knows neither pose, light nor scene.

The origin is where frame, grip and trigger guard meet; x to the muzzle, y downwards.
"""

from training.synthesis.design import Design
from training.synthesis.parts import (
    Colour,
    Figure,
    Part,
    ellipse,
    grooves,
    polygon,
    rectangle,
    soft,
    tinted,
    tube,
)
from training.synthesis.trigger import trigger


def revolver(design: Design) -> Figure:
    """Return a revolver."""
    m, s, metal = design.measures, design.shapes, design.metal
    radius, length = m["cylinder_radius"], m["cylinder"]
    axis = -radius - 0.01
    bore = axis - radius * 0.55
    top = axis - radius - m["strap"]
    front = length + 0.03
    dark = tinted(metal, 0.6)
    frame = [
        soft(
            metal,
            (-0.14, top + 0.05),
            (-0.04, top),
            (front, top),
            (front + 0.03, bore + 0.05),
            (front, 0.03),
            (0.0, 0.05),
            (-0.13, 0.0),
            cut=0.2,
        ),
        rectangle(tinted(metal, 0.3), (0.0, length), (axis - radius, axis + radius)),
    ]
    parts = [
        *trigger(dark, -0.01, m["guard"], s["guard"], drop=0.04),
        *_grip(design),
        *_hammer(dark, s["hammer"], top),
        *_barrel(design, front, bore, axis),
        *frame,
        *_cylinder(design, axis),
        *_sights(dark, s["sight"], front + m["barrel"], bore - m["barrel_depth"], top),
        ellipse(tinted(metal, 0.45), (-0.07, -0.02), (0.012, 0.012)),
    ]
    return Figure(tuple(parts), (-0.14 - m["lean"] / 2, m["grip"] * 0.5))


def _grip(design: Design) -> list[Part]:
    lean, drop, width = (design.measures[name] for name in ("lean", "grip", "grip_width"))
    low = {
        "plow": [
            (-0.03 - lean, drop),
            (-0.06 - width * 1.2 - lean, drop * 0.97),
            (-0.12 - width - lean * 0.5, drop * 0.5),
        ],
        "target": [
            (0.0 - lean * 0.5, drop * 0.55),
            (0.0 - lean, drop),
            (-0.05 - width * 1.3 - lean, drop),
            (-0.15 - width - lean * 0.4, drop * 0.3),
        ],
        "bird": [
            (-0.03 - lean * 0.6, drop * 0.7),
            (-0.06 - lean, drop * 0.85),
            (-0.1 - width * 1.1 - lean, drop * 0.7),
            (-0.13 - width - lean * 0.5, drop * 0.4),
        ],
    }[design.shapes["grip"]]
    return [
        soft(
            design.stock,
            (-0.15, -0.08),
            (-0.0, 0.0),
            (-0.02 - lean * 0.3, drop * 0.3),
            *low,
            (-0.17, 0.02),
        ),
        ellipse(tinted(design.stock, 1.4), (-0.1 - lean * 0.5, drop * 0.4), (0.014, 0.014)),
    ]


def _hammer(colour: Colour, shape: str, top: float) -> list[Part]:
    reach = {"spur": (0.1, 0.0), "high": (0.08, 0.09), "bobbed": (0.02, -0.02)}[shape]
    return [
        polygon(
            colour,
            (-0.03, top + 0.04),
            (-0.09, top - reach[1]),
            (-0.11 - reach[0], top - reach[1] - 0.015),
            (-0.1, top + 0.05),
            (-0.11, top + 0.12),
        )
    ]


def _barrel(design: Design, front: float, bore: float, axis: float) -> list[Part]:
    m, s, metal = design.measures, design.shapes, design.metal
    end, deep = front + m["barrel"], m["barrel_depth"]
    dark = tinted(metal, 0.75)
    reach = {"none": 0.0, "rod": 0.55, "half": 0.6, "full": 1.0}[s["lug"]]
    thin = 0.018 if s["lug"] == "rod" else deep * 0.8
    parts = tube(metal, (front - 0.02, end), bore, deep)
    if reach:
        low = axis + thin * 0.6
        parts = [
            soft(
                dark,
                (front, bore),
                (front + m["barrel"] * reach, bore),
                (front + m["barrel"] * reach, low),
                (front, low),
                cut=0.12,
            ),
            *parts,
        ]
    if s["rib"] != "none":
        parts.append(
            rectangle(dark, (front - 0.02, end - 0.01), (bore - deep - 0.025, bore - deep))
        )
    if s["rib"] == "vented":
        parts += grooves(
            tinted(metal, 0.3),
            max(2, round(m["barrel"] * 12)),
            (front + 0.02, end - 0.03),
            (bore - deep - 0.012, bore - deep * 0.7),
        )
    return parts


def _cylinder(design: Design, axis: float) -> list[Part]:
    m, metal = design.measures, design.metal
    radius, length = m["cylinder_radius"], m["cylinder"]
    parts = tube(tinted(metal, 1.05), (0.012, length - 0.008), axis, radius)
    start = {"long": 0.35, "short": 0.65, "none": 1.0}[design.shapes["flutes"]] * length
    if start < length:
        parts += [
            soft(
                tinted(metal, 0.5),
                (start, axis + y * radius),
                (length, axis + (y - 0.1) * radius),
                (length, axis + (y + 0.28) * radius),
                (start, axis + (y + 0.18) * radius),
            )
            for y in (-0.65, -0.08, 0.45)
        ]
    return parts


def _sights(colour: Colour, shape: str, end: float, barrel: float, top: float) -> list[Part]:
    length, high = {"blade": (0.06, 0.05), "ramp": (0.15, 0.055), "target": (0.11, 0.07)}[shape]
    parts = [
        polygon(
            colour,
            (end - length - 0.01, barrel + 0.01),
            (end - 0.04, barrel - high),
            (end - 0.015, barrel - high),
            (end - 0.01, barrel + 0.01),
        )
    ]
    if shape == "target":
        parts.append(rectangle(colour, (-0.03, 0.05), (top - 0.035, top + 0.01)))
    return parts
