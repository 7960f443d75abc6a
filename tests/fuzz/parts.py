"""Take image files apart into what they are made of, and put parts together again.

A file is a list of parts (segments, chunks, boxes, blocks); joined, each tells its own length, true
or not. Reads only as far as a file makes sense; the rest is one part. Not a test itself.
"""

import struct
import zlib
from dataclasses import dataclass

BARE_MARKERS = {0x01, *range(0xD0, 0xDA)}
CONTAINERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"iprp", b"ipco", b"dinf")


@dataclass(frozen=True)
class Part:
    """A piece of a file: ``kind`` is its name, empty for bytes that have none.

    ``claimed`` is the length that it tells, None for the true one; ``mended`` says whether its
    checksum is right, where the format has one.
    """

    kind: bytes
    body: bytes
    claimed: int | None = None
    mended: bool = True

    @property
    def length(self) -> int:
        return len(self.body) if self.claimed is None else self.claimed


def split(kind: str, data: bytes) -> list[Part]:
    """Return the parts of a file of a format; joined they are the file."""
    return SPLITTERS[kind](data)


def join(kind: str, parts: list[Part]) -> bytes:
    """Return the file that has these parts."""
    joined = b"".join(WRITERS[kind](part) for part in parts)
    if kind == "WEBP" and joined[:4] == b"RIFF":
        return b"RIFF" + struct.pack("<I", len(joined) - 8 & 0xFFFFFFFF) + joined[8:]
    return joined


def _jpeg(data: bytes) -> list[Part]:
    parts, at = [Part(b"", data[:2])], 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] not in BARE_MARKERS:
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        parts.append(Part(data[at + 1 : at + 2], data[at + 4 : at + 2 + length]))
        at += 2 + length
        if parts[-1].kind == b"\xda":
            end = _scan_end(data, at)
            parts.append(Part(b"", data[at:end]))
            at = end
    return [*parts, Part(b"", data[at:])]


def _scan_end(data: bytes, at: int) -> int:
    while at + 1 < len(data) and not (
        data[at] == 0xFF and data[at + 1] != 0 and not 0xD0 <= data[at + 1] <= 0xD7
    ):
        at += 1
    return at


def _write_jpeg(part: Part) -> bytes:
    if not part.kind:
        return part.body
    return b"\xff" + part.kind + struct.pack(">H", part.length + 2 & 0xFFFF) + part.body


def _png(data: bytes) -> list[Part]:
    parts, at = [Part(b"", data[:8])], 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        parts.append(Part(data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return parts


def _write_png(part: Part) -> bytes:
    if not part.kind:
        return part.body
    checksum = zlib.crc32(part.kind + part.body) ^ (0 if part.mended else 0xBAD)
    head = struct.pack(">I", part.length & 0xFFFFFFFF) + part.kind
    return head + part.body + struct.pack(">I", checksum)


def _webp(data: bytes) -> list[Part]:
    parts, at = [Part(b"", data[:12])], 12
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        parts.append(Part(data[at : at + 4], data[at + 8 : at + 8 + length]))
        at += 8 + length + length % 2
    return parts


def _write_webp(part: Part) -> bytes:
    if not part.kind:
        return part.body
    head = part.kind + struct.pack("<I", part.length & 0xFFFFFFFF)
    return head + part.body + bytes(len(part.body) % 2)


def _avif(data: bytes) -> list[Part]:
    parts, at = [], 0
    while at + 8 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        length = len(data) - at if length < 8 else length
        parts.append(Part(data[at + 4 : at + 8], data[at + 8 : at + length]))
        at += length
    return parts


def _write_avif(part: Part) -> bytes:
    return struct.pack(">I", part.length + 8 & 0xFFFFFFFF) + part.kind + part.body


def inner(part: Part) -> tuple[bytes, list[Part]] | None:
    """Return what a box holds in front of its boxes, and these; None where it holds none."""
    skip = 4 if part.kind == b"meta" else 0
    if part.kind not in (*CONTAINERS, b"meta"):
        return None
    return part.body[:skip], _avif(part.body[skip:])


def _gif(data: bytes) -> list[Part]:
    at = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    parts = [Part(b"", data[:at])]
    while at + 2 < len(data) and data[at] in (0x21, 0x2C):
        body = at + 2
        if data[at] == 0x2C and at + 10 < len(data):
            flags = data[at + 9]
            body = at + 11 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
        while body < len(data) and data[body]:
            body += data[body] + 1
        parts.append(Part(data[at : at + 1], data[at + 1 : body + 1]))
        at = body + 1
    return [*parts, Part(b"", data[at:])]


def _write_gif(part: Part) -> bytes:
    return part.kind + part.body


SPLITTERS = {
    "JPEG": _jpeg,
    "PNG": _png,
    "WEBP": _webp,
    "AVIF": _avif,
    "HEIC": _avif,
    "GIF": _gif,
    "TIFF": lambda data: [Part(b"", data)],
}
WRITERS = {
    "JPEG": _write_jpeg,
    "PNG": _write_png,
    "WEBP": _write_webp,
    "AVIF": _write_avif,
    "HEIC": _write_avif,
    "GIF": _write_gif,
    "TIFF": lambda part: part.body,
}
