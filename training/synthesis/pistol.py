"""Draws pistols from their designs. Knows neither pose, light nor scene.

The origin is where frame, grip and trigger guard meet; x to the muzzle, y downwards.
"""

from training.synthesis.design import Design
from training.synthesis.parts import (
    Colour,
    Figure,
    Part,
    bow,
    ellipse,
    grooves,
    polygon,
    rectangle,
    soft,
    stroke,
    tinted,
    tube,
)
from training.synthesis.trigger import trigger


def pistol(design: Design) -> Figure:
    """Return a self-loading pistol."""
    m, s, metal = design.measures, design.shapes, design.metal
    back, front = -m["grip_width"] - 0.03, m["slide"] - m["grip_width"] - 0.03
    top = -m["frame"] - m["slide_depth"]
    dark = tinted(metal, 0.6)
    parts = [
        *_magazine(design),
        *trigger(dark, 0.01, m["guard"], s["guard"]),
        *_grip(design),
        *_frame(design, back, front),
        *_hammer(dark, s["hammer"], back, top),
        *_slide(design, back, front, top),
        *_muzzle(design, front, top),
        *_sights(dark, s["sight"], (back, front), top),
        *_rail(dark, s["rail"], front),
    ]
    return Figure(tuple(parts), (-m["grip_width"] / 2 - m["lean"] / 2, m["grip"] * 0.45))


def _grip(design: Design) -> list[Part]:
    m, width, lean, drop = design.measures, *_grip_sizes(design)
    swell = {"straight": 0.0, "swell": 0.045, "raked": -0.03}[design.shapes["grip"]]
    body = soft(
        design.stock,
        (-width - 0.02, -0.02),
        (0.0, -0.02),
        (-lean * 0.5 + swell * 0.3, drop * 0.5),
        (-lean, drop),
        (-width - lean, drop),
        (-width - lean * 0.5 - swell, drop * 0.55),
        cut=0.15,
    )
    line = tinted(design.stock, 0.65)
    lines = [
        stroke(
            line, 0.01, [(-width * 0.85 - lean * t, drop * t), (-width * 0.2 - lean * t, drop * t)]
        )
        for t in (0.25, 0.37, 0.49, 0.61, 0.73)
    ]
    tang = polygon(
        tinted(design.metal, 0.8),
        (-width - 0.07, -m["frame"]),
        (-width + 0.03, -m["frame"]),
        (-width + 0.03, 0.05),
        (-width - 0.02, 0.03),
    )
    return [body, *lines, tang]


def _grip_sizes(design: Design) -> tuple[float, float, float]:
    return design.measures["grip_width"], design.measures["lean"], design.measures["grip"]


def _magazine(design: Design) -> list[Part]:
    width, lean, drop = _grip_sizes(design)
    more = 0.14 if design.shapes["feed"] == "long" else 0.025
    low, slope = drop + more, lean / drop
    return [
        polygon(
            tinted(design.metal, 0.55),
            (-width * 0.95 - lean, drop - 0.03),
            (-0.02 - lean, drop - 0.03),
            (-0.02 - lean - slope * more, low),
            (-width * 0.95 - lean - slope * more, low),
        )
    ]


def _frame(design: Design, back: float, front: float) -> list[Part]:
    """Return what lies under the slide: as long as it, or ending behind a bare barrel."""
    deep = design.measures["frame"]
    end = front - (0.18 if design.shapes["body"] == "bare" else 0.04)
    tone = tinted(design.metal, 0.82)
    return [
        polygon(
            tone,
            (back + 0.01, -deep - 0.01),
            (end, -deep - 0.01),
            (end - 0.03, -0.005),
            (back + 0.05, 0.0),
        )
    ]


