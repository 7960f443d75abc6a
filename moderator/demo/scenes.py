"""Harmless things and scenes, as people post them all day. Knows nothing of pose or light."""

import math
from collections.abc import Callable, Mapping

from moderator.demo.dial import Dial
from moderator.demo.parts import Colour, Part, arc, band, box, oval, pill, rounded, shade, slab


def house(dial: Dial) -> list[Part]:
    """Return a house with a door and windows."""
    wall = dial.choose("wall", indexed=((232, 214, 180), (200, 120, 96)),
                       posted=((240, 232, 220), (150, 170, 190)))  # fmt: skip
    roof = dial.choose("roof", indexed=((150, 60, 46), (80, 80, 90)),
                       posted=((110, 70, 50), (170, 84, 60)))  # fmt: skip
    peak = dial.between("peak", -0.5, -0.34)
    half = dial.between("width", 0.3, 0.42)
    door = dial.between("door", -0.12, 0.12)
    glass: Colour = (150, 200, 230)
    panes = [(-half * 0.62, -0.02), (half * 0.62, -0.02)]
    return [
        box(wall, -half, -0.16, half, 0.4),
        slab(roof, (-half - 0.07, -0.14), (0.0, peak), (half + 0.07, -0.14)),
        box(shade(roof, 0.8), half * 0.4, peak, half * 0.4 + 0.08, -0.22),
        box((96, 62, 40), door - 0.07, 0.16, door + 0.07, 0.4),
        oval((220, 190, 80), door + 0.045, 0.29, 0.012),
        *[box((250, 250, 248), x - 0.075, y - 0.085, x + 0.075, y + 0.085) for x, y in panes],
        *[box(glass, x - 0.06, y - 0.07, x + 0.06, y + 0.07) for x, y in panes],
        *[box((250, 250, 248), x - 0.008, y - 0.07, x + 0.008, y + 0.07) for x, y in panes],
    ]


def tree(dial: Dial) -> list[Part]:
    """Return a broad-leaved tree."""
    leaf = dial.choose("leaf", indexed=((60, 130, 52), (98, 150, 60), (190, 120, 40)),
                       posted=((46, 112, 70), (130, 160, 50), (200, 90, 50)))  # fmt: skip
    crown = dial.between("crown", 0.2, 0.28)
    trunk = dial.between("trunk", 0.035, 0.07)
    lean = dial.between("lean", -0.05, 0.05)
    bark: Colour = (98, 70, 48)
    places = [(-0.2, -0.08), (0.2, -0.1), (0.0, -0.26), (-0.1, -0.02), (0.12, 0.0)]
    return [
        slab(bark, (-trunk + lean, -0.05), (trunk + lean, -0.05), (trunk * 1.6, 0.5),
             (-trunk * 1.6, 0.5)),
        band(bark, trunk, (lean, 0.1), (0.14, -0.08)),
        *[oval(shade(leaf, 0.85 + 0.1 * n), x + lean, y, crown * (1 - 0.06 * n), crown * 0.85)
          for n, (x, y) in enumerate(places)],
        *[oval(shade(leaf, 1.4), x * 1.1 + lean, y - 0.07, 0.02) for x, y in places],
    ]  # fmt: skip


def face(dial: Dial) -> list[Part]:
    """Return a drawn face."""
    skin = dial.choose("skin", indexed=((240, 200, 170), (150, 100, 70)),
                       posted=((225, 180, 140), (110, 74, 54)))  # fmt: skip
    hair = dial.choose("hair", indexed=((60, 40, 30), (200, 160, 80)),
                       posted=((30, 30, 34), (150, 70, 40)))  # fmt: skip
    wide = dial.between("width", 0.27, 0.36)
    smile = dial.between("smile", 0.08, 0.16)
    eyes = dial.between("eyes", 0.1, 0.14)
    return [
        oval(hair, 0.0, -0.12, wide + 0.07, 0.38),
        oval(skin, 0.0, 0.02, wide, 0.4),
        *[oval(skin, x * wide, 0.02, 0.05, 0.08) for x in (-1, 1)],
        rounded(hair, (-wide, -0.14), (-wide * 0.6, -0.4), (wide * 0.7, -0.42), (wide, -0.12),
                (0.1, -0.24)),
        *[oval((250, 250, 250), x * eyes, -0.04, 0.055, 0.036) for x in (-1, 1)],
        *[oval((50, 60, 70), x * eyes, -0.035, 0.025) for x in (-1, 1)],
        *[arc(hair, 0.018, (x * eyes, -0.04), 0.08, (215, 325)) for x in (-1, 1)],
        band(shade(skin, 0.8), 0.02, (0.0, 0.02), (0.025, 0.12), (-0.02, 0.13)),
        arc((180, 60, 60), 0.03, (0.0, 0.17), smile, (15, 165)),
    ]  # fmt: skip


