"""Find the colour codes of an AVIF's or HEIC's primary picture in its boxes.

Source: ISO/IEC 14496-12 (boxes), 23008-12 (``pitm``, ``ipco``, ``ipma``), and ``colr`` of type
``nclx`` in 14496-12, 12.1.5.
"""

import struct
from collections.abc import Iterator

MAX_BOXES = 2_000
"""Boxes of one level, and associations, that are looked at."""


def primary_codes(data: bytes) -> tuple[int, int] | None:
    """Return the codes of primaries and of transfer; None where the boxes have none."""
    try:
        meta = _child(memoryview(data), b"meta")[4:]
        item = _child(meta, b"pitm")
        number = int.from_bytes(item[4:8] if item[0] else item[4:6], "big")
        properties = _child(meta, b"iprp")
        shared = list(_boxes(_child(properties, b"ipco")))
        for place in _associated(_child(properties, b"ipma"), number):
            kind, body = shared[place - 1]
            if kind == b"colr" and bytes(body[:4]) == b"nclx":
                return int.from_bytes(body[4:6], "big"), int.from_bytes(body[6:8], "big")
    except (KeyError, IndexError, struct.error):
        pass
    return None


def _boxes(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    at = 0
    for _ in range(MAX_BOXES):
        if at + 8 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, at)
        start = at + 8
        if length == 1 and start + 8 <= len(data):
            length, start = struct.unpack_from(">Q", data, start)[0], start + 8
        end = len(data) if length == 0 else at + length
        if end < start:
            return
        yield kind, data[start:end]
        at = end


def _child(data: memoryview, wanted: bytes) -> memoryview:
    for kind, body in _boxes(data):
        if kind == wanted:
            return body
    raise KeyError(wanted)


def _associated(body: memoryview, number: int) -> list[int]:
    """Return the places, from 1, of the properties of an item."""
    version, flags = body[0], body[3]
    at = 8
    for _ in range(min(MAX_BOXES, int.from_bytes(body[4:8], "big"))):
        item, count = struct.unpack_from(">IB" if version else ">HB", body, at)
        at += 5 if version else 3
        width = 2 if flags & 1 else 1
        places = struct.unpack_from(f">{count}{'H' if flags & 1 else 'B'}", body, at)
        at += count * width
        if item == number:
            return [place & (0x7FFF if flags & 1 else 0x7F) for place in places if place]
    return []
