"""Draws everyday things and people. Knows neither pose, light nor scene."""

from collections.abc import Callable, Mapping

import numpy as np

from training.synthesis.chance import pick
from training.synthesis.lookalike import DULL, LOUD
from training.synthesis.nuisance import SKINS
from training.synthesis.parts import (
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
)

Chance = np.random.Generator


def harmless(kind: str, chance: Chance) -> Figure:
    """Return a figure of a kind of ``HARMLESS``."""
    return Figure(tuple(HARMLESS[kind](chance)), (0.0, 0.1))


def _person(chance: Chance) -> list[Part]:
    skin, shirt, legs = pick(chance, SKINS), pick(chance, LOUD + DULL), pick(chance, DULL)
    spread, wave = chance.uniform(0.02, 0.12), chance.uniform(-0.25, 0.2)
    hair = tinted((90, 66, 44), float(chance.uniform(0.3, 1.8)))
    hands = [(-0.2, 0.05), (0.2 + abs(wave) * 0.3, 0.05 + wave)]
    return [
        stroke(legs, 0.075, [(-0.05, 0.05), (-0.05 - spread, 0.5)]),
        stroke(legs, 0.075, [(0.05, 0.05), (0.05 + spread, 0.5)]),
        stroke(tinted(shirt, 0.85), 0.05, [(-0.1, -0.24), hands[0]]),
        stroke(tinted(shirt, 0.85), 0.05, [(0.1, -0.24), hands[1]]),
        *[ellipse(skin, hand, (0.03, 0.03)) for hand in hands],
        soft(shirt, (-0.13, -0.28), (0.13, -0.28), (0.1, 0.08), (-0.1, 0.08), cut=0.15),
        rectangle(skin, (-0.025, 0.025), (-0.33, -0.27)),
        ellipse(hair, (0.0, -0.41), (0.078, 0.09)),
        ellipse(skin, (0.0, -0.39), (0.066, 0.08)),
    ]


def _crockery(chance: Chance) -> list[Part]:
    cup = pick(chance, (*LOUD, (236, 234, 228)))
    wide, high = chance.uniform(0.14, 0.22), chance.uniform(0.3, 0.44)
    return [
        stroke(tinted(cup, 0.8), 0.04, bow((wide, 0.0), (0.13, high * 0.3), (-85, 85))),
        ellipse((220, 220, 216), (0.0, high * 0.5), (0.42, 0.06)),
        soft(
            cup,
            (-wide, -high / 2),
            (wide, -high / 2),
            (wide * 0.8, high / 2),
            (-wide * 0.8, high / 2),
            cut=0.1,
        ),
        ellipse(tinted(cup, 0.5), (0.0, -high / 2), (wide * 0.97, 0.035)),
    ]


def _books(chance: Chance) -> list[Part]:
    parts: list[Part] = []
    left = -0.45
    while left < 0.4:
        wide, top = chance.uniform(0.05, 0.12), chance.uniform(-0.4, -0.2)
        colour = pick(chance, LOUD + DULL)
        parts.append(rectangle(colour, (left, left + wide), (top, 0.3)))
        parts.append(
            rectangle(
                tinted(colour, 1.5),
                (left + wide * 0.2, left + wide * 0.8),
                (top + 0.06, top + 0.12),
            )
        )
        left += wide + 0.005
    return [*parts, rectangle((120, 84, 52), (-0.5, 0.5), (0.3, 0.34))]


def _plant(chance: Chance) -> list[Part]:
    green, pot = tinted((70, 130, 66), float(chance.uniform(0.6, 1.3))), pick(chance, LOUD + DULL)
    leaves = [
        stroke(
            tinted(green, float(chance.uniform(0.7, 1.2))),
            0.05,
            bow(
                (x * 0.5, 0.15),
                (abs(x) * 0.5 + 0.02, float(chance.uniform(0.3, 0.6))),
                (180, 330) if x > 0 else (360, 210),
            ),
        )
        for x in np.linspace(-0.5, 0.5, 8).tolist()
    ]
    return [*leaves, polygon(pot, (-0.18, 0.12), (0.18, 0.12), (0.13, 0.46), (-0.13, 0.46))]


def _car(chance: Chance) -> list[Part]:
    paint = pick(chance, LOUD + DULL)
    roof = chance.uniform(0.2, 0.3)
    wheels = [ellipse((32, 32, 34), (x, 0.14), (0.095, 0.095)) for x in (-0.3, 0.3)]
    hubs = [ellipse((160, 162, 166), (x, 0.14), (0.045, 0.045)) for x in (-0.3, 0.3)]
    return [
        soft(paint, (-0.3, -0.06), (-0.18, -roof), (0.14, -roof), (0.28, -0.06), cut=0.15),
        polygon(
            (180, 206, 222),
            (-0.24, -0.07),
            (-0.15, -roof + 0.03),
            (-0.03, -roof + 0.03),
            (-0.03, -0.07),
        ),
        polygon(
            (180, 206, 222), (0.0, -0.07), (0.0, -roof + 0.03), (0.12, -roof + 0.03), (0.22, -0.07)
        ),
        soft(paint, (-0.5, -0.06), (0.34, -0.07), (0.5, 0.0), (0.5, 0.13), (-0.5, 0.13), cut=0.12),
        *wheels,
        *hubs,
    ]


def _guitar(chance: Chance) -> list[Part]:
    wood, wide = tinted((176, 112, 58), float(chance.uniform(0.6, 1.3))), chance.uniform(0.15, 0.2)
    return [
        rectangle((70, 48, 34), (-0.05, 0.46), (-0.025, 0.025)),
        polygon(tinted(wood, 0.6), (0.45, -0.035), (0.58, -0.045), (0.58, 0.045), (0.45, 0.035)),
        ellipse(wood, (-0.32, 0.0), (0.17, wide)),
        ellipse(wood, (-0.1, 0.0), (0.14, wide * 0.75)),
        ellipse((40, 30, 26), (-0.14, 0.0), (0.055, 0.055)),
        rectangle((60, 42, 30), (-0.37, -0.34), (-0.06, 0.06)),
        *[stroke((230, 226, 210), 0.004, [(-0.35, y), (0.46, y)]) for y in (-0.015, 0.0, 0.015)],
    ]


def _bottle(chance: Chance) -> list[Part]:
    glass = pick(chance, ((50, 96, 62), (96, 60, 34), (150, 190, 200)))
    label, wide = pick(chance, LOUD), chance.uniform(0.1, 0.14)
    return [
        soft(
            glass,
            (-0.04, -0.48),
            (0.04, -0.48),
            (0.045, -0.2),
            (wide, -0.08),
            (wide, 0.48),
            (-wide, 0.48),
            (-wide, -0.08),
            (-0.045, -0.2),
            cut=0.12,
        ),
        rectangle(label, (-wide, wide), (0.04, 0.3)),
        *grooves(tinted(label, 1.6), 3, (-wide * 0.7, wide * 0.7), (0.1, 0.22)),
    ]


HARMLESS: Mapping[str, Callable[[Chance], list[Part]]] = {
    "person": _person,
    "crockery": _crockery,
    "books": _books,
    "plant": _plant,
    "car": _car,
    "guitar": _guitar,
    "bottle": _bottle,
}
"""Every kind of thing that stands in harmless scenes."""
