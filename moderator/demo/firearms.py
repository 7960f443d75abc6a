"""Silhouettes of firearms from the side, muzzle to the right. Knows nothing of pose or light."""

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

METALS: tuple[tuple[Colour, ...], tuple[Colour, ...]] = (
    ((52, 54, 58), (92, 95, 101), (38, 38, 41), (146, 150, 155)),
    ((45, 50, 57), (70, 72, 75), (118, 122, 126), (60, 57, 54)),
)
WOODS: tuple[tuple[Colour, ...], tuple[Colour, ...]] = (
    ((122, 74, 38), (150, 98, 55), (96, 58, 34)),
    ((134, 80, 48), (108, 70, 44), (160, 112, 70)),
)
POLYMERS: tuple[tuple[Colour, ...], tuple[Colour, ...]] = (
    ((40, 41, 43), (84, 80, 62), (150, 134, 104)),
    ((47, 46, 48), (70, 74, 58), (134, 120, 96)),
)


def _metal(dial: Dial) -> Colour:
    return dial.choose("metal", indexed=METALS[0], posted=METALS[1])


def _wood(dial: Dial) -> Colour:
    return dial.choose("wood", indexed=WOODS[0], posted=WOODS[1])


def _polymer(dial: Dial) -> Colour:
    return dial.choose("polymer", indexed=POLYMERS[0], posted=POLYMERS[1])


def _trigger(colour: Colour, x: float, y: float, size: float) -> list[Part]:
    """Return a trigger within its guard, hanging from (x, y)."""
    guard = arc(colour, size * 0.16, (x, y), size * 0.8, (-5, 185))
    return [guard, band(colour, size * 0.2, (x, y - 0.01), (x - size * 0.1, y + size * 0.5))]


def pistol(dial: Dial) -> list[Part]:
    """Return a semi-automatic pistol."""
    metal, grip = _metal(dial), _polymer(dial)
    muzzle = dial.between("barrel", 0.34, 0.48)
    lean = dial.between("grip angle", 0.06, 0.17)
    drop = dial.between("grip length", 0.36, 0.48)
    dark, light = shade(metal, 0.6), shade(metal, 1.25)
    return [
        *_trigger(dark, 0.02, 0.0, 0.12),
        rounded(grip, (-0.36, -0.05), (-0.09, -0.05), (-0.1 - lean, drop), (-0.36 - lean, drop),
                (-0.33, 0.08), rounds=1),
        *[band(shade(grip, 0.7), 0.008, (-0.33 - lean * s, 0.08 + drop * s * 0.8),
               (-0.13 - lean * s, 0.08 + drop * s * 0.8)) for s in (0.2, 0.4, 0.6, 0.8)],
        slab(shade(grip, 0.9), (-0.37, -0.1), (muzzle - 0.04, -0.1), (muzzle - 0.06, -0.02),
             (-0.34, 0.0)),
        box(metal, -0.4, -0.24, muzzle, -0.1),
        *ribs(dark, 6, (-0.39, -0.25), (-0.23, -0.11)),
        box(light, -0.06, -0.23, 0.1, -0.17),
        box(dark, -0.36, -0.265, -0.32, -0.24),
        box(dark, muzzle - 0.05, -0.265, muzzle - 0.02, -0.24),
        slab(dark, (-0.4, -0.22), (-0.44, -0.2), (-0.41, -0.1)),
        box(shade(metal, 0.35), muzzle, -0.21, muzzle + 0.012, -0.14),
    ]  # fmt: skip


def revolver(dial: Dial) -> list[Part]:
    """Return a revolver with a swung-in cylinder."""
    metal, wood = _metal(dial), _wood(dial)
    muzzle = dial.between("barrel", 0.28, 0.52)
    curve = dial.between("grip angle", 0.08, 0.2)
    bulge = dial.between("cylinder", 0.13, 0.17)
    dark, light = shade(metal, 0.6), shade(metal, 1.3)
    return [
        *_trigger(dark, -0.1, 0.05, 0.12),
        rounded(wood, (-0.34, -0.1), (-0.16, -0.02), (-0.24, 0.14), (-0.2 - curve, 0.46),
                (-0.42 - curve, 0.44), (-0.38, 0.1)),
        rounded(metal, (-0.36, -0.2), (0.08, -0.22), (0.08, 0.06), (-0.22, 0.08), (-0.34, -0.04),
                rounds=1),
        box(metal, 0.04, -0.19, muzzle, -0.1),
        pill(dark, 0.04, -0.09, muzzle - 0.12, -0.045),
        slab(dark, (muzzle - 0.1, -0.19), (muzzle - 0.02, -0.19), (muzzle - 0.04, -0.235)),
        pill(light, -0.15, -0.08 - bulge, 0.07, -0.08 + bulge),
        *[pill(dark, -0.11, -0.085 + y * bulge, 0.04, -0.06 + y * bulge) for y in (-0.6, 0, 0.6)],
        slab(dark, (-0.33, -0.18), (-0.42, -0.26), (-0.38, -0.15), (-0.34, -0.1)),
        oval(shade(metal, 0.4), -0.27, -0.02, 0.015),
    ]  # fmt: skip


