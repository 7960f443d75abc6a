"""Make an untrusted image into a JPEG that is safe to show: pixels alone, nothing of the file.

Runs in decode processes only. The parent, which trusts them no more than the image, checks with
``is_plain`` that what it got is a JPEG with room for pixels alone; that decodes nothing.
"""

import io
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image

from moderator.decoding.decode import upright
from moderator.decoding.view import View

QUALITY = 85
"""Of the JPEG, with halved chroma: what people need to see is there, at a tenth of the pixels."""

MCU = 16
"""Pixels of a side of the squares that a scan codes one after the other, with halved chroma."""

LEAST, MOST = 4, MCU * MCU * 3
"""Bytes that such a square takes: by the shortest codes of the standard's tables, and as raw
pixels, which what is encoded of any pixels never comes near."""

END = b"\xff\xd9"


@dataclass(frozen=True, slots=True)
class SafeCopy:
    """A JPEG and its size in pixels."""

    data: bytes
    width: int
    height: int


def safe_copy(data: bytes, view: View, *, max_pixels: int, max_side: int) -> SafeCopy:
    """Return a frame of an image anew as JPEG: upright, RGB, without EXIF, ICC, XMP or comment.

    The same bytes and figures give the same copy. Colours are as viewers show them.

    Args:
        data: The file.
        view: The frame that is shown, whole, and on which background.
        max_pixels: As ``decode`` takes it.
        max_side: Longest side of the copy in pixels.

    Raises:
        Undecodable: It is no image that is judged.
    """
    image = upright(data, view, max_pixels=max_pixels, max_side=max_side)
    # From the pixels alone: an encoder would write what an image remembers of its file.
    return SafeCopy(_encoded(Image.fromarray(np.asarray(image))), *image.size)


def is_plain(data: bytes, size: tuple[int, int] | None = None) -> bool:
    """Whether bytes are a JPEG as ``safe_copy`` writes it, and nothing but one.

    All up to the scan must be what our own encoder writes for that size, byte by byte, so that
    there is no segment, table or figure of anybody else's. The scan itself may hold whatever codes
    there are: it has no marker, ends with the file, and has about the length that pixels take. A
    process that was taken over can thus choose the pixels, and so the bytes of the scan, of its
    copy. Viewers can only show them, by the plainest way of decoding.

    Args:
        data: The file.
        size: Width and height in pixels that it must have; None: any that ``data`` says.
    """
    head = _head()
    at = head.index(b"\xff\xc0") + 5
    height, width = (int.from_bytes(data[n : n + 2], "big") for n in (at, at + 2))
    if size is not None and (width, height) != size:
        return False
    if data[: len(head)] != head[:at] + data[at : at + 4] + head[at + 4 :] or data[-2:] != END:
        return False
    scan = data[len(head) : -2]
    squares = -(-width // MCU) * -(-height // MCU)
    marked = scan.count(b"\xff") != scan.count(b"\xff\0")
    return not marked and 0 < LEAST * squares <= len(scan) <= MOST * squares


@cache
def _head() -> bytes:
    """Return what copies begin with up to their scan, but for the size: theirs is 16 x 16."""
    data = _encoded(Image.new("RGB", (MCU, MCU)))
    at = data.index(b"\xff\xda")
    return data[: at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")]


def _encoded(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
