"""Things that firearms may be taken for, each drawn by chance. Knows neither pose, light nor scene.

Figures face right, about one unit long, as firearms do.
"""

from collections.abc import Callable, Mapping

import numpy as np

from training.synthesis.chance import pick
from training.synthesis.nuisance import SKINS
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

Chance = np.random.Generator

LOUD: tuple[Colour, ...] = (
    (214, 160, 32),
    (188, 52, 44),
    (36, 110, 160),
    (40, 140, 88),
    (228, 112, 40),
    (120, 70, 150),
)
DULL: tuple[Colour, ...] = ((38, 39, 42), (90, 92, 96), (150, 152, 156), (70, 60, 52))


def lookalike(kind: str, chance: Chance) -> Figure:
    """Return a figure of a kind of ``LOOKALIKES``."""
    parts, hold = LOOKALIKES[kind](chance)
    return Figure(tuple(parts), hold)


Drawn = tuple[list[Part], tuple[float, float]]


def _drill(chance: Chance) -> Drawn:
    body, dark = pick(chance, LOUD), pick(chance, DULL[:2])
    long, grip = chance.uniform(0.3, 0.42), chance.uniform(0.3, 0.4)
    bit = chance.uniform(0.1, 0.25)
    return [
        soft(body, (-0.24, 0.02), (-0.06, 0.02), (-0.08, grip), (-0.22, grip), cut=0.15),
        polygon(dark, (-0.1, 0.04), (-0.04, 0.05), (-0.06, 0.16), (-0.1, 0.15)),
        soft(
            dark,
            (-0.33, grip - 0.02),
            (0.03, grip - 0.02),
            (0.03, grip + 0.13),
            (-0.33, grip + 0.13),
            cut=0.15,
        ),
        soft(
            body,
            (-0.32, -0.18),
            (long - 0.12, -0.19),
            (long - 0.02, -0.12),
            (long - 0.02, 0.0),
            (-0.3, 0.06),
            cut=0.25,
        ),
        *grooves(tinted(body, 0.5), 5, (-0.28, -0.16), (-0.13, -0.01)),
        polygon(
            dark,
            (long - 0.02, -0.14),
            (long + 0.1, -0.11),
            (long + 0.1, -0.02),
            (long - 0.02, 0.01),
        ),
        *tube((170, 172, 176), (long + 0.1, long + 0.1 + bit), -0.065, 0.014),
    ], (-0.15, 0.2)


def _umbrella(chance: Chance) -> Drawn:
    cloth, wood = pick(chance, LOUD + DULL), pick(chance, ((96, 58, 34), (40, 40, 42)))
    fat = chance.uniform(0.025, 0.06)
    hook = bow((-0.52, 0.07), (0.05, 0.07), (270, 90)) if chance.random() < 0.7 else None
    handle = stroke(wood, 0.03, [(-0.52, 0.0), (-0.3, 0.0)])
    return [
        handle,
        *([stroke(wood, 0.03, hook)] if hook is not None else []),
        polygon(
            cloth,
            (-0.3, -fat * 0.6),
            (0.2, -fat),
            (0.38, -fat * 0.5),
            (0.44, 0.0),
            (0.38, fat * 0.5),
            (0.2, fat),
            (-0.3, fat * 0.6),
        ),
        stroke(tinted(cloth, 0.6), 0.008, [(-0.3, -fat * 0.2), (0.4, 0.0)]),
        stroke(tinted(cloth, 0.7), 0.02, [(0.05, -fat), (0.07, fat)]),
        *tube((150, 152, 156), (0.43, 0.52), 0.0, 0.009),
    ], (-0.4, 0.0)


def _tripod(chance: Chance) -> Drawn:
    dark = pick(chance, DULL)
    wide, low = chance.uniform(0.12, 0.3), 0.55
    legs = [(-wide, low), (wide * 0.2, low), (wide, low * 0.96)]
    parts = [
        stroke(tinted(dark, 0.8 + 0.2 * place), 0.03, [(0.0, -0.1), leg])
        for place, leg in enumerate(legs)
    ]
    feet = [ellipse((30, 30, 32), leg, (0.022, 0.016)) for leg in legs]
    return [
        *parts,
        *feet,
        stroke(dark, 0.028, [(0.0, -0.36), (0.0, 0.05)]),
        rectangle(tinted(dark, 0.7), (-0.06, 0.06), (-0.4, -0.34)),
        stroke(dark, 0.018, [(0.0, -0.34), (-0.3, -0.26)]),
        *(
            [
                rectangle((34, 35, 38), (-0.1, 0.1), (-0.54, -0.4)),
                *tube((50, 52, 56), (0.1, 0.22), -0.47, 0.05),
            ]
            if chance.random() < 0.5
            else []
        ),
    ], (0.0, -0.05)


def _hair_dryer(chance: Chance) -> Drawn:
    body = pick(chance, LOUD + DULL)
    dark, fat, grip = tinted(body, 0.6), chance.uniform(0.11, 0.16), chance.uniform(0.32, 0.42)
    cord = bow((-0.3, grip + 0.06), (0.16, 0.1), (0, 120))
    return [
        stroke((40, 40, 42), 0.015, cord),
        soft(body, (-0.2, 0.0), (-0.06, 0.0), (-0.08, grip), (-0.2, grip), cut=0.25),
        rectangle(dark, (-0.09, -0.065), (0.16, 0.25)),
        ellipse(body, (-0.14, -fat * 0.4), (fat * 1.15, fat * 1.15)),
        polygon(
            body, (-0.14, -fat * 1.5), (0.3, -fat * 1.1), (0.3, fat * 0.35), (-0.14, fat * 0.7)
        ),
        polygon(dark, (0.3, -fat), (0.42, -fat * 1.15), (0.42, fat * 0.4), (0.3, fat * 0.25)),
        *grooves(dark, 5, (-0.24, -0.12), (-fat * 0.8, fat * 0.1)),
    ], (-0.14, 0.2)


