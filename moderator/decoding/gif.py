"""Take a GIF apart into frames and compose them as browsers do.

Pillow decodes each frame by itself, as a file of its own. It would compose them too, but on a
canvas that grows with every frame, where viewers cut off what lies outside the screen, and with a
background colour, where viewers show what is behind the picture.
"""

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import GifImagePlugin

from moderator.decoding.animation import MAX_REACH, REST, CutShort, Frame, Shot, shown_for
from moderator.decoding.canvas import Canvas, Disposal, Part

HEADER = struct.Struct("<6sHHBBB")
DESCRIPTOR = struct.Struct("<HHHHB")
DISPOSALS: dict[int, Disposal] = {2: "clear", 3: "restore", 4: "restore"}
"""By their number; 4 is what some encoders write for 3, which browsers understand."""

LOOPS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")
"""Application extensions that say how often an animation is played."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A frame in the file: its part, seconds, and itself as a file of its own."""

    part: Part
    seconds: float
    data: bytes


class Gif:
    """The frames of a GIF.

    Args:
        data: The file.

    Attributes:
        size: Width and height in pixels of what viewers show: of the screen, which the first frame
            alone may enlarge.

    Raises:
        ValueError, struct.error, IndexError: The file ends before its first frame, or is none.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        _, width, height, self._flags, _, _ = HEADER.unpack_from(data)
        self._table = data[HEADER.size : HEADER.size + _table(self._flags)]
        self._loops = self._cut = False
        self._found = self._parsed()
        first = self._found[0].part
        self.size = max(width, first.left + first.width), max(height, first.top + first.height)

    @property
    def single(self) -> bool:
        """Whether it has one frame, as far as it is there."""
        return len(self._found) == 1 and not self._cut

    def frames(self) -> Iterator[Frame]:
        """Yield the frames in their order.

        Raises:
            CutShort: The file ends after them, and not as it should.
        """
        canvas = Canvas(*self.size)
        for position, found in enumerate(self._found):
            last = position == len(self._found) - 1
            yield self._frame(canvas, found, REST if last and not self._loops else 0.0)
        if self._cut:
            raise CutShort("a GIF that is cut short")

    def _frame(self, canvas: Canvas, found: _Found, rest: float) -> Frame:
        def draw() -> Shot:
            image = GifImagePlugin.GifImageFile(io.BytesIO(found.data))
            image.load()
            if self.single and image.size == self.size:
                return Shot(image, found.seconds)
            return Shot(canvas.lay(image, found.part), found.seconds + rest)

        width, height = self.size
        return Frame(max(width * height, found.part.width * found.part.height), draw)

    def _parsed(self) -> list[_Found]:
        """Return the frames within ``MAX_REACH``, and one more where there are more."""
        found: list[_Found] = []
        data, at, control = self._data, HEADER.size + len(self._table), b""
        try:
            # The last byte, a semicolon, is missing in files of some encoders.
            while at < len(data) and data[at] != 0x3B and len(found) <= MAX_REACH:
                if data[at] == 0x21:
                    end = _past_blocks(data, at + 2)
                    if data[at + 1] == 0xF9:
                        control = data[at + 3 : at + 7]
                    elif data[at + 1] == 0xFF and data[at + 3 : at + 14] in LOOPS:
                        # Played a number of times, it ends; 0 stands for ever.
                        self._loops = data[at + 16 : at + 18] == b"\0\0"
                    at = end
                elif data[at] == 0x2C:
                    frame, at = self._taken(at, control)
                    found.append(frame)
                    control = b""
                else:
                    at += 1
        except (IndexError, struct.error):
            # What is there is shown. Whether the last frame is whole shows when it is drawn.
            self._cut = True
        if not found:
            raise ValueError("a GIF without a frame")
        return found

    def _taken(self, at: int, control: bytes) -> tuple[_Found, int]:
        """Return a frame as a file of its own, and where it ends in this one."""
        left, top, width, height, flags = DESCRIPTOR.unpack_from(self._data, at + 1)
        control = control.ljust(4, b"\0")
        seconds = shown_for(int.from_bytes(control[1:3], "little") / 100)
        disposal = DISPOSALS.get(control[0] >> 2 & 7, "keep")
        # Transparency alone is the decoder's affair.
        extension = b"\x21\xf9\x04" + bytes([control[0] & 1, 0, 0, control[3], 0])
        start = at + 11 + _table(flags)
        blocks = _blocks(self._data, start)
        own = b"".join(
            (
                HEADER.pack(b"GIF89a", width, height, self._flags, 0, 0),
                self._table,
                extension,
                b"\x2c" + DESCRIPTOR.pack(0, 0, width, height, flags),
                self._data[at + 10 : start],
                blocks,
                b"\0\x3b",
            )
        )
        part = Part(left, top, width, height, disposal)
        return _Found(part, seconds, own), start + len(blocks) + 1


def _table(flags: int) -> int:
    """Return the bytes of a colour table."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _blocks(data: bytes, at: int) -> bytes:
    """Return the blocks that begin at a place without the empty one at their end.

    Where the file is cut short, the last one is as long as what there is of it.
    """
    end = at
    while end < len(data) and data[end]:
        if end + data[end] >= len(data):
            rest = data[end + 1 :]
            return data[at:end] + bytes([len(rest)]) * bool(rest) + rest
        end += data[end] + 1
    return data[at:end]


def _past_blocks(data: bytes, at: int) -> int:
    while data[at]:
        at += data[at] + 1
    return at + 1
