"""Photographs painted so that a firearm's place can be seen by its colour."""

from pathlib import Path

import numpy as np
from PIL import Image

from training.folder import Box, Photo, file_digest
from training.tuning.areas import Area, areas_of
from training.tuning.views import Picture

WIDTH, HEIGHT = 240, 180
FRAME = (60, 50, 132, 98)
"""Left, top, right and bottom in pixels of the firearm of ``striped``."""

BOX = Box(96 / WIDTH, 74 / HEIGHT, 72 / WIDTH, 48 / HEIGHT)


def striped(*, ground: tuple[int, int, int] = (0, 0, 200)) -> Picture:
    """Return a firearm of red and black stripes: blurred, none of it is pure red."""
    pixels = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    pixels[:] = ground
    left, top, right, bottom = FRAME
    pixels[top:bottom, left:right] = 0
    for x in range(left, right, 12):
        pixels[top:bottom, x : x + 6, 0] = 255
    # A thin line, so that the last of the firearm is red too.
    pixels[top:bottom, right - 2 : right, 0] = 255
    return Picture(Image.fromarray(pixels), areas_of((BOX,)))


def red(image: Image.Image, least: int = 230) -> np.ndarray:
    """Return bool[h, w], where a picture is pure red."""
    pixels = np.asarray(image).astype(int)
    return (pixels[..., 0] > least) & (pixels[..., 1] < 60) & (pixels[..., 2] < 60)


def extent(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of the cells of a mask."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def in_pixels(area: Area, image: Image.Image) -> tuple[float, float, float, float]:
    """Return an area's sides in pixels."""
    width, height = image.size
    return area.left * width, area.top * height, area.right * width, area.bottom * height


COLOURS = {
    "glock": (200, 30, 30),
    "shotgun": (30, 160, 30),
    "coarse_handgun": (170, 60, 60),
    "tool": (40, 40, 190),
    "street": (180, 180, 30),
}
SOURCES = ("north", "south", "east")


def painted_photos(folder: Path, count: int = 6) -> tuple[Photo, ...]:
    """Paint ``count`` photographs of each name; every second one of a firearm has a box."""
    chance = np.random.default_rng(5)
    photos = []
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        firearm = name not in ("tool", "street")
        for n in range(count):
            path = folder / name / f"{n}.png"
            boxed = firearm and n % 2 == 0
            pixels = np.full((120, 160, 3), 250, np.uint8)
            if boxed or not firearm:
                pixels[:] = chance.integers(60, 160, (120, 160, 3))
            left, top = int(chance.integers(5, 80)), int(chance.integers(5, 60))
            pixels[top : top + 36, left : left + 60] = colour
            Image.fromarray(pixels).save(path)
            box = Box((left + 30) / 160, (top + 18) / 120, 60 / 160, 36 / 120)
            digest = file_digest(path)
            source, boxes = SOURCES[n % 3], (box,) if boxed else ()
            photos.append(Photo(path, name, firearm, digest, f"{name}-{n}", source, boxes))
    return tuple(photos)
