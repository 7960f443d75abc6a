"""Make damaged files such that the decoder gives what browsers show of them.

Browsers skip what is damaged and not needed, and show what decodes of a file that is cut short.
Decoders of ours refuse either. All here works on bytes of the container, in one walk; it decodes
nothing and adds no more than a bounded filling.

Source: compared with Chromium 156, which shows nothing of a cut AVIF, nor of a cut WebP animation.
"""

import struct
import zlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from moderator.decoding.containers import MAX_PARTS, png_chunks
from moderator.decoding.jpeg_scans import whole_scans

NEEDED = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"acTL", b"fcTL", b"fdAT", b"eXIf")
"""Chunks of a PNG that its pixels and its turn need; colours are looked up in the original."""

ONCE = (b"PLTE", b"tRNS", b"acTL")
"""Of those, what counts once and before the pixels."""

CRITICAL = (b"IHDR", b"PLTE", b"IDAT", b"fdAT")
"""Of those, what is taken although its CRC is wrong; another is skipped then."""

PNG_END = struct.pack(">I4sI", 0, b"IEND", zlib.crc32(b"IEND"))
FILLING_LEVELS, FILLING_SHARE = 16, 0.01
"""Levels by which filling differs from its colour at most, and the share of pixels that may."""

WEBP_NEEDED = (b"VP8X", b"ICCP", b"ALPH", b"ANIM", b"ANMF")
"""Chunks of a WebP that its pixels need, besides these."""

MAX_FILLING = 4
"""Bytes put behind a WebP at most for each that is there, in place of those that are missing."""


def skimmed(kind: str, data: bytes) -> bytes:
    """Return a file without the parts that no viewer needs, however large or damaged they are.

    Only PNG has parts of that kind that its decoder stumbles over. A file that has none is given
    back as it is, and so is one that ends early.
    """
    if kind != "PNG":
        return data
    parts, dropped, seen = [data[:8]], False, set[bytes]()
    for chunk in png_chunks(data):
        again = chunk.kind in ONCE and (chunk.kind in seen or b"IDAT" in seen)
        if chunk.kind in NEEDED and chunk.sound and not again:
            parts.append(data[chunk.start : chunk.end])
            seen.add(chunk.kind)
        elif again or (chunk.whole and chunk.kind[0] & 0x20):
            dropped = True
        else:
            return data
    return b"".join(parts) if dropped else data


def shows_something(frame: NDArray[np.uint8]) -> bool:
    """Whether a frame of a damaged file, uint8[height, width, 3], is more than filling.

    Decoders fill with one colour what is missing, and a few pixels with what no bytes say.
    """
    distance = np.abs(frame - np.median(frame, axis=(0, 1))).max(axis=2)
    return bool((distance > FILLING_LEVELS).mean() > FILLING_SHARE)


def mended(kind: str, data: bytes) -> bytes | None:
    """Return a damaged file with the end that its decoder waits for; None where nothing helps.

    What is missing of its pixels stays missing.
    """
    mend = MENDERS.get(kind)
    return mend(data) if mend else None


def _png(data: bytes) -> bytes:
    """Return a PNG of its needed chunks, with right CRCs and an end, that counts its frames."""
    chunks = [
        (chunk.kind, bytes(chunk.body))
        for chunk in png_chunks(data)
        if chunk.kind in NEEDED
        and (chunk.sound or chunk.kind in CRITICAL)
        and (chunk.whole or chunk.kind in (b"IDAT", b"fdAT"))
    ]
    # A frame's header without pixels behind it is no frame.
    while chunks and chunks[-1][0] in (b"IEND", b"fcTL"):
        chunks.pop()
    frames = sum(kind == b"fcTL" for kind, _ in chunks)
    parts = [data[:8]]
    for kind, body in chunks:
        if kind == b"acTL" and len(body) == 8:
            parts.append(_chunk(kind, struct.pack(">I", frames) + body[4:]))
        else:
            parts.append(_chunk(kind, body))
    return b"".join([*parts, PNG_END])


def _chunk(kind: bytes, body: bytes) -> bytes:
    crc = zlib.crc32(body, zlib.crc32(kind))
    return b"".join((struct.pack(">I", len(body)), kind, body, struct.pack(">I", crc)))


def _webp(data: bytes) -> bytes | None:
    """Return a WebP whose pixels are filled up with zeros; of an animation, its whole frames.

    Zeros decode to something everywhere, so that what is before them is shown.
    """
    animated = data[12:16] == b"VP8X" and len(data) > 20 and data[20] & 2
    parts, at = [b"WEBP"], 12
    for _ in range(MAX_PARTS):
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        body, at = data[at + 8 : at + 8 + size], at + 8 + size + (size & 1)
        if kind in (b"VP8 ", b"VP8L") and not animated:
            missing = size
            if missing > MAX_FILLING * len(data):
                return None
            parts.append(_webp_chunk(kind, body + bytes(missing)))
            break
        if len(body) < size or not kind:
            break
        if kind in WEBP_NEEDED:
            parts.append(_webp_chunk(kind, body))
    whole = b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(whole)) + whole if len(parts) > 1 else None


def _webp_chunk(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + bytes(len(body) & 1)


def _bmp(data: bytes) -> bytes:
    """Return a BMP that has no more colours in its palette than its pixels can name."""
    if len(data) < 54 or int.from_bytes(data[14:18], "little") < 40:
        return data
    bits, colours = struct.unpack_from("<H16xI", data, 28)
    return data[:46] + bytes(4) + data[50:] if bits > 8 or colours > 1 << bits else data


def _as_it_is(data: bytes) -> bytes:
    return data


MENDERS: dict[str, Callable[[bytes], bytes | None]] = {
    "JPEG": whole_scans,
    "PNG": _png,
    "GIF": _as_it_is,
    "WEBP": _webp,
    "BMP": _bmp,
    "TIFF": _as_it_is,
}
