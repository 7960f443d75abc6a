"""Draws what hands hold of a long firearm: grip, trigger, fore-end. Knows nothing else of it."""

from training.synthesis.design import Design
from training.synthesis.parts import (
    Part,
    bow,
    ellipse,
    grooves,
    polygon,
    rectangle,
    soft,
    stroke,
    tinted,
)


def grip(design: Design) -> list[Part]:
    """Return the grip and the trigger in its guard."""
    m = design.measures
    half = m["depth"] / 2
    x = m["receiver"] * (0.42 if design.shapes["feed"] == "in grip" else 0.08)
    dark = tinted(design.metal, 0.55)
    guard = [
        stroke(dark, 0.011, bow((x + 0.085, half * 0.9), (0.042, 0.045), (0, 180))),
        stroke(dark, 0.011, bow((x + 0.1, half * 0.8), (0.022, 0.038), (180, 110))),
    ]
    shape, length = design.shapes["grip"], m["grip"]
    if shape == "straight":
        return guard
    if shape == "half":
        return [
            *guard,
            soft(
                design.stock,
                (-0.06, half * 0.2),
                (0.05, half * 0.5),
                (0.0, half + length * 0.4),
                (-0.06, half + length * 0.35),
            ),
        ]
    lean = m["lean"]
    return [
        *guard,
        soft(
            design.stock,
            (x - 0.025, half * 0.7),
            (x + 0.045, half * 0.7),
            (x + 0.04 - lean, half + length),
            (x - 0.03 - lean, half + length * 0.97),
            cut=0.15,
        ),
        stroke(
            tinted(design.stock, 0.6),
            0.006,
            [(x, half * 1.3), (x + 0.005 - lean * 0.9, half + length * 0.9)],
        ),
    ]


def fore_end(design: Design) -> list[Part]:
    """Return what the other hand holds below the barrel."""
    m, shape = design.measures, design.shapes["fore"]
    left = m["receiver"] + m.get("gap", 0.0)
    right = m["receiver"] + m["fore"]
    left = min(left, right - 0.08)
    half = m["fore_depth"] / 2
    wood = soft(
        design.stock,
        (left, -half * 0.75),
        (right, -half * 0.6),
        (right, half * 0.9),
        (left, half * 1.2),
        cut=0.08,
    )
    dark = tinted(design.stock, 0.5)
    if shape == "ribbed":
        return [wood, *grooves(dark, 9, (left + 0.01, right - 0.01), (half * 0.1, half * 0.95))]
    if shape == "vented":
        holes = [
            ellipse(dark, (left + (right - left) * t, 0.0), (0.009, half * 0.35))
            for t in (0.15, 0.3, 0.45, 0.6, 0.75, 0.9)
        ]
        return [wood, *holes]
    if shape == "railed":
        teeth = [
            *grooves(dark, 10, (left, right), (-half - 0.012, -half)),
            *grooves(dark, 10, (left, right), (half, half + 0.012)),
        ]
        return [
            rectangle(design.stock, (left, right), (-half, half)),
            rectangle(tinted(design.stock, 0.75), (left, right), (-half * 0.2, half * 0.25)),
            *teeth,
        ]
    if shape == "bands":
        bands = [
            rectangle(
                tinted(design.metal, 1.2),
                (left + (right - left) * t, left + (right - left) * t + 0.014),
                (-half * 0.9, half * 1.1),
            )
            for t in (0.35, 0.7, 0.95)
        ]
        return [wood, *bands]
    return [wood]


def extra(design: Design) -> list[Part]:
    """Return what is fixed below or beside the fore-end."""
    m = design.measures
    x, low = m["receiver"] + m["fore"] * 0.6, m["fore_depth"] / 2
    if design.shapes["extra"] == "foregrip":
        return [
            polygon(
                tinted(design.stock, 0.8),
                (x - 0.02, low),
                (x + 0.022, low),
                (x + 0.018, low + 0.1),
                (x - 0.018, low + 0.1),
            )
        ]
    if design.shapes["extra"] == "light":
        right = m["receiver"] + m["fore"]
        dark = tinted(design.metal, 0.55)
        return [
            rectangle(dark, (right - 0.05, right + 0.03), (low, low + 0.028)),
            rectangle(dark, (right + 0.02, right + 0.045), (low - 0.006, low + 0.034)),
        ]
    return []
