"""Draws a long firearm's muzzle and the legs it stands on. Knows nothing else of it."""

from training.synthesis.design import Design
from training.synthesis.parts import (
    Part,
    grooves,
    polygon,
    rectangle,
    stroke,
    tinted,
    tube,
)


def muzzle(design: Design, end: float) -> list[Part]:
    """Return what is at the end of the barrel."""
    bore, metal = design.measures["bore"], design.metal
    shape, dark = design.shapes["muzzle"], tinted(design.metal, 0.55)
    if shape == "brake":
        return [
            *tube(dark, (end - 0.01, end + 0.055), 0.0, bore * 1.6),
            *grooves(tinted(metal, 0.25), 3, (end + 0.005, end + 0.05), (-bore, bore)),
        ]
    if shape == "flare":
        return [
            polygon(
                dark,
                (end - 0.01, -bore),
                (end + 0.05, -bore * 2),
                (end + 0.05, bore * 2),
                (end - 0.01, bore),
            )
        ]
    if shape == "silencer":
        return tube(tinted(metal, 0.65), (end - 0.03, end + 0.2), 0.0, 0.028)
    if shape == "bayonet":
        return [
            polygon(
                tinted(metal, 1.5),
                (end - 0.05, bore),
                (end + 0.2, bore * 0.8),
                (end - 0.02, bore * 2.6),
            ),
            rectangle(dark, (end - 0.06, end - 0.03), (-bore * 1.3, bore * 2.6)),
        ]
    return [rectangle(tinted(metal, 0.3), (end, end + 0.004), (-bore * 0.7, bore * 0.7))]


def support(design: Design) -> list[Part]:
    """Return the legs it stands on, if any."""
    m, kind = design.measures, design.shapes.get("support", "none")
    if kind == "none":
        return []
    dark, leg, spread = tinted(design.metal, 0.55), m["leg"], m.get("foot", 0.08)
    if kind == "bipod":
        x = m["receiver"] + m["fore"] * 0.95
        return [
            stroke(dark, 0.013, [(x, 0.0), (x - spread * 0.3, leg)]),
            stroke(tinted(dark, 0.8), 0.013, [(x, 0.0), (x + spread * 0.7, leg)]),
            rectangle(dark, (x - spread * 0.3 - 0.02, x - spread * 0.3 + 0.02), (leg, leg + 0.01)),
        ]
    x, low = m["receiver"] * 0.8, m["depth"]
    return [
        rectangle(dark, (x - 0.04, x + 0.04), (0.0, low + 0.03)),
        stroke(dark, 0.018, [(x, low), (x - spread - 0.16, leg + 0.12)]),
        stroke(dark, 0.018, [(x, low), (x + spread + 0.06, leg + 0.12)]),
        stroke(tinted(dark, 0.75), 0.018, [(x, low), (x - 0.04, leg + 0.14)]),
    ]
