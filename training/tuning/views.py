"""Show a photograph anew: another part, size, side or angle of it, and its background alone.

Must not know files, types or networks. The same chance gives the same picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from training.tuning.areas import WHOLE, Area, overlap
from training.tuning.photometry import vary

Chance = np.random.Generator

NEAR = 0.75
"""How often a photograph whose firearms are known is cut around one of them."""

AROUND = (1.0, 3.5)
"""Size of such a part, over the longer side of the firearm."""

STRETCH = (0.75, 1.33)
"""By how much wider than the photograph's the shape of any other part is."""

LEAST_OF_FIREARM = 0.5
"""Least share of a photograph of a firearm that a part shows; its firearm may be anywhere."""

LEAST_OF_HARMLESS = 0.15
LEAST_VISIBLE = 0.5
"""Share of a firearm that has to be in a part that is said to show one."""

INSET = (0.35, 0.85)
"""Size of a picture that is laid onto its own blurred self, over that self."""

TURN = 20.0
"""Degrees by which a picture is turned at most."""

UPENDED = 0.25
"""How often a picture is turned by a quarter as well: photographs that were taken upright, and
firearms that stand or hang."""

CORNERS = (None, None, (0, 0, 0), (255, 255, 255))
"""Of which one is drawn for what a turned picture does not fill; None: its first pixel's colour."""

BACKGROUND = (0.12, 0.6)
"""Share of a photograph that a part of its background takes, from the least to the most."""

LEAST_SIDE = 16
LEAST_BACKGROUND = 40
"""Pixels that a side has at least, of a part and of a background."""

TRIES = 40
"""Places that are tried for a background before there is said to be none."""


@dataclass(frozen=True, eq=False)
class Picture:
    """An RGB image, and where the firearms in it are; none named does not mean that none are."""

    image: Image.Image
    firearms: tuple[Area, ...] = ()


def view(picture: Picture, chance: Chance, *, firearm: bool) -> Picture:
    """Return a photograph seen another way, in another light.

    Args:
        picture: The photograph.
        chance: Decides everything.
        firearm: Whether it shows one, whether or not it is known where.
    """
    seen = reframed(picture, chance, firearm=firearm)
    return Picture(vary(seen.image, chance), seen.firearms)


def reframed(picture: Picture, chance: Chance, *, firearm: bool) -> Picture:
    """Return a part of a photograph, perhaps smaller, mirrored or turned; see ``view``."""
    seen = _part(picture, chance, firearm=firearm)
    if chance.random() < 0.25:
        seen = _inset(seen, chance, firearm=firearm)
    if chance.random() < 0.5:
        seen = mirrored(seen)
    if chance.random() < UPENDED:
        # One quarter or three, so that either side may be up; few pictures stand on their head.
        for _ in range(1 + 2 * int(chance.integers(2))):
            seen = upended(seen)
    if chance.random() < 0.6:
        degrees = float(chance.uniform(-TURN, TURN))
        seen = turned(seen, degrees, CORNERS[int(chance.integers(len(CORNERS)))])
    return seen


def background(picture: Picture, chance: Chance) -> Picture | None:
    """Return a part of a photograph without a firearm in it; None where there is no room.

    Args:
        picture: All its firearms are known.
        chance: Decides everything.
    """
    width, height = picture.image.size
    for _ in range(TRIES):
        scale = float(chance.uniform(*BACKGROUND)) ** 0.5
        size = int(width * scale), int(height * scale)
        left = int(chance.integers(width - size[0] + 1))
        top = int(chance.integers(height - size[1] + 1))
        frame = (left, top, left + size[0], top + size[1])
        found = cut(picture, frame)
        if min(size) >= LEAST_BACKGROUND and not any(overlap(a, WHOLE) for a in found.firearms):
            return Picture(vary(found.image, chance))
    return None


def cut(picture: Picture, frame: tuple[int, int, int, int]) -> Picture:
    """Return a part: left, top, right and bottom in pixels."""
    width, height = picture.image.size
    part = Area(frame[0] / width, frame[1] / height, frame[2] / width, frame[3] / height)
    return Picture(picture.image.crop(frame), tuple(a.cut(part) for a in picture.firearms))


def mirrored(picture: Picture) -> Picture:
    """Swap left and right."""
    image = picture.image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return Picture(image, tuple(area.mirrored() for area in picture.firearms))


