"""Silhouettes of what is taken for firearms at a glance. Knows nothing of pose or light."""

from collections.abc import Callable, Mapping

from moderator.demo.dial import Dial
from moderator.demo.parts import (
    Colour,
    Part,
    arc,
    band,
    box,
    oval,
    pill,
    ribs,
    rounded,
    shade,
    slab,
)

TOOLS: tuple[tuple[Colour, ...], tuple[Colour, ...]] = (
    ((214, 150, 30), (30, 110, 130), (200, 60, 40)),
    ((225, 175, 20), (40, 90, 160), (60, 130, 60)),
)
TOYS: tuple[tuple[Colour, ...], tuple[Colour, ...]] = (
    ((240, 90, 30), (50, 180, 70), (230, 60, 140)),
    ((250, 120, 40), (60, 160, 210), (240, 200, 40)),
)


def _bright(dial: Dial, colours: tuple[tuple[Colour, ...], tuple[Colour, ...]]) -> Colour:
    return dial.choose("colour", indexed=colours[0], posted=colours[1])


def drill(dial: Dial) -> list[Part]:
    """Return a cordless power drill."""
    colour = _bright(dial, TOOLS)
    tip = dial.between("bit", 0.42, 0.56)
    foot = dial.between("grip length", 0.28, 0.38)
    swell = dial.between("motor", 0.13, 0.17)
    black: Colour = (42, 42, 46)
    return [
        band((150, 150, 156), 0.02, (0.3, -0.17), (tip, -0.17)),
        slab((70, 70, 76), (0.16, -0.25), (0.3, -0.21), (0.3, -0.13), (0.16, -0.09)),
        rounded(black, (-0.2, -0.05), (-0.03, -0.05), (-0.09, foot), (-0.24, foot), rounds=1),
        rounded(colour, (-0.38, -0.17 - swell), (0.12, -0.17 - swell), (0.2, -0.17),
                (0.12, -0.03), (-0.36, -0.03), rounds=2),
        *ribs(shade(colour, 0.5), 5, (-0.33, -0.18), (-0.24, -0.12)),
        box(black, 0.11, -0.28, 0.17, -0.06),
        slab(shade(colour, 0.7), (-0.03, -0.03), (0.02, -0.03), (-0.01, 0.06), (-0.05, 0.06)),
        pill(colour, -0.36, foot - 0.03, 0.03, foot + 0.1),
        box(black, -0.3, foot + 0.04, -0.03, foot + 0.09),
    ]  # fmt: skip


def water_pistol(dial: Dial) -> list[Part]:
    """Return a toy water pistol with a tank on top."""
    colour = _bright(dial, TOYS)
    other = dial.choose("tank", indexed=((90, 200, 240), (250, 230, 60)),
                        posted=((120, 220, 190), (190, 120, 230)))  # fmt: skip
    nose = dial.between("barrel", 0.32, 0.5)
    tank = dial.between("tank size", 0.09, 0.14)
    drop = dial.between("grip length", 0.28, 0.4)
    return [
        oval(other, -0.12, -0.2 - tank, 0.2, tank),
        box(shade(colour, 0.8), -0.16, -0.24, -0.08, -0.16),
        rounded(colour, (-0.34, -0.02), (-0.14, -0.02), (-0.2, drop), (-0.4, drop), rounds=2),
        arc(shade(colour, 0.8), 0.035, (-0.06, 0.0), 0.11, (-5, 185)),
        rounded(
            colour,
            (-0.42, -0.2),
            (nose - 0.12, -0.19),
            (nose - 0.08, -0.02),
            (-0.38, 0.03),
            rounds=2,
        ),
        *[oval(other, x, -0.09, 0.035) for x in (-0.26, -0.13, 0.0)],
        box(shade(colour, 1.1), nose - 0.14, -0.15, nose, -0.06),
        oval((250, 110, 20), nose, -0.105, 0.05),
    ]


def umbrella(dial: Dial) -> list[Part]:
    """Return a closed umbrella."""
    colour = dial.choose("colour", indexed=((40, 44, 70), (120, 30, 40), (60, 60, 62)),
                         posted=((30, 80, 70), (70, 40, 90), (150, 110, 60)))  # fmt: skip
    width = dial.between("folds", 0.035, 0.065)
    hook = dial.between("handle", 0.06, 0.1)
    tip = dial.between("tip", 0.48, 0.56)
    return [
        band((170, 170, 174), 0.014, (0.3, 0.0), (tip, 0.0)),
        band((120, 80, 45), 0.028, (-0.5 + hook, 0.0), (-0.22, 0.0)),
        arc((120, 80, 45), 0.03, (-0.5 + hook, hook), hook, (270, 90)),
        rounded(colour, (-0.26, -width), (0.0, -width * 1.1), (0.44, -0.012), (0.44, 0.012),
                (0.0, width * 1.1), (-0.26, width), rounds=1),
        *[band(shade(colour, 0.65), 0.006, (-0.25, width * s), (0.42, 0.01 * s))
          for s in (-0.5, 0.1, 0.6)],
        box(shade(colour, 0.5), -0.05, -width, -0.025, width),
    ]  # fmt: skip


