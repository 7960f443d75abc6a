"""Make an untrusted image into a JPEG that is safe to show: pixels alone, nothing of the file.

Runs in decode processes only. The parent, which trusts them no more than the image, checks with
``is_plain`` that what it got is a JPEG without room for metadata; that decodes nothing.
"""

import io
import re
from dataclasses import dataclass

import numpy as np
from PIL import Image

from moderator.decoding.decode import upright
from moderator.decoding.view import View

QUALITY = 85
"""Of the JPEG, with halved chroma: what people need to see is there, at a tenth of the pixels."""

JFIF = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00"
"""Beginning of a JPEG, the length of its one application segment included (no thumbnail fits)."""

SEGMENTS = (0xDB, 0xC0, 0xC1, 0xC2, 0xC4, 0xDD, 0xDA)
"""Tables, frame and scan headers: what a JPEG needs and nothing else (ITU-T T.81, B.1.1.3)."""

MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7]")
"""What ends the data of a scan."""


@dataclass(frozen=True, slots=True)
class SafeCopy:
    """A JPEG and its size in pixels."""

    data: bytes
    width: int
    height: int


def safe_copy(data: bytes, view: View, *, max_pixels: int, max_side: int) -> SafeCopy:
    """Return a frame of an image anew as JPEG: upright, RGB, without EXIF, ICC, XMP or comment.

    The same bytes and figures give the same copy. Colour profiles are ignored, as for networks.

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
    file = io.BytesIO()
    Image.fromarray(np.asarray(image)).save(file, "JPEG", quality=QUALITY)
    return SafeCopy(file.getvalue(), *image.size)


def is_plain(data: bytes) -> bool:
    """Whether bytes are one JPEG with tables, frame and scans alone, and nothing behind it."""
    if not data.startswith(JFIF) or data[18:20] != b"\0\0":
        return False
    at = 20
    while data[at : at + 1] == b"\xff" and at + 4 <= len(data):
        marker = data[at + 1]
        if marker not in SEGMENTS:
            return False
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xDA:
            found = MARKER.search(data, at)
            at = found.start() if found else len(data)
        if data[at:] == b"\xff\xd9":
            return marker == 0xDA
    return False
