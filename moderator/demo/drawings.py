"""Procedural drawings of firearms, look-alikes and harmless things, for demo and tests.

A drawing is wholly given by its name, a seed and the set it belongs to. The two sets, ``indexed``
for prototypes and ``posted`` for posts, share neither seeds, poses, backgrounds, colours nor
shapes (see ``dial``). Knows nothing of Kafka, networks or decisions; never imports torch.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from moderator.demo.backdrops import Pixels, backdrop
from moderator.demo.dial import Dial, Variant
from moderator.demo.firearms import FIREARMS
from moderator.demo.lookalikes import LOOKALIKES
from moderator.demo.parts import Part, Point
from moderator.demo.scenes import SCENES

SIZE = 320
"""Side of a drawing, in pixels."""

OVERSAMPLING = 2
"""Times larger that shapes are drawn before they are scaled down, against jagged edges."""

Kind = Literal["firearm", "lookalike", "harmless"]


@dataclass(frozen=True)
class Traits:
    """What tells one drawing from another.

    ``shares`` are the places of numbers in their ranges, in 0..1, by parameter; ``choices`` are
    what was chosen from options.
    """

    seed: int
    variant: Variant
    shares: dict[str, float]
    choices: dict[str, object]


def names(kind: Kind) -> tuple[str, ...]:
    """Return the names of all drawings of a kind."""
    return tuple({"firearm": FIREARMS, "lookalike": LOOKALIKES, "harmless": SCENES}[kind])


def kind_of(name: str) -> Kind:
    """Return what a drawing is.

    Raises:
        KeyError: There is no drawing of this name.
    """
    for kind in ("firearm", "lookalike", "harmless"):
        if name in names(kind):
            return kind
    raise KeyError(name)


def draw(name: str, seed: int, variant: Variant) -> Image.Image:
    """Return a drawing, RGB of SIZE × SIZE pixels, the same at every call.

    Args:
        name: What to draw, one of ``names``.
        seed: Which one of it.
        variant: The set it belongs to.

    Raises:
        KeyError: There is no drawing of this name.
    """
    return _drawn(name, seed, variant)[0]


def traits(name: str, seed: int, variant: Variant) -> Traits:
    """Return what tells the drawing of this name, seed and set from others.

    Raises:
        KeyError: There is no drawing of this name.
    """
    dial = _drawn(name, seed, variant)[1]
    return Traits(seed, variant, dial.shares, dial.choices)


def jpeg(image: Image.Image, quality: int = 88) -> bytes:
    """Return an image as the bytes of a JPEG file."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def _drawn(name: str, seed: int, variant: Variant) -> tuple[Image.Image, Dial]:
    kind = kind_of(name)
    dial = Dial(name, seed, variant)
    parts = {**FIREARMS, **LOOKALIKES, **SCENES}[name](dial)
    ground = backdrop(dial, SIZE).astype(np.float32)
    layer = _layer(_posed(parts, dial, kind), dial)
    picture = _lit(ground, layer, dial)
    return Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)), dial


def _posed(parts: Sequence[Part], dial: Dial, kind: Kind) -> list[Part]:
    """Turn, scale, flip and shift parts into pixels of the oversampled canvas."""
    upright = kind == "harmless"
    angle = math.radians(dial.between("rotation", -5, 5) if upright else
                         dial.between("rotation", -28, 28))  # fmt: skip
    scale = dial.between("scale", 0.72, 0.92) * SIZE * OVERSAMPLING
    flip = -1 if dial.coin() else 1
    slant = dial.between("slant", -0.12, 0.12)
    x0 = (0.5 + dial.between("shift across", -0.05, 0.05)) * SIZE * OVERSAMPLING
    y0 = (0.5 + dial.between("shift down", -0.05, 0.05)) * SIZE * OVERSAMPLING
    middle, extent = _extent(parts)
    scale /= extent

    def place(point: Point) -> Point:
        x, y = (point[0] - middle[0]) * flip, point[1] - middle[1]
        x += slant * y
        return (
            x0 + scale * (x * math.cos(angle) - y * math.sin(angle)),
            y0 + scale * (x * math.sin(angle) + y * math.cos(angle)),
        )

    return [Part(tuple(map(place, part.points)), part.colour) for part in parts]


def _extent(parts: Sequence[Part]) -> tuple[Point, float]:
    """Return middle and longer side of what lies about the origin: scenery may reach beyond."""
    points = [(x, y) for part in parts for x, y in part.points if max(abs(x), abs(y)) < 0.65]
    across, down = zip(*points, strict=True)
    middle = (min(across) + max(across)) / 2, (min(down) + max(down)) / 2
    return middle, max(max(across) - min(across), max(down) - min(down))


def _layer(parts: Sequence[Part], dial: Dial) -> Image.Image:
    """Draw parts on a transparent layer of the final size."""
    side = SIZE * OVERSAMPLING
    layer = Image.new("RGBA", (side, side))
    pen = ImageDraw.Draw(layer)
    width = round(dial.between("outline", 0, 3))
    for part in parts:
        pen.polygon(part.points, fill=(*part.colour, 255))
        if width:
            edge = tuple(value // 2 for value in part.colour)
            pen.line([*part.points, part.points[0]], fill=(*edge, 255), width=width)
    return layer.resize((SIZE, SIZE), Image.Resampling.BOX)


def _lit(ground: Pixels, layer: Image.Image, dial: Dial) -> Pixels:
    """Lay the layer over the ground with relief, shadow, light and the noise of a camera."""
    alpha = layer.getchannel("A")
    mask = _unit(alpha)
    colours = np.asarray(layer.convert("RGB"), np.float32)
    relief = _unit(alpha.filter(ImageFilter.GaussianBlur(3)))
    down, across = (np.gradient(relief, axis=axis).astype(np.float32) for axis in (0, 1))
    angle = math.radians(dial.between("light angle", 200, 340))
    light = 1 - 2.2 * (across * math.cos(angle) + down * math.sin(angle))
    shadow: Pixels = _unit(alpha.filter(ImageFilter.GaussianBlur(7)))
    reach = round(dial.between("shadow", 3, 12))
    shadow = _shifted(shadow, reach, round(-reach * math.cos(angle)))
    picture = ground * (1 - 0.45 * shadow) * (1 - mask) + colours * light * mask
    exposure = dial.between("exposure", 0.82, 1.15)
    warmth = dial.between("warmth", -0.06, 0.06)
    picture *= np.array([1 + warmth, 1, 1 - warmth], np.float32) * np.float32(exposure)
    camera = np.random.default_rng(dial.grain())
    noise = camera.standard_normal(picture.shape, np.float32)
    noisy: Pixels = (picture + 4 * noise).astype(np.float32, copy=False)
    return noisy


def _unit(channel: Image.Image) -> Pixels:
    """Return a channel as float32[H, W, 1] in 0..1."""
    return np.asarray(channel, np.float32)[..., None] / np.float32(255)


def _shifted(pixels: Pixels, down: int, across: int) -> Pixels:
    """Return pixels moved down and across, zero where nothing moved in."""
    reach = max(abs(down), abs(across))
    padded = np.pad(pixels, ((reach, reach), (reach, reach), (0, 0)))
    height, width = pixels.shape[:2]
    top, left = reach - down, reach - across
    return padded[top : top + height, left : left + width]
