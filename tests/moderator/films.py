"""Animations built chunk by chunk, with what encoders do not write. Not a test itself."""

import io
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from tests.moderator.pictures import encoded

PALETTE = [(255, 255, 255), (230, 20, 20), (20, 230, 20), (20, 20, 230), (128, 128, 128)]


@dataclass
class Step:
    """A frame: one place in ``PALETTE`` or those of its pixels, and how it is laid."""

    colour: int | np.ndarray
    box: tuple[int, int, int, int] = (0, 0, 64, 64)
    milliseconds: int = 100
    disposal: int = 0
    clear: int | None = None
    over: bool = True
    alpha: int = 255
    pixels: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        left, top, right, bottom = self.box
        size = (bottom - top, right - left)
        whole = isinstance(self.colour, np.ndarray)
        self.pixels = self.colour if whole else np.full(size, self.colour, np.uint8)


def gif(steps: Sequence[Step], size: tuple[int, int] = (64, 64), *, loop: int | None = 0) -> bytes:
    """A GIF; ``loop`` says how often it is played, 0 for ever, None: the file says nothing."""
    colours = bytes(value for colour in PALETTE for value in colour).ljust(24, b"\0")
    parts = [b"GIF89a" + struct.pack("<HHBBB", *size, 0x82, 4, 0) + colours]
    if loop is not None:
        parts.append(b"\x21\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<H", loop) + b"\0")
    for step in steps:
        left, top, right, bottom = step.box
        flags = step.disposal << 2 | (step.clear is not None)
        delay = step.milliseconds // 10
        parts.append(b"\x21\xf9\x04" + struct.pack("<BHB", flags, delay, step.clear or 0) + b"\0")
        parts.append(b"\x2c" + struct.pack("<HHHHB", left, top, right - left, bottom - top, 0))
        parts.append(_blocks(step.pixels))
    return b"".join(parts) + b";"


def _blocks(pixels: np.ndarray) -> bytes:
    """The pixels as any GIF encoder compresses them."""
    image = Image.fromarray(pixels.astype(np.uint8), "P")
    image.putpalette([value for colour in PALETTE for value in colour])
    file = encoded(image, "GIF", optimize=False)
    at = 13 + (3 << (file[10] & 7) + 1 if file[10] & 0x80 else 0)
    while file[at] != 0x2C:
        at += 2
        while file[at]:
            at += file[at] + 1
        at += 1
    local = file[at + 9]
    return file[at + 10 + (3 << (local & 7) + 1 if local & 0x80 else 0) : -1]


def apng(
    steps: Sequence[Step],
    size: tuple[int, int] = (64, 64),
    *,
    plays: int = 0,
    still: Image.Image | None = None,
    alpha: bool = False,
) -> bytes:
    """An animated PNG; ``still`` is a picture before it that is no frame of it."""
    header = struct.pack(">IIBBBBB", *size, 8, 6 if alpha else 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"acTL", struct.pack(">II", len(steps), plays))]
    if still is not None:
        chunks.append((b"IDAT", _packed(np.asarray(still))))
    number = 0
    for step in steps:
        left, top, right, bottom = step.box
        control = (number, right - left, bottom - top, left, top, step.milliseconds, 1000)
        chunks.append((b"fcTL", struct.pack(">IIIIIHHBB", *control, step.disposal, step.over)))
        number += 1
        pixels = np.array(PALETTE, np.uint8)[step.pixels]
        if alpha:
            opaque = np.full((*step.pixels.shape, 1), step.alpha, np.uint8)
            pixels = np.concatenate([pixels, opaque], axis=2)
        if number == 1 and still is None:
            chunks.append((b"IDAT", _packed(pixels)))
        else:
            chunks.append((b"fdAT", struct.pack(">I", number) + _packed(pixels)))
            number += 1
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in [*chunks, (b"IEND", b"")])


def png(pixels: np.ndarray, depth: int, kind: int, key: bytes) -> bytes:
    """A PNG of grey (``kind`` 0) or colour (2) of 1 to 16 bits with a colour for transparent.

    Args:
        pixels: Numbers of ``depth`` bits, [height, width] or [height, width, 3].
        depth: Bits of a number.
        kind: Colour type.
        key: Content of tRNS.
    """
    height, width = pixels.shape[:2]
    if depth == 16:
        rows = pixels.astype(">u2").reshape(height, -1).view(np.uint8)
    elif depth == 8:
        rows = pixels.astype(np.uint8).reshape(height, -1)
    else:
        bits = np.unpackbits(pixels.astype(np.uint8)[..., None], axis=2)[..., 8 - depth :]
        rows = np.packbits(bits.reshape(height, -1), axis=1)
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    body = zlib.compress(np.pad(rows, ((0, 0), (1, 0))).tobytes())
    chunks = [(b"IHDR", header), (b"tRNS", key), (b"IDAT", body), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _packed(pixels: np.ndarray) -> bytes:
    rows = pixels.reshape(len(pixels), -1)
    return zlib.compress(np.pad(rows, ((0, 0), (1, 0))).tobytes())


def saved(kind: str, frames: Sequence[Image.Image], milliseconds: Sequence[int]) -> bytes:
    """An animation as Pillow writes it, played for ever."""
    file = io.BytesIO()
    first, *others = frames
    more = {"loop": 0} if kind != "AVIF" else {}
    first.save(file, kind, save_all=True, append_images=others, duration=list(milliseconds), **more)
    return file.getvalue()