def hammer(dial: Dial) -> list[Part]:
    """Return a claw hammer."""
    wood = dial.choose("wood", indexed=((190, 140, 85), (160, 110, 70)),
                       posted=((205, 160, 100), (50, 50, 54)))  # fmt: skip
    end = dial.between("handle", -0.52, -0.4)
    thick = dial.between("thickness", 0.028, 0.042)
    claw = dial.between("claw", 0.14, 0.2)
    steel: Colour = (120, 124, 130)
    return [
        rounded(
            wood,
            (end, -thick * 1.3),
            (-0.1, -thick),
            (0.36, -thick * 0.8),
            (0.36, thick * 0.8),
            (-0.1, thick),
            (end, thick * 1.3),
            rounds=1,
        ),
        arc(steel, 0.05, (0.2, -0.03), claw, (0, -75)),
        box(steel, 0.3, -0.07, 0.42, 0.08),
        box(steel, 0.31, 0.07, 0.41, 0.14),
        pill(shade(steel, 0.75), 0.29, 0.13, 0.43, 0.2),
    ]


def hair_dryer(dial: Dial) -> list[Part]:
    """Return a hair dryer with its cable."""
    colour = dial.choose("colour", indexed=((230, 120, 150), (70, 70, 76)),
                         posted=((120, 190, 200), (235, 235, 225)))  # fmt: skip
    nose = dial.between("nozzle", 0.36, 0.5)
    drop = dial.between("grip length", 0.34, 0.46)
    head = dial.between("motor", 0.16, 0.21)
    return [
        band((40, 40, 40), 0.02, (-0.2, drop - 0.02), (-0.26, drop + 0.1), (-0.42, drop + 0.12)),
        rounded(shade(colour, 0.9), (-0.2, 0.0), (-0.04, 0.0), (-0.12, drop), (-0.26, drop),
                rounds=2),
        slab(colour, (-0.12, -0.12 - head), (0.24, -0.22), (0.24, -0.02), (-0.12, -0.12 + head)),
        oval(colour, -0.14, -0.12, head),
        oval(shade(colour, 0.6), -0.18, -0.12, head * 0.62),
        *ribs(shade(colour, 0.4), 5, (-0.27, -0.09), (-0.2, -0.04)),
        slab((45, 45, 48), (0.22, -0.22), (nose, -0.17), (nose, -0.07), (0.22, -0.02)),
        box((200, 60, 60), -0.13, 0.09, -0.09, 0.16),
    ]  # fmt: skip


def tripod(dial: Dial) -> list[Part]:
    """Return a camera tripod, standing."""
    grey = dial.choose("colour", indexed=((48, 48, 52), (110, 112, 118)),
                       posted=((62, 60, 58), (84, 90, 100)))  # fmt: skip
    spread = dial.between("spread", 0.18, 0.34)
    column = dial.between("column", -0.38, -0.26)
    head = dial.between("head", 0.07, 0.11)
    light = shade(grey, 1.5)
    return [
        *[band(grey, 0.035, (0.0, -0.14), (x * spread * 0.6, 0.22)) for x in (-1, 0.1, 1)],
        *[band(light, 0.02, (x * spread * 0.55, 0.19), (x * spread, 0.5)) for x in (-1, 0.1, 1)],
        band(grey, 0.03, (0.0, -0.1), (0.0, column)),
        box(shade(grey, 0.8), -0.06, -0.18, 0.06, -0.11),
        band(grey, 0.02, (0.02, column), (0.26, column + 0.12)),
        pill(shade(grey, 0.7), 0.17, column + 0.05, 0.3, column + 0.15),
        box(shade(grey, 0.8), -head, column - 0.06, head, column + 0.02),
    ]


LOOKALIKES: Mapping[str, Callable[[Dial], list[Part]]] = {
    "power_drill": drill,
    "water_pistol": water_pistol,
    "umbrella": umbrella,
    "hammer": hammer,
    "hair_dryer": hair_dryer,
    "tripod": tripod,
}
"""Every drawn look-alike, by its name."""
