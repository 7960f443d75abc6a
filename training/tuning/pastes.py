"""Lay a firearm of one photograph into another that has none. Must not know files or networks.

A firearm is cut out by the colour of a plain border or, where it is known where it is, as its box
with soft edges. The same chance gives the same picture.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter

from training.tuning.areas import Area
from training.tuning.photometry import vary
from training.tuning.views import UPENDED, Picture, mirrored

Chance = np.random.Generator
Mask = NDArray[np.bool_]

PLAIN = 0.9
"""Share of the border that has to be of one colour for a background to be plain."""

LIKE_BORDER = 24
LIKE_BACKGROUND = 28
"""By how much a channel may differ (of 0..255) from the border's colour."""

SHARES = (0.06, 0.75)
"""Share of a plain photograph that what is in it takes; else it is no single thing."""

AREAS = (0.02, 0.25)
"""Share of the scene that the firearm takes, from the least to the most."""

MARGIN = 1.05
"""Size of what is cut out around a box, over the box."""

LEAST_BOX = (24, 16)
LEAST_PASTED = (12, 10)
"""Width and height in pixels, at least."""

TURN = 35.0
DARKEST, LIGHTEST = 0.5, 1.3


def paste(firearm: Picture, scene: Image.Image, chance: Chance) -> Picture | None:
    """Lay the firearm of a photograph into a scene, and change the scene's light.

    Args:
        firearm: A photograph of one.
        scene: RGB, without firearms; stays as it is.
        chance: Decides everything.

    Returns:
        The scene with it, and where it is; None where it cannot be cut out, or would be too small.
    """
    pasted = laid(firearm, scene, chance)
    return None if pasted is None else Picture(vary(pasted.image, chance), pasted.firearms)


def laid(firearm: Picture, scene: Image.Image, chance: Chance) -> Picture | None:
    """Lay a firearm into a scene as it is; see ``paste``."""
    found = cut_out(firearm)
    if found is None:
        return None
    thing, shape = found
    quarters = 90.0 * int(chance.integers(1, 4)) if chance.random() < UPENDED else 0.0
    if quarters or chance.random() < 0.6:
        degrees = quarters + float(chance.uniform(-TURN, TURN))
        thing = thing.rotate(degrees, Image.Resampling.BILINEAR, expand=True)
        shape = shape.rotate(degrees, Image.Resampling.BILINEAR, expand=True)
    thing = ImageEnhance.Brightness(thing).enhance(float(chance.uniform(DARKEST, LIGHTEST)))
    size = _size(thing.size, scene.size, chance)
    if size is None:
        return None
    thing, shape = thing.resize(size, Image.Resampling.LANCZOS), shape.resize(size)
    pasted = _laid(thing, shape, scene, chance)
    if pasted is not None and chance.random() < 0.5:
        pasted = mirrored(pasted)
    return pasted


def cut_out(picture: Picture) -> tuple[Image.Image, Image.Image] | None:
    """Return a firearm, as RGB and as its shape in 0..255; None where it cannot be told apart."""
    if picture.firearms:
        return _boxed(picture)
    mask = on_plain_ground(np.asarray(picture.image))
    if mask is None:
        return None
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    frame = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    shape = Image.fromarray(mask.astype(np.uint8) * 255).crop(frame)
    return picture.image.crop(frame), shape.filter(ImageFilter.GaussianBlur(1))


def on_plain_ground(pixels: NDArray[np.uint8]) -> Mask | None:
    """Return what is not the plain ground of a photograph; None where the ground is not plain.

    The ground is what has the border's colour and hangs together with the border.

    Args:
        pixels: uint8[h, w, 3].

    Returns:
        bool[h, w].
    """
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]).astype(np.int16)
    colour = np.median(border, axis=0).astype(np.int16)
    if (np.abs(border - colour).max(1) < LIKE_BORDER).mean() < PLAIN:
        return None
    like = np.abs(pixels.astype(np.int16) - colour).max(2) < LIKE_BACKGROUND
    thing = ~from_border(like)
    return thing if SHARES[0] < thing.mean() < SHARES[1] else None


def from_border(open_: Mask) -> Mask:
    """Return the cells that can be reached from the border, by sides, over cells that are open.

    Args:
        open_: bool[h, w].
    """
    reached = np.zeros_like(open_)
    for line in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
        reached[line] = open_[line]
    count = -1
    while count != (count := int(reached.sum())):
        reached = _along_rows(reached, open_)
        reached = _along_rows(reached.T, open_.T).T
    return reached


def _along_rows(reached: Mask, open_: Mask) -> Mask:
    """Spread over each run of open cells of a row that has been reached somewhere."""
    begins = np.ones(open_.shape, bool)
    begins[:, 1:] = open_[:, 1:] != open_[:, :-1]
    runs = np.cumsum(begins.ravel()) - 1
    hit = np.logical_or.reduceat(np.ascontiguousarray(reached).ravel(), np.flatnonzero(begins))
    spread: Mask = hit[runs].reshape(open_.shape) & open_
    return spread


def _boxed(picture: Picture) -> tuple[Image.Image, Image.Image] | None:
    width, height = picture.image.size
    area = picture.firearms[0]
    across = (area.right - area.left) * (MARGIN - 1) / 2
    down = (area.bottom - area.top) * (MARGIN - 1) / 2
    frame = (
        max(0, int((area.left - across) * width)),
        max(0, int((area.top - down) * height)),
        min(width, int((area.right + across) * width) + 1),
        min(height, int((area.bottom + down) * height) + 1),
    )
    thing = picture.image.crop(frame)
    if thing.width < LEAST_BOX[0] or thing.height < LEAST_BOX[1]:
        return None
    edge = max(2, min(thing.size) // 8)
    shape = Image.new("L", thing.size, 0)
    shape.paste(255, (edge, edge, thing.width - edge, thing.height - edge))
    return thing, shape.filter(ImageFilter.GaussianBlur(edge / 2))


def _size(own: tuple[int, int], scene: tuple[int, int], chance: Chance) -> tuple[int, int] | None:
    """Return a width and height in pixels of the share that is drawn, or the largest that fits."""
    share = float(np.exp(chance.uniform(*np.log(AREAS))))
    scale = (share * scene[0] * scene[1] / (own[0] * own[1])) ** 0.5
    scale = min(scale, 0.95 * scene[0] / own[0], 0.95 * scene[1] / own[1])
    size = int(own[0] * scale), int(own[1] * scale)
    return None if size[0] < LEAST_PASTED[0] or size[1] < LEAST_PASTED[1] else size


def _laid(
    thing: Image.Image, shape: Image.Image, scene: Image.Image, chance: Chance
) -> Picture | None:
    width, height = scene.size
    left = int(chance.integers(width - thing.width + 1))
    top = int(chance.integers(height - thing.height + 1))
    # What is turned has empty corners, which are not of the firearm.
    seen = shape.point([255 * (value >= 64) for value in range(256)]).getbbox()
    if seen is None:
        return None
    whole = scene.copy()
    whole.paste(thing, (left, top), shape)
    area = Area(
        (left + seen[0]) / width,
        (top + seen[1]) / height,
        (left + seen[2]) / width,
        (top + seen[3]) / height,
    )
    return Picture(whole, (area,))
