"""What differs between pictures of one thing: pose, light, what lies before and behind it.

Knows neither what the thing is nor where it stands.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from training.synthesis.chance import pick
from training.synthesis.parts import (
    Colour,
    Figure,
    Outline,
    Part,
    ellipse,
    soft,
    stroke,
    tinted,
)
from training.synthesis.raster import Pixels

SKINS: tuple[Colour, ...] = ((236, 196, 168), (204, 154, 118), (150, 102, 72), (96, 64, 48))
GLOVES: tuple[Colour, ...] = ((40, 42, 46), (92, 88, 66))


@dataclass(frozen=True, slots=True)
class Pose:
    """How a figure stands in a picture.

    Args:
        turn: Of the figure, in degrees, clockwise.
        mirror: Whether left and right are swapped first.
        slant: How much its right and its lower side recede, about -0.3..0.3 each.
        share: Of the picture's width or height, whichever it fills more.
        place: Where it stands in the room that is left, 0..1 for x and y.
    """

    turn: float
    mirror: bool
    slant: tuple[float, float]
    share: float
    place: tuple[float, float]


def pose(chance: np.random.Generator, shares: tuple[float, float]) -> Pose:
    """Return a pose whose share is within these; few things stand on their ends."""
    wide = chance.random() < 0.15
    return Pose(
        turn=float(chance.normal(0, 55 if wide else 11)),
        mirror=bool(chance.random() < 0.5),
        slant=(float(chance.uniform(-0.3, 0.3)), float(chance.uniform(-0.2, 0.2))),
        share=float(chance.uniform(*shares)),
        place=(float(chance.random()), float(chance.random())),
    )


def placed(figure: Figure, pose: Pose, size: tuple[int, int]) -> Figure:
    """Return the figure in pixels, wholly within a picture.

    Args:
        figure: In units of the thing.
        pose: Of it.
        size: Height and width of the picture.
    """
    every = np.concatenate([part.outline for part in figure.parts])
    middle = (every.min(0) + every.max(0)) / 2
    turned = _turned(every, middle, pose)
    low, extent = turned.min(0), np.ptp(turned, axis=0)
    room = np.array(size[::-1], np.float64)
    scale = pose.share * float((room / extent).min())
    corner = (room - extent * scale) * pose.place

    def moved(points: Outline) -> Outline:
        new: Outline = (_turned(points, middle, pose) - low) * scale + corner
        return new

    x, y = moved(np.array([figure.hold]))[0].tolist()
    return Figure(tuple(Part(moved(part.outline), part.colour) for part in figure.parts), (x, y))


def clutter(chance: np.random.Generator, size: tuple[int, int], most: int) -> list[Part]:
    """Return up to ``most`` plain shapes in pixels, anywhere in a picture of this size."""
    parts = []
    for _ in range(int(chance.integers(most + 1))):
        middle = chance.random(2) * size[::-1]
        reach = chance.uniform(0.04, 0.16, 2) * min(size)
        colour = _muted(chance)
        at, radii = tuple(middle.tolist()), tuple(reach.tolist())
        kind = int(chance.integers(4))
        if kind == 0:
            parts.append(ellipse(colour, at, radii))
        elif kind == 1:
            ends = [at, (at[0] + reach[0] * 5, at[1] + float(chance.normal(0, reach[1] * 2)))]
            parts.append(stroke(colour, float(reach[1]) * 0.25, ends))
        else:
            turn = float(chance.uniform(0, np.pi / 2)) + np.pi / 2 * np.arange(3 + kind % 2)
            ring = middle + np.stack([np.cos(turn), np.sin(turn)], 1) * reach * 1.3
            parts.append(Part(ring, colour))
    return parts


def hand(chance: np.random.Generator, at: tuple[float, float], reach: float) -> list[Part]:
    """Return a hand of about ``reach`` pixels that closes over a place, with its arm."""
    skin = pick(chance, SKINS + GLOVES)
    x, y = at
    lean = float(chance.uniform(-0.5, 0.5))
    arm = stroke(skin, reach * 0.7, [(x, y), (x + lean * reach * 4, y + reach * 4)])
    sleeve = stroke(
        _muted(chance),
        reach * 0.95,
        [(x + lean * reach * 1.6, y + reach * 1.6), (x + lean * reach * 6, y + reach * 6)],
    )
    palm = soft(
        skin,
        (x - reach * 0.5, y - reach * 0.45),
        (x + reach * 0.4, y - reach * 0.45),
        (x + reach * 0.45, y + reach * 0.55),
        (x - reach * 0.45, y + reach * 0.6),
    )
    fingers = [
        soft(
            tinted(skin, 0.86 + 0.06 * (number % 2)),
            (x - reach * 0.25, y + reach * (0.26 * number - 0.42)),
            (x + reach * 0.6, y + reach * (0.26 * number - 0.44)),
            (x + reach * 0.6, y + reach * (0.26 * number - 0.22)),
            (x - reach * 0.25, y + reach * (0.26 * number - 0.2)),
        )
        for number in range(4)
    ]
    return [arm, sleeve, palm, *fingers]


def bar(chance: np.random.Generator, box: tuple[float, float, float, float]) -> list[Part]:
    """Return a bar in pixels that crosses a box of x0, y0, x1, y1 and hides up to a sixth of it."""
    x0, y0, x1, y1 = box
    long = x1 - x0 > y1 - y0
    span = (x1 - x0) if long else (y1 - y0)
    at = float(chance.uniform(0.15, 0.85)) * span + (x0 if long else y0)
    width = float(chance.uniform(0.04, 0.16)) * span
    tilt = float(chance.normal(0, 0.25)) * span
    far = 3 * max(x1 - x0, y1 - y0)
    ends = (
        [(at - tilt, y0 - far), (at + tilt, y1 + far)]
        if long
        else [(x0 - far, at - tilt), (x1 + far, at + tilt)]
    )
    return [stroke(_muted(chance), width, ends)]


def lit(chance: np.random.Generator, pixels: Pixels, rough: float) -> Pixels:
    """Return a picture under a light of its own, as a camera of its own would take it.

    Args:
        chance: Of the light.
        pixels: float32[H, W, 3] in 0..255.
        rough: How bad light and camera are, in 0..1.
    """
    height, width = pixels.shape[:2]
    y, x = np.mgrid[-0.5 : 0.5 : height * 1j, -0.5 : 0.5 : width * 1j].astype(np.float32)
    fall = chance.uniform(-0.7, 0.7, 2) * rough
    level = float(chance.uniform(1 - 0.45 * rough, 1 + 0.25 * rough))
    cast = chance.uniform(1 - 0.12 * rough, 1 + 0.12 * rough, 3)
    edge = 1 - rough * float(chance.uniform(0, 0.8)) * (x * x + y * y)
    field = (1 + fall[0] * x + fall[1] * y) * edge * level
    shone = np.clip(pixels * field[..., None] * cast, 0, 255)
    shone = _blurred(shone, float(chance.uniform(0, 1.1)) * rough)
    grain = chance.standard_normal(pixels.shape, np.float32) * float(
        chance.uniform(1, 2 + 12 * rough)
    )
    result: Pixels = np.clip(shone + grain, 0, 255).astype(np.float32)
    return result


def _muted(chance: np.random.Generator) -> Colour:
    """Return a colour as most things have: seldom gaudy."""
    red, green, blue = np.clip(chance.uniform(40, 210) + chance.normal(0, 25, 3), 5, 250).tolist()
    return int(red), int(green), int(blue)


def _turned(points: Outline, middle: Outline, pose: Pose) -> Outline:
    at = (points - middle) * (-1 if pose.mirror else 1, 1)
    turn = np.radians(pose.turn)
    at = at @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    new: Outline = at / (1 + at @ np.array(pose.slant))[:, None]
    return new


def _blurred(pixels: Pixels, radius: float) -> Pixels:
    if radius < 0.3:
        return pixels
    image = Image.fromarray(pixels.astype(np.uint8)).filter(ImageFilter.GaussianBlur(radius))
    return np.asarray(image, np.float32)
