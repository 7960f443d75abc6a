"""Which frames of an animation are looked at. Decodes nothing; knows nothing of networks."""

import struct

from PIL import ImageFile

MAX_REACH = 1000
"""Frames of an animation that are walked through at most; each costs a little, however small."""


def spread(count: int, most: int) -> list[int]:
    """Return at most ``most`` of ``count`` positions, evenly spread, first and last among them."""
    if most == 1 or count == 1:
        return [0]
    wanted = min(count, most)
    return [number * (count - 1) // (wanted - 1) for number in range(wanted)]


def reach(kind: str, image: ImageFile.ImageFile, data: bytes, max_pixels: int) -> int:
    """Return how many frames of an opened file are looked at, 1..``MAX_REACH``.

    Frames build on those before them, so that each costs decoding all up to it: those within
    reach have ``max_pixels`` pixels together, no more than one still may have.
    """
    if kind == "GIF":
        return gif_reach(data, max_pixels)
    most = max(1, min(MAX_REACH, max_pixels // (image.width * image.height)))
    if kind == "TIFF":
        # Counting all pages would follow a chain of any length, in quadratic time.
        return next((page for page in range(1, most) if not _has_page(image, page)), most)
    return min(most, getattr(image, "n_frames", 1))


def _has_page(image: ImageFile.ImageFile, page: int) -> bool:
    try:
        image.seek(page)
    except EOFError:
        return False
    return True


def gif_reach(data: bytes, max_pixels: int) -> int:
    """Return how many frames of a GIF, 1..``MAX_REACH``, have ``max_pixels`` pixels together.

    Pillow can only count all of them, which takes seconds for a hostile file. The canvas grows
    with frames that stick out of it, as Pillow lets it.

    Raises:
        IndexError, struct.error: The file is cut short.
    """
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at = 13 + _colours(flags)
    frames = 0
    while frames < MAX_REACH and at < len(data) and data[at] != 0x3B:
        if data[at] == 0x21:
            at = _past_blocks(data, at + 2)
            continue
        if data[at] != 0x2C:
            at += 1
            continue
        x, y, wide, high, flags = struct.unpack_from("<HHHHB", data, at + 1)
        width, height = max(width, x + wide), max(height, y + high)
        if (frames + 1) * width * height > max_pixels:
            break
        frames += 1
        at = _past_blocks(data, at + 11 + _colours(flags))
    return max(1, frames)


def _colours(flags: int) -> int:
    """Return the bytes of a GIF's colour table."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _past_blocks(data: bytes, at: int) -> int:
    while data[at]:
        at += data[at] + 1
    return at + 1