def kalashnikov(dial: Dial) -> list[Part]:
    """Return an assault rifle with a curved magazine and wooden furniture."""
    metal, wood = _metal(dial), _wood(dial)
    muzzle = dial.between("barrel", 0.44, 0.56)
    butt = dial.between("stock drop", 0.04, 0.1)
    bend = dial.between("magazine bend", 48, 68)
    dark = shade(metal, 0.65)
    return [
        arc(dark, 0.075, (0.3, 0.02), 0.255, (180, 180 - bend)),
        slab(wood, (-0.2, -0.055), (-0.5, -0.05 + butt), (-0.52, 0.1 + butt), (-0.47, 0.11 + butt),
             (-0.2, 0.03)),
        rounded(wood, (-0.16, 0.02), (-0.09, 0.02), (-0.12, 0.17), (-0.19, 0.17), rounds=1),
        *_trigger(dark, -0.05, 0.025, 0.05),
        slab(metal, (-0.21, -0.06), (0.13, -0.07), (0.13, 0.035), (-0.21, 0.035)),
        rounded(shade(metal, 1.15), (-0.21, -0.05), (-0.18, -0.095), (0.1, -0.095), (0.12, -0.05),
                rounds=1),
        rounded(wood, (0.12, -0.04), (0.29, -0.03), (0.29, 0.02), (0.12, 0.045), rounds=1),
        pill(shade(wood, 0.9), 0.12, -0.085, 0.29, -0.04),
        box(metal, 0.28, -0.075, 0.38, -0.055),
        box(metal, 0.28, -0.03, muzzle, -0.008),
        slab(dark, (0.4, -0.02), (0.41, -0.11), (0.425, -0.11), (0.44, -0.02)),
        box(dark, 0.08, -0.12, 0.13, -0.09),
        box(dark, muzzle, -0.034, muzzle + 0.04, -0.004),
    ]  # fmt: skip


def carbine(dial: Dial) -> list[Part]:
    """Return a military carbine with a straight stock, a carrying handle and a short magazine."""
    metal, polymer = _metal(dial), _polymer(dial)
    muzzle = dial.between("barrel", 0.42, 0.54)
    stock = dial.between("stock length", -0.52, -0.44)
    depth = dial.between("magazine length", 0.15, 0.22)
    dark, light = shade(metal, 0.6), shade(metal, 1.2)
    return [
        slab(dark, (-0.01, 0.02), (0.07, 0.02), (0.1, depth), (0.02, depth + 0.015)),
        box(dark, -0.36, -0.05, -0.16, -0.015),
        slab(polymer, (stock, -0.065), (-0.3, -0.06), (-0.3, -0.01), (stock + 0.07, 0.02),
             (stock + 0.03, 0.1), (stock, 0.1)),
        rounded(polymer, (-0.15, 0.02), (-0.08, 0.02), (-0.13, 0.17), (-0.2, 0.16), rounds=1),
        *_trigger(dark, -0.05, 0.025, 0.05),
        slab(metal, (-0.18, -0.065), (0.12, -0.065), (0.12, 0.03), (-0.16, 0.035)),
        slab(light, (-0.1, -0.05), (0.04, -0.05), (0.04, -0.025), (-0.1, -0.025)),
        slab(metal, (-0.16, -0.065), (-0.15, -0.125), (0.06, -0.125), (0.09, -0.105),
             (-0.11, -0.105), (-0.12, -0.065)),
        slab(metal, (0.04, -0.065), (0.06, -0.12), (0.09, -0.12), (0.09, -0.065)),
        pill(polymer, 0.11, -0.06, 0.31, 0.015),
        *ribs(shade(polymer, 0.65), 7, (0.13, 0.3), (-0.05, -0.025)),
        box(metal, 0.3, -0.035, muzzle, -0.01),
        slab(dark, (0.31, -0.03), (0.345, -0.115), (0.36, -0.115), (0.37, -0.03)),
        pill(dark, muzzle - 0.05, -0.042, muzzle, -0.003),
    ]  # fmt: skip


