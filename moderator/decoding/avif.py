"""Look at both pictures of an AVIF: its sequence, and its still for viewers that do not animate."""

from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image, ImageFile

from moderator.decoding.animation import REST, Film, Frame, Shot, film_of

STILL, SEQUENCE = b"avif", b"avis"
"""Brands of a file: the first one says which picture a decoder gives."""

UNUSABLE = (OSError, ValueError, RuntimeError, SyntaxError)
"""What a decoder raises where a file does not have the picture that is asked for."""


def avif_film(data: bytes, opened: Callable[[bytes], ImageFile.ImageFile]) -> Film:
    """Return the frames of an AVIF; after those of a sequence the still, if it differs.

    Args:
        data: The file.
        opened: Opens it.

    Raises:
        OSError, ValueError, RuntimeError, SyntaxError: It has neither picture.
    """
    brands = data[8 : min(int.from_bytes(data[:4], "big"), 256)]
    if not any(brands[at : at + 4] == SEQUENCE for at in range(0, len(brands), 4)):
        return film_of("AVIF", opened(data))
    still = _still(data, opened)
    try:
        film = film_of("AVIF", opened(_of_brand(data, SEQUENCE)))
    except UNUSABLE:
        if still is None:
            raise
        return film_of("AVIF", opened(_of_brand(data, STILL)))
    return film if still is None else Film(_both(film.frames, still), single=False)


def _still(data: bytes, opened: Callable[[bytes], ImageFile.ImageFile]) -> Image.Image | None:
    try:
        image = opened(_of_brand(data, STILL))
        image.load()
    except UNUSABLE:
        return None
    return image


def _of_brand(data: bytes, brand: bytes) -> bytes:
    return data[:8] + brand + data[12:]


def _both(frames: Iterator[Frame], still: Image.Image) -> Iterator[Frame]:
    first = next(frames)
    alike = False

    def draw() -> Shot:
        nonlocal alike
        shot = first.draw()
        alike = _alike(shot.image, still)
        return shot

    yield Frame(first.pixels, draw)
    yield from frames
    if not alike:
        # Where it is shown, it stays.
        yield Frame(still.width * still.height, lambda: Shot(still, REST))


def _alike(one: Image.Image, other: Image.Image) -> bool:
    # The same values may be shown by another profile.
    about = [(each.mode, each.size, each.info.get("icc_profile")) for each in (one, other)]
    return about[0] == about[1] and np.array_equal(np.asarray(one), np.asarray(other))
