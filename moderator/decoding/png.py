"""Take an animated PNG apart into frames and compose them as browsers do; key colours of any PNG.

Pillow decodes each frame by itself, as a file of its own. It would compose them too, but without
alpha where the file has none, though a frame that is disposed of leaves a hole.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFile, PngImagePlugin

from moderator.decoding.animation import MAX_REACH, REST, CutShort, Frame, Shot, shown_for
from moderator.decoding.canvas import Canvas, Disposal, Part

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CONTROL = struct.Struct(">IIIIIHHBB")
"""Of a frame: number, width, height, left, top, delay (a fraction), disposal, blending."""

DISPOSALS: tuple[Disposal, ...] = ("keep", "clear", "restore")
SHARED = (b"PLTE", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"eXIf")
"""Chunks that say what the pixels of every frame mean, and how the picture is turned."""

GREYS = {"L;2": 85, "L;4": 17}
"""What makes a grey of few bits one of eight, by how the decoder reads it."""


@dataclass(slots=True)
class _Found:
    """A frame in the file; the still that only viewers without animation show has no part."""

    part: Part | None
    seconds: float
    width: int
    height: int
    bodies: list[bytes]


class Apng:
    """The frames of an animated PNG; the first is what viewers without animation show.

    Args:
        data: The file.

    Attributes:
        size: Width and height in pixels.

    Raises:
        ValueError, struct.error: It is no animated PNG.
    """

    def __init__(self, data: bytes) -> None:
        self._header = b""
        self._shared: list[tuple[bytes, bytes]] = []
        self._found: list[_Found] = []
        self._plays: int | None = None
        self._promised = 0
        self.size = 0, 0
        for kind, body in _chunks(data):
            self._take(kind, body)
            if len(self._found) > MAX_REACH + 1:
                break
        if self._plays is None or not self._found:
            raise ValueError("no animated PNG")

    @property
    def single(self) -> bool:
        """Whether it has one frame, and no still besides."""
        return len(self._found) == 1 and self._promised <= 1

    def frames(self) -> Iterator[Frame]:
        """Yield the frames in their order.

        Raises:
            CutShort: There are fewer than the file promises.
        """
        canvas = Canvas(*self.size)
        for position, found in enumerate(self._found):
            last = position == len(self._found) - 1
            yield self._frame(canvas, found, REST if last and self._plays else 0.0)
        if sum(each.part is not None for each in self._found) < self._promised:
            raise CutShort("fewer frames than promised")

    def _frame(self, canvas: Canvas, found: _Found, rest: float) -> Frame:
        width, height = self.size

        def draw() -> Shot:
            if found.width > width or found.height > height:
                raise ValueError("a frame larger than the picture")
            image = loaded(PngImagePlugin.PngImageFile(io.BytesIO(file := self._file(found))), file)
            if found.part is None:
                return Shot(image, found.seconds)
            composed = canvas.lay(image, found.part)
            # What the pixels mean and how they are turned is not the compositor's affair.
            composed.info = {k: v for k, v in image.info.items() if k != "transparency"}
            return Shot(composed, found.seconds + rest)

        return Frame(width * height, draw)

    def _file(self, found: _Found) -> bytes:
        header = struct.pack(">II", found.width, found.height) + self._header[8:]
        chunks = [
            (b"IHDR", header),
            *self._shared,
            (b"IDAT", b"".join(found.bodies)),
            (b"IEND", b""),
        ]
        return SIGNATURE + b"".join(_chunk(kind, body) for kind, body in chunks)

    def _take(self, kind: bytes, body: bytes) -> None:
        if kind == b"IHDR" and not self._header:
            self._header = body
            width, height = struct.unpack_from(">II", body)
            self.size = width, height
        elif kind == b"acTL" and not self._found:
            self._promised, self._plays = struct.unpack(">II", body)
        elif kind == b"fcTL":
            self._found.append(self._controlled(body))
        elif kind == b"IDAT":
            if not self._found:
                self._found.append(_Found(None, 0.0, *self.size, []))
            self._found[-1].bodies.append(body)
        elif kind == b"fdAT" and self._found:
            self._found[-1].bodies.append(body[4:])
        elif kind in SHARED and kind not in dict(self._shared):
            self._shared.append((kind, body))

    def _controlled(self, body: bytes) -> _Found:
        _, width, height, left, top, numerator, denominator, disposal, blend = CONTROL.unpack(body)
        disposed = DISPOSALS[disposal]
        if disposed == "restore" and not any(each.part for each in self._found):
            disposed = "clear"
        part = Part(left, top, width, height, disposed, over=blend == 1)
        seconds = shown_for(numerator / (denominator or 100))
        return _Found(part, seconds, width, height, [])


def is_animated(data: bytes) -> bool:
    """Whether a PNG says that it is animated, before its pixels."""
    for kind, _ in _chunks(data):
        if kind in (b"acTL", b"IDAT"):
            return kind == b"acTL"
    return False


def loaded(image: ImageFile.ImageFile, data: bytes) -> Image.Image:
    """Load a PNG, and return it so that a colour that stands for transparent is one of its own.

    Pillow gives that colour as the file does, with as many bits.

    Args:
        image: As opened.
        data: The file.
    """
    key, form = image.info.get("transparency"), image.tile[0].args if image.tile else None
    image.load()
    if isinstance(key, int) and form in GREYS:
        image.info["transparency"] = key * GREYS[str(form)]
    if not isinstance(key, tuple) or form != "RGB;16B":
        return image
    # The decoder keeps the high bytes; read as of the other endianness, they are the low ones.
    lower = PngImagePlugin.PngImageFile(io.BytesIO(data))
    lower.tile = [lower.tile[0]._replace(args="RGB;16L")]
    lower.load()
    colour = np.array(key, np.uint16)
    same = (np.asarray(image) == colour >> 8) & (np.asarray(lower) == colour & 0xFF)
    keyed = image.convert("RGB").convert("RGBA")
    keyed.putalpha(Image.fromarray(np.where(same.all(axis=2), np.uint8(0), np.uint8(255))))
    keyed.info = {name: value for name, value in image.info.items() if name != "transparency"}
    return keyed


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and body of each chunk that is there as a whole."""
    at = len(SIGNATURE)
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4])
        end = at + 8 + length
        if end > len(data):
            return
        yield data[at + 4 : at + 8], data[at + 8 : end]
        at = end + 4


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