def shotgun(dial: Dial) -> list[Part]:
    """Return a pump-action shotgun."""
    metal, wood = _metal(dial), _wood(dial)
    muzzle = dial.between("barrel", 0.42, 0.54)
    pump = dial.between("pump place", 0.14, 0.24)
    butt = dial.between("stock drop", 0.05, 0.12)
    dark = shade(metal, 0.6)
    return [
        rounded(wood, (-0.16, -0.045), (-0.25, -0.02), (-0.5, 0.0 + butt * 0.5),
                (-0.52, 0.12 + butt), (-0.47, 0.13 + butt), (-0.27, 0.08), (-0.16, 0.035),
                rounds=1),
        box(dark, -0.525, butt * 0.5, -0.505, 0.12 + butt),
        *_trigger(dark, -0.11, 0.03, 0.045),
        slab(metal, (-0.18, -0.05), (0.02, -0.055), (0.04, 0.035), (-0.17, 0.035)),
        box(shade(metal, 1.3), -0.08, -0.035, 0.0, -0.01),
        box(metal, 0.02, -0.05, muzzle, -0.02),
        box(dark, 0.02, -0.012, muzzle - 0.1, 0.018),
        pill(wood, pump - 0.08, -0.022, pump + 0.1, 0.038),
        *ribs(shade(wood, 0.6), 8, (pump - 0.06, pump + 0.08), (-0.01, 0.026)),
        box(dark, muzzle - 0.13, -0.05, muzzle - 0.11, 0.02),
        oval(shade(metal, 1.4), muzzle - 0.01, -0.058, 0.008),
    ]  # fmt: skip


def sniper(dial: Dial) -> list[Part]:
    """Return a bolt-action rifle with a telescopic sight."""
    metal, wood = _metal(dial), _wood(dial)
    muzzle = dial.between("barrel", 0.46, 0.56)
    tube = dial.between("sight length", 0.12, 0.18)
    height = dial.between("sight height", 0.09, 0.12)
    dark = shade(metal, 0.65)
    return [
        rounded(wood, (-0.12, 0.0), (-0.24, 0.0), (-0.5, -0.01), (-0.52, 0.13), (-0.46, 0.13),
                (-0.27, 0.07), (-0.22, 0.12), (-0.18, 0.07), (-0.1, 0.05), rounds=1),
        slab(wood, (-0.14, -0.01), (0.26, -0.012), (0.28, 0.01), (0.1, 0.04), (-0.14, 0.055)),
        box(dark, -0.525, -0.005, -0.505, 0.128),
        *_trigger(dark, -0.13, 0.05, 0.04),
        box(metal, -0.18, -0.04, 0.05, -0.005),
        box(metal, 0.05, -0.032, muzzle, -0.012),
        band(dark, 0.014, (-0.13, -0.02), (-0.1, 0.03)),
        oval(dark, -0.1, 0.035, 0.015),
        *[box(dark, x, -height, x + 0.02, -0.035) for x in (-0.12, 0.0)],
        box(metal, -0.05 - tube, -height - 0.015, -0.05 + tube, -height + 0.018),
        slab(metal, (0.0 + tube * 0.5, -height - 0.015), (-0.05 + tube + 0.05, -height - 0.035),
             (-0.05 + tube + 0.05, -height + 0.038), (tube * 0.5, -height + 0.018)),
        box(metal, -0.06 - tube, -height - 0.026, -tube, -height + 0.028),
        box(dark, -0.07, -height - 0.04, -0.04, -height),
    ]  # fmt: skip


def submachine_gun(dial: Dial) -> list[Part]:
    """Return a compact submachine gun with a long straight magazine and a wire stock."""
    metal, polymer = _metal(dial), _polymer(dial)
    muzzle = dial.between("barrel", 0.36, 0.48)
    depth = dial.between("magazine length", 0.3, 0.42)
    stock = dial.between("stock length", -0.54, -0.44)
    dark = shade(metal, 0.6)
    return [
        band(dark, 0.022, (-0.24, -0.1), (stock, -0.06), (stock, 0.08), (-0.24, 0.0)),
        slab(dark, (0.09, 0.0), (0.17, 0.0), (0.19, depth), (0.11, depth)),
        rounded(polymer, (-0.16, 0.0), (-0.05, 0.0), (-0.1, 0.24), (-0.21, 0.23), rounds=1),
        *_trigger(dark, -0.01, 0.02, 0.065),
        slab(metal, (-0.26, -0.14), (0.22, -0.14), (0.24, -0.02), (0.18, 0.03), (-0.24, 0.02)),
        *ribs(dark, 3, (-0.2, -0.02), (-0.1, -0.03)),
        pill(polymer, 0.2, -0.12, muzzle - 0.08, -0.01),
        box(metal, muzzle - 0.1, -0.09, muzzle, -0.05),
        box(dark, muzzle, -0.1, muzzle + 0.03, -0.04),
        arc(dark, 0.016, (muzzle - 0.12, -0.15), 0.03, (0, 360)),
        box(dark, -0.22, -0.17, -0.16, -0.14),
    ]  # fmt: skip


FIREARMS: Mapping[str, Callable[[Dial], list[Part]]] = {
    "revolver": revolver,
    "pistol": pistol,
    "kalashnikov": kalashnikov,
    "carbine": carbine,
    "shotgun": shotgun,
    "sniper": sniper,
    "submachine_gun": submachine_gun,
}
"""Every drawn type of firearm, by its name."""