def _glue_gun(chance: Chance) -> Drawn:
    body = pick(chance, LOUD)
    dark, grip = tinted(body, 0.6), chance.uniform(0.3, 0.4)
    return [
        rectangle((226, 220, 200), (-0.5, -0.26), (-0.12, -0.08)),
        soft(body, (-0.28, -0.06), (-0.12, -0.06), (-0.16, grip), (-0.32, grip * 0.97), cut=0.2),
        soft(body, (-0.3, -0.2), (0.16, -0.19), (0.2, -0.04), (-0.08, 0.02), (-0.3, 0.0), cut=0.2),
        polygon(dark, (-0.09, 0.0), (0.02, 0.0), (-0.06, 0.17), (-0.12, 0.16)),
        polygon(dark, (0.18, -0.17), (0.28, -0.14), (0.28, -0.07), (0.19, -0.05)),
        polygon((190, 160, 80), (0.28, -0.13), (0.36, -0.11), (0.36, -0.1), (0.28, -0.08)),
    ], (-0.22, 0.15)


def _pointing_hand(chance: Chance) -> Drawn:
    skin = pick(chance, SKINS)
    dark, sleeve = tinted(skin, 0.85), pick(chance, LOUD + DULL)
    finger, thumb = chance.uniform(0.32, 0.44), chance.uniform(0.12, 0.22)
    curled = [
        soft(
            tinted(skin, 0.92 - 0.03 * place),
            (-0.02, y),
            (0.13, y - 0.01),
            (0.13, y + 0.075),
            (-0.02, y + 0.08),
            cut=0.35,
        )
        for place, y in enumerate((-0.01, 0.07, 0.15))
    ]
    return [
        soft(skin, (-0.6, -0.08), (-0.2, -0.1), (-0.2, 0.13), (-0.6, 0.15), cut=0.1),
        rectangle(sleeve, (-0.62, -0.42), (-0.12, 0.19)),
        soft(
            skin, (-0.26, -0.1), (0.06, -0.12), (0.1, 0.2), (-0.12, 0.25), (-0.26, 0.14), cut=0.25
        ),
        *curled,
        soft(
            skin,
            (-0.02, -0.11),
            (finger, -0.085),
            (finger + 0.04, -0.05),
            (finger, -0.02),
            (-0.02, -0.01),
            cut=0.2,
        ),
        soft(
            dark,
            (-0.16, -0.06),
            (-0.08, -0.1),
            (-0.02, -0.1 - thumb),
            (-0.07, -0.12 - thumb),
            (-0.17, -0.12),
            cut=0.3,
        ),
    ], (-0.5, 0.05)


def _water_pistol(chance: Chance) -> Drawn:
    body, tank = pick(chance, LOUD), pick(chance, LOUD)
    grip, long = chance.uniform(0.28, 0.38), chance.uniform(0.3, 0.45)
    lean = chance.uniform(0.03, 0.12)
    high = chance.uniform(0.1, 0.18)
    return [
        soft(
            body, (-0.3, -0.02), (-0.14, -0.02), (-0.14 - lean, grip), (-0.3 - lean, grip), cut=0.2
        ),
        stroke(body, 0.03, bow((-0.07, 0.0), (0.08, 0.09), (0, 180))),
        soft(
            tank, (-0.24, -0.1), (-0.2, -0.14 - high), (0.04, -0.14 - high), (0.08, -0.1), cut=0.3
        ),
        soft(
            body,
            (-0.34, -0.14),
            (long - 0.1, -0.13),
            (long, -0.08),
            (long - 0.05, 0.02),
            (-0.32, 0.03),
            cut=0.2,
        ),
        *tube((240, 130, 40), (long - 0.02, long + 0.08), -0.06, 0.03),
        ellipse((240, 232, 210), (-0.02, -0.05), (0.05, 0.035)),
    ], (-0.24, 0.14)


def _spray_bottle(chance: Chance) -> Drawn:
    liquid, head = pick(chance, LOUD), pick(chance, LOUD + DULL)
    wide = chance.uniform(0.1, 0.15)
    return [
        soft(
            liquid,
            (-wide, -0.1),
            (wide, -0.1),
            (wide * 1.3, 0.1),
            (wide * 1.3, 0.5),
            (-wide * 1.3, 0.5),
            (-wide * 1.3, 0.1),
            cut=0.2,
        ),
        rectangle((240, 238, 230), (-wide * 1.2, wide * 1.2), (0.16, 0.38)),
        rectangle(head, (-0.05, 0.05), (-0.22, -0.08)),
        polygon(tinted(head, 0.75), (0.05, -0.24), (0.14, -0.24), (0.12, -0.06), (0.08, -0.05)),
        soft(head, (-0.14, -0.36), (0.18, -0.36), (0.22, -0.24), (-0.12, -0.22), cut=0.2),
        rectangle(tinted(head, 0.6), (0.2, 0.27), (-0.34, -0.27)),
    ], (0.0, -0.12)


LOOKALIKES: Mapping[str, Callable[[Chance], Drawn]] = {
    "drill": _drill,
    "umbrella": _umbrella,
    "tripod": _tripod,
    "hair_dryer": _hair_dryer,
    "glue_gun": _glue_gun,
    "pointing_hand": _pointing_hand,
    "water_pistol": _water_pistol,
    "spray_bottle": _spray_bottle,
}
"""Every kind of look-alike."""