def upended(picture: Picture) -> Picture:
    """Turn a picture by a quarter, against the clock."""
    image = picture.image.transpose(Image.Transpose.ROTATE_90)
    return Picture(image, tuple(area.upended() for area in picture.firearms))


def turned(
    picture: Picture, degrees: float, corners: tuple[int, int, int] | None = None
) -> Picture:
    """Turn a picture about its centre.

    Args:
        picture: To turn.
        degrees: Against the clock.
        corners: RGB of what it does not fill; None: the colour of its first pixel.
    """
    image = picture.image
    corner = corners or image.getpixel((0, 0))
    areas = tuple(area.turned(degrees, *image.size) for area in picture.firearms)
    return Picture(
        image.rotate(degrees, Image.Resampling.BILINEAR, fillcolor=corner),
        areas,
    )


def _part(picture: Picture, chance: Chance, *, firearm: bool) -> Picture:
    frame = (
        _around(picture, chance)
        if picture.firearms and chance.random() < NEAR
        else _anywhere(picture, chance, firearm=firearm)
    )
    part = cut(picture, frame)
    if part.firearms and max(area.visible for area in part.firearms) < LEAST_VISIBLE:
        return picture
    return part


def _around(picture: Picture, chance: Chance) -> tuple[int, int, int, int]:
    """Choose a part that holds a firearm, from just it to much of what is around it."""
    width, height = picture.image.size
    area = _one_of(picture.firearms, chance)
    own = (area.right - area.left) * width, (area.bottom - area.top) * height
    scale, longer = float(chance.uniform(*AROUND)), max(own)
    room = min(scale, 1.1)
    wide = max(own[0] * room, longer * scale * float(chance.uniform(0.7, 1.2)))
    tall = max(own[1] * room, longer * scale * float(chance.uniform(0.5, 1.0)))
    return _frame(picture, chance, (wide, tall), area)


def _anywhere(picture: Picture, chance: Chance, *, firearm: bool) -> tuple[int, int, int, int]:
    """Choose a part of any place, which holds a firearm where it is known where one is."""
    width, height = picture.image.size
    share = float(chance.uniform(LEAST_OF_FIREARM if firearm else LEAST_OF_HARMLESS, 1))
    stretch = float(chance.uniform(*STRETCH))
    size = width * (share * stretch) ** 0.5, height * (share / stretch) ** 0.5
    area = _one_of(picture.firearms, chance) if picture.firearms else None
    return _frame(picture, chance, size, area)


def _one_of(areas: Sequence[Area], chance: Chance) -> Area:
    return areas[int(chance.integers(len(areas)))]


def _frame(
    picture: Picture, chance: Chance, size: tuple[float, float], area: Area | None
) -> tuple[int, int, int, int]:
    width, height = picture.image.size
    wide, tall = (
        min(side, max(LEAST_SIDE, round(wanted)))
        for side, wanted in zip((width, height), size, strict=True)
    )
    left = int(chance.integers(width - wide + 1))
    top = int(chance.integers(height - tall + 1))
    if area is not None:
        left = _holding(left, wide, (area.left * width, area.right * width), width)
        top = _holding(top, tall, (area.top * height, area.bottom * height), height)
    return left, top, left + wide, top + tall


def _holding(begin: int, length: int, stretch: tuple[float, float], end: int) -> int:
    """Move a part of a side as little as may be so that it holds a stretch, or lies within it."""
    bounds = sorted((int(np.ceil(stretch[1])) - length, int(stretch[0])))
    return int(min(max(begin, bounds[0], 0), max(0, bounds[1]), end - length))


def _inset(picture: Picture, chance: Chance, *, firearm: bool) -> Picture:
    """Lay a picture, smaller, onto its own blurred self: firearms become small in it."""
    width, height = picture.image.size
    scale = float(chance.uniform(*INSET))
    size = max(8, int(width * scale)), max(8, int(height * scale))
    small = picture.image.resize(size, Image.Resampling.BILINEAR)
    left = int(chance.integers(max(1, width - size[0] + 1)))
    top = int(chance.integers(max(1, height - size[1] + 1)))
    ground = picture.image.filter(ImageFilter.GaussianBlur(max(width, height) / 12))
    ground.paste(small, (left, top))
    frame = Area(left / width, top / height, (left + size[0]) / width, (top + size[1]) / height)
    # Where nobody said where the firearm is, it is at least within the smaller picture.
    known = picture.firearms or ((WHOLE,) if firearm else ())
    return Picture(ground, tuple(area.laid(frame) for area in known))
