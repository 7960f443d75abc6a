"""Find what the containers of pictures say about colour, as browsers read them.

Each is walked once, in linear time, and nothing in it is trusted.
"""

import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

MAX_PARTS = 2**16
"""Chunks or segments of a file that are walked through; pictures have a few thousand at most."""


NAMELESS = b"nope"
"""The kind of a chunk whose name is none."""


class PngColour(NamedTuple):
    """What a PNG says of its colours: the first chunk of each kind that counts.

    ``codes`` are primaries and transfer of cICP, ``profile`` the bytes of iCCP, ``gamma`` and
    ``chromaticities`` the bodies of gAMA and cHRM; ``srgb`` says whether there is an sRGB chunk.
    """

    codes: tuple[int, int] | None = None
    profile: bytes | None = None
    srgb: bool = False
    gamma: bytes | None = None
    chromaticities: bytes | None = None


class Chunk(NamedTuple):
    """A chunk of a PNG.

    ``body`` is what of it is there, ``start`` and ``end`` are its place in the file, and ``whole``
    says whether it ends within. ``sound`` is a whole one whose CRC is right; that of pixels (IDAT,
    fdAT) is not looked at.
    """

    kind: bytes
    body: memoryview
    start: int
    end: int
    whole: bool
    sound: bool


def png_chunks(data: bytes) -> Iterator[Chunk]:
    """Yield a PNG's chunks up to its end, or to what can be none.

    Those without a proper name are optional ones, as browsers have it.
    """
    view, at = memoryview(data), 8
    for _ in range(MAX_PARTS):
        if at + 8 > len(data):
            return
        length, kind = int.from_bytes(view[at : at + 4], "big"), data[at + 4 : at + 8]
        stop = at + 8 + length
        whole = stop + 4 <= len(data)
        if not kind.isalpha():
            if not whole:
                return
            kind = NAMELESS
        sound = whole and (
            kind in (b"IDAT", b"fdAT")
            or zlib.crc32(view[at + 4 : stop]) == int.from_bytes(view[stop : stop + 4], "big")
        )
        yield Chunk(kind, view[at + 8 : stop], at, stop + 4, whole, sound)
        if kind == b"IEND":
            return
        at = stop + 4


def png_colour(data: bytes, max_profile: int) -> PngColour:
    """Return what a PNG says of its colours before its pixels.

    Args:
        data: The file.
        max_profile: Bytes of a profile; of a longer one the first ``max_profile`` + 1 are given.
    """
    first: dict[bytes, bytes] = {}
    for chunk in png_chunks(data):
        if chunk.kind == b"IDAT":
            break
        if chunk.sound and chunk.kind in (b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM"):
            first.setdefault(chunk.kind, bytes(chunk.body))
    codes = first.get(b"cICP", b"")
    return PngColour(
        # Codes of a matrix, or of a narrow range, are no PNG's.
        (codes[0], codes[1]) if len(codes) == 4 and codes[2:] == b"\0\1" else None,
        _inflated(first.get(b"iCCP"), max_profile),
        b"sRGB" in first,
        first.get(b"gAMA"),
        first.get(b"cHRM"),
    )


def _inflated(body: bytes | None, most: int) -> bytes | None:
    if body is None:
        return None
    name, _, rest = body.partition(b"\0")
    if not 1 <= len(name) < 80 or rest[:1] != b"\0":
        return None
    unpacking = zlib.decompressobj()
    try:
        return unpacking.decompress(rest[1:], most + 1)
    except zlib.error:
        return None


def jpeg_profile(segments: Sequence[tuple[str, bytes]]) -> bytes | None:
    """Return the profile of a JPEG's APP2 segments; None where it has none or not all of it."""
    name = b"ICC_PROFILE\0"
    parts = [body for kind, body in segments if kind == "APP2" and body.startswith(name)]
    if not parts or any(len(part) < 14 for part in parts):
        return None
    by_number = {part[12]: part[14:] for part in parts}
    numbers = range(1, parts[0][13] + 1)
    counted = all(part[13] == len(parts) for part in parts)
    if not counted or sorted(by_number) != list(numbers):
        return None
    return b"".join(by_number[number] for number in numbers) or None


def webp_profile(data: bytes) -> bytes | None:
    """Return the profile of a WebP whose header says that it has one."""
    if data[12:16] != b"VP8X" or len(data) < 30 or not data[20] & 0x20:
        return None
    at = 30
    for _ in range(16):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        if data[at : at + 4] == b"ICCP":
            return data[at + 8 : at + 8 + length] or None
        at += 8 + length + (length & 1)
    return None


def bmp_profile(data: bytes) -> bytes | None:
    """Return the profile that a BMP of the fifth version embeds."""
    if len(data) < 138 or int.from_bytes(data[14:18], "little") < 124 or data[70:74] != b"DEBM":
        return None
    # Both count from the header, which is behind the file's own.
    at, length = (int.from_bytes(data[place : place + 4], "little") for place in (126, 130))
    return data[14 + at : 14 + at + length] or None
