"""Find where a file's parts hold figures: dimensions, counts, offsets, flags. Not a test itself."""

import struct
from dataclasses import dataclass
from typing import Literal

from tests.fuzz.parts import Part

NEAR = 40
"""Bytes at the start of a part that hold figures of any sort."""


@dataclass(frozen=True)
class Figure:
    """An unsigned integer within a part's body: ``at`` bytes from its start, ``size`` bytes."""

    at: int
    size: int
    order: Literal["big", "little"] = "big"


def figures(kind: str, part: Part) -> list[Figure]:
    """Return the figures of a part that lie within it; those that matter most come often."""
    found = FINDERS[kind](part)
    return [each for each in found if each.at >= 0 and each.at + each.size <= len(part.body)]


def _jpeg(part: Part) -> list[Figure]:
    if not part.kind:
        return []
    every = [Figure(at, 1) for at in range(min(NEAR, len(part.body)))]
    if 0xC0 <= part.kind[0] <= 0xCF and part.kind not in (b"\xc4", b"\xc8", b"\xcc"):
        return every + [Figure(1, 2), Figure(3, 2)] * 4
    return every


def _png(part: Part) -> list[Figure]:
    match part.kind:
        case b"IHDR":
            return [Figure(0, 4), Figure(4, 4)] * 3 + [Figure(at, 1) for at in range(8, 13)]
        case b"fcTL":
            return [Figure(at, 4) for at in range(0, 20, 4)] + [Figure(24, 1), Figure(25, 1)]
        case b"fdAT" | b"acTL" | b"pHYs" | b"gAMA":
            return [Figure(0, 4), Figure(4, 4)]
    return [Figure(at, 1) for at in range(min(NEAR, len(part.body)))]


def _webp(part: Part) -> list[Figure]:
    match part.kind:
        case b"VP8X":
            return [Figure(0, 1), Figure(4, 3, "little"), Figure(7, 3, "little")]
        case b"VP8 ":
            return [Figure(6, 2, "little"), Figure(8, 2, "little"), Figure(0, 3, "little")]
        case b"VP8L":
            return [Figure(1, 4, "little")] * 3 + [Figure(at, 1) for at in range(NEAR)]
        case b"ANMF":
            inside = [Figure(20, 4, "little"), Figure(30, 2, "little"), Figure(32, 2, "little")]
            return [Figure(at, 3, "little") for at in range(0, 15, 3)] + inside
    return [Figure(at, 1) for at in range(NEAR)]


def _avif(part: Part) -> list[Figure]:
    reach = min(len(part.body), 120)
    wide = [Figure(at, 4) for at in range(0, reach, 2)]
    return wide + [Figure(at, 2) for at in range(0, reach, 2)] + [Figure(4, 4), Figure(8, 4)]


def _gif(part: Part) -> list[Figure]:
    if part.kind == b"\x2c":
        sides = [Figure(at, 2, "little") for at in (0, 2, 4, 6)]
        return sides * 2 + [Figure(8, 1), Figure(9, 1), Figure(10, 1)]
    if part.kind == b"\x21":
        return [Figure(at, 1) for at in range(8)]
    return [Figure(6, 2, "little"), Figure(8, 2, "little"), Figure(10, 1), Figure(11, 1)]


def _tiff(part: Part) -> list[Figure]:
    data = part.body
    if len(data) < 8:
        return []
    order: Literal["big", "little"] = "big" if data[:1] == b"M" else "little"
    mark = ">" if order == "big" else "<"
    found, seen = [Figure(4, 4, order)], set()
    (at,) = struct.unpack_from(f"{mark}I", data, 4)
    while at not in seen and at > 0 and at + 2 <= len(data):
        seen.add(at)
        (count,) = struct.unpack_from(f"{mark}H", data, at)
        found.append(Figure(at, 2, order))
        for entry in range(at + 2, min(at + 2 + 12 * count, len(data) - 12), 12):
            found += _entry(data, entry, mark, order)
        at = at + 2 + 12 * count
        found += [Figure(at, 4, order)] * 3
        at = struct.unpack_from(f"{mark}I", data, at)[0] if at + 4 <= len(data) else 0
    return found


def _entry(data: bytes, at: int, mark: str, order: Literal["big", "little"]) -> list[Figure]:
    _, kind, count, value = struct.unpack_from(f"{mark}HHII", data, at)
    own = [Figure(at, 2, order), Figure(at + 2, 2, order), Figure(at + 4, 4, order)]
    size = {3: 2, 4: 4, 16: 8}.get(kind, 1)
    elsewhere = range(value, value + size * min(count, 6), size) if count * size > 4 else []
    return [*own, Figure(at + 8, min(size, 4), order)] + [Figure(v, size, order) for v in elsewhere]


FINDERS = {
    "JPEG": _jpeg,
    "PNG": _png,
    "WEBP": _webp,
    "AVIF": _avif,
    "HEIC": _avif,
    "GIF": _gif,
    "TIFF": _tiff,
}