def cat(dial: Dial) -> list[Part]:
    """Return a sitting cat from the front."""
    fur = dial.choose("fur", indexed=((210, 140, 70), (120, 120, 124)),
                      posted=((60, 56, 56), (226, 200, 160)))  # fmt: skip
    belly = dial.between("belly", 0.2, 0.28)
    ear = dial.between("ear", 0.12, 0.18)
    tail = dial.between("tail", 0.12, 0.22)
    dark = shade(fur, 0.7)
    ears = [slab(fur, (x * 0.2, -0.22), (x * 0.16, -0.3 - ear), (x * 0.04, -0.34)) for x in (-1, 1)]
    whiskers = [band((245, 245, 240), 0.008, (x * 0.05, -0.15), (x * 0.28, -0.15 + y))
                for x in (-1, 1) for y in (-0.05, 0.0, 0.05)]  # fmt: skip
    return [
        arc(fur, 0.08, (0.2, 0.28), tail, (120, -60)),
        oval(fur, 0.0, 0.2, belly, 0.3),
        oval(shade(fur, 1.25), 0.0, 0.24, belly * 0.55, 0.2),
        *ears,
        oval(fur, 0.0, -0.2, 0.22, 0.18),
        *[band(dark, 0.02, (x, -0.36), (x * 0.8, -0.28)) for x in (-0.06, 0.0, 0.06)],
        *[oval((180, 210, 90), x * 0.09, -0.23, 0.045, 0.04) for x in (-1, 1)],
        *[oval((20, 20, 20), x * 0.09, -0.23, 0.012, 0.035) for x in (-1, 1)],
        slab((220, 130, 130), (-0.025, -0.16), (0.025, -0.16), (0.0, -0.13)),
        *whiskers,
        *[oval(dark, x * 0.1, 0.47, 0.08, 0.04) for x in (-1, 1)],
    ]


def flower(dial: Dial) -> list[Part]:
    """Return a flower with its stem and leaves."""
    petal = dial.choose("petal", indexed=((230, 80, 100), (250, 200, 50)),
                        posted=((150, 90, 200), (245, 240, 240)))  # fmt: skip
    count = dial.choose("petals", indexed=(6, 8), posted=(7, 9))
    reach = dial.between("reach", 0.16, 0.22)
    bend = dial.between("bend", -0.1, 0.1)
    green: Colour = (60, 130, 60)
    turns = [math.tau * n / count for n in range(count)]
    return [
        band(green, 0.03, (0.0, -0.14), (bend * 0.4, 0.15), (bend, 0.5)),
        rounded(green, (bend * 0.5, 0.26), (0.12, 0.12), (0.32, 0.1), (0.2, 0.24)),
        rounded(shade(green, 0.85), (bend * 0.6, 0.34), (-0.1, 0.18), (-0.3, 0.2), (-0.18, 0.32)),
        *[oval(shade(petal, 0.9 + 0.15 * (n % 2)), reach * math.cos(t), -0.18 + reach * math.sin(t),
               reach * 0.5) for n, t in enumerate(turns)],
        oval((235, 180, 40), 0.0, -0.18, reach * 0.55),
        *[oval((160, 100, 30), 0.06 * math.cos(t), -0.18 + 0.06 * math.sin(t), 0.012)
          for t in turns],
    ]  # fmt: skip