def _slide(design: Design, back: float, front: float, top: float) -> list[Part]:
    m, s, metal = design.measures, design.shapes, design.metal
    low = -m["frame"]
    dark, light = tinted(metal, 0.6), tinted(metal, 1.3)
    if s["body"] == "bare":
        middle = back + (front - back) * 0.5
        barrel = tube(metal, (middle - 0.02, front), top + m["slide_depth"] * 0.45, 0.035)
        return [
            *barrel,
            soft(
                metal,
                (back, low),
                (back, top + 0.05),
                (back + 0.1, top),
                (middle, top + 0.02),
                (middle + 0.08, low),
                cut=0.2,
            ),
            ellipse(dark, (back + 0.12, (top + low) / 2), (0.035, 0.035)),
        ]
    slope = m["taper"]
    body = [
        polygon(
            metal,
            (back, low),
            (back, top + 0.01),
            (back + 0.02, top),
            (front - slope, top),
            (front, top + slope),
            (front, low),
        ),
        rectangle(light, (back + 0.02, front - slope), (top, top + 0.022)),
        rectangle(dark, (back + 0.01, front - 0.01), (low - 0.014, low)),
    ]
    if s["body"] == "open":
        gap = (back + (front - back) * 0.35, front - 0.12)
        body.append(rectangle(tinted(metal, 0.4), gap, (top, top + m["slide_depth"] * 0.4)))
        body += tube(metal, gap, top + m["slide_depth"] * 0.3, 0.035)
    else:
        port = (back + (front - back) * 0.42, back + (front - back) * 0.62)
        body.append(rectangle(tinted(metal, 0.45), port, (top, top + m["slide_depth"] * 0.45)))
    cuts = (
        []
        if s["cuts"] == "none"
        else grooves(dark, 6, (back + 0.02, back + 0.15), (top + 0.02, low - 0.01), 0.015)
    )
    if s["cuts"] == "both":
        cuts += grooves(dark, 4, (front - 0.16, front - 0.07), (top + 0.03, low - 0.01), 0.015)
    return body + cuts


def _hammer(colour: Colour, shape: str, back: float, top: float) -> list[Part]:
    y = top + 0.06
    if shape == "ring":
        return [stroke(colour, 0.028, bow((back - 0.03, y), (0.032, 0.032), (0, 360)))]
    if shape == "spur":
        return [
            polygon(
                colour,
                (back + 0.02, y + 0.06),
                (back - 0.02, y - 0.02),
                (back - 0.09, y - 0.05),
                (back - 0.04, y + 0.03),
            )
        ]
    return []


def _muzzle(design: Design, front: float, top: float) -> list[Part]:
    m, metal = design.measures, design.metal
    y = top + m["slide_depth"] * 0.42
    hole = tinted(metal, 0.3)
    if design.shapes["muzzle"] == "silencer":
        return [
            *tube(hole, (front, front + 0.04), y, 0.03),
            *tube(tinted(metal, 0.7), (front + 0.03, front + 0.42), y, 0.068),
        ]
    if design.shapes["muzzle"] == "brake":
        brake = rectangle(tinted(metal, 0.85), (front, front + 0.11), (top, -m["frame"]))
        return [brake, *grooves(hole, 3, (front + 0.02, front + 0.1), (top, top + 0.06))]
    return tube(tinted(metal, 0.9), (front, front + 0.012 + m["barrel"]), y, 0.034)


def _sights(colour: Colour, shape: str, x: tuple[float, float], top: float) -> list[Part]:
    back, front = x
    if shape == "dot":
        return [
            rectangle(colour, (back + 0.06, back + 0.18), (top - 0.025, top)),
            stroke(
                colour,
                0.016,
                [
                    (back + 0.14, top),
                    (back + 0.14, top - 0.1),
                    (back + 0.17, top - 0.1),
                    (back + 0.17, top),
                ],
            ),
        ]
    high = 0.045 if shape == "target" else 0.022
    return [
        polygon(
            colour,
            (back + 0.02, top),
            (back + 0.03, top - high),
            (back + 0.07, top - high),
            (back + 0.08, top),
        ),
        polygon(colour, (front - 0.09, top), (front - 0.05, top - high), (front - 0.04, top)),
    ]


def _rail(colour: Colour, shape: str, front: float) -> list[Part]:
    if shape == "light":
        return [
            soft(
                colour,
                (front - 0.24, 0.0),
                (front - 0.06, 0.0),
                (front - 0.06, 0.09),
                (front - 0.24, 0.07),
            ),
            rectangle(tinted(colour, 1.4), (front - 0.06, front - 0.03), (-0.005, 0.095)),
        ]
    return grooves(colour, 3, (front - 0.2, front - 0.08), (-0.03, 0.0)) if shape == "slot" else []