def landscape(dial: Dial) -> list[Part]:
    """Return mountains, meadow and sun."""
    sky = dial.choose("sky", indexed=((150, 200, 240), (250, 190, 140)),
                      posted=((120, 170, 220), (220, 210, 230)))  # fmt: skip
    hill = dial.choose("hill", indexed=((90, 150, 80), (150, 150, 90)),
                       posted=((70, 130, 100), (120, 140, 60)))  # fmt: skip
    peak = dial.between("peak", -0.38, -0.2)
    sun = dial.between("sun", -0.4, 0.4)
    ground = dial.between("horizon", 0.08, 0.2)
    rock: Colour = (120, 122, 136)
    return [
        box(sky, -1.2, -1.2, 1.2, 1.2),
        oval((255, 236, 150), sun, -0.36, 0.09),
        slab(rock, (-1.2, 0.3), (-0.3, peak), (0.1, 0.25), (1.2, 0.3)),
        slab(shade(rock, 0.85), (-0.1, 0.3), (0.4, peak + 0.1), (1.2, 0.3)),
        slab((248, 248, 250), (-0.41, peak + 0.07), (-0.3, peak), (-0.23, peak + 0.09),
             (-0.31, peak + 0.06)),
        rounded(hill, (-1.2, ground), (-0.4, ground - 0.08), (0.3, ground + 0.06), (1.2, ground),
                (1.2, 1.2), (-1.2, 1.2)),
        slab((120, 170, 210), (-0.1, ground + 0.1), (0.06, ground + 0.1), (0.4, 1.2), (-0.4, 1.2)),
        *[oval(shade(hill, 0.6), x, ground + 0.12, 0.035, 0.07) for x in (-0.42, -0.34, 0.36)],
    ]  # fmt: skip


def note(dial: Dial) -> list[Part]:
    """Return a sheet with lines of writing."""
    paper = dial.choose("paper", indexed=((250, 248, 240), (250, 240, 170)),
                        posted=((240, 246, 250), (250, 226, 226)))  # fmt: skip
    ink = dial.choose("ink", indexed=((40, 50, 110), (40, 40, 40)),
                      posted=((30, 90, 70), (120, 30, 40)))  # fmt: skip
    lines = dial.choose("lines", indexed=(6, 8), posted=(7, 9))
    margin = dial.between("margin", -0.32, -0.26)
    end = dial.between("line end", 0.16, 0.3)
    step = 0.7 / lines
    rows = [-0.36 + step * n for n in range(lines)]
    words = [(margin + 0.15 * k, y) for n, y in enumerate(rows) for k in range(4 - (n % 3 == 2))]
    return [
        box(paper, -0.38, -0.46, 0.38, 0.46),
        *[band((190, 205, 225), 0.006, (-0.38, y + 0.035), (0.38, y + 0.035)) for y in rows],
        box((220, 120, 120), margin - 0.03, -0.46, margin - 0.024, 0.46),
        *[band(ink, 0.018, (x, y + 0.02), (x + 0.04, y), (x + 0.07, y + 0.022), (x + 0.11, y))
          for x, y in words if x + 0.11 < end],
    ]  # fmt: skip


def bicycle(dial: Dial) -> list[Part]:
    """Return a bicycle from the side."""
    paint = dial.choose("paint", indexed=((200, 40, 40), (40, 110, 180)),
                        posted=((40, 140, 90), (220, 150, 40)))  # fmt: skip
    wheel = dial.between("wheel", 0.18, 0.22)
    seat = dial.between("seat", -0.22, -0.14)
    bar = dial.between("handlebar", -0.26, -0.2)
    rubber: Colour = (40, 40, 42)
    steel: Colour = (170, 170, 172)
    hubs = [(-0.3, 0.16), (0.3, 0.16)]
    spokes = [(math.cos(t), math.sin(t)) for t in (0, math.pi / 3, 2 * math.pi / 3)]
    return [
        *[arc(rubber, 0.035, hub, wheel, (0, 360)) for hub in hubs],
        *[band(steel, 0.007, (x - wheel * c, y - wheel * s), (x + wheel * c, y + wheel * s))
          for x, y in hubs for c, s in spokes],
        band(paint, 0.03, (-0.12, seat), (-0.04, 0.16), (-0.3, 0.16), (-0.1, -0.06), (0.2, -0.08)),
        band(paint, 0.03, (-0.04, 0.16), (0.2, -0.06)),
        band(paint, 0.03, (0.3, 0.16), (0.18, bar)),
        pill(rubber, -0.2, seat - 0.03, -0.04, seat + 0.01),
        band(rubber, 0.025, (0.18, bar), (0.26, bar - 0.02), (0.28, bar + 0.05)),
        arc((90, 90, 94), 0.02, (-0.04, 0.16), 0.055, (0, 360)),
    ]  # fmt: skip


SCENES: Mapping[str, Callable[[Dial], list[Part]]] = {
    "house": house,
    "tree": tree,
    "face": face,
    "cat": cat,
    "flower": flower,
    "landscape": landscape,
    "note": note,
    "bicycle": bicycle,
}
"""Every drawn harmless thing, by its name."""
