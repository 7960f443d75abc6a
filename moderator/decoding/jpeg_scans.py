"""Cut a damaged JPEG behind the last scan that decodes: browsers show what those before it gave.

Of a progressive JPEG the library shows nothing where one of its scans cannot begin, although each
alone is the whole picture, a little coarser.

Source: ITU-T T.81, B.2.3 (scans) and B.2.4.2 (Huffman tables).
"""

import re

from moderator.decoding.containers import MAX_PARTS

END = b"\xff\xd9"
MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
"""What ends the data of a scan."""

TABLES, SCAN, LAST = 0xC4, 0xDA, 0xD9
PROGRESSIVE = 0xC2


def whole_scans(data: bytes) -> bytes:
    """Return a JPEG up to its last segment that is whole and sound, with an end.

    Where none of its scans is sound, it is left as it is but for the end.
    """
    at, scans, progressive = 2, 0, False
    known: set[int] = set()
    for _ in range(MAX_PARTS):
        found = MARKER.search(data, at)
        if found is None:
            break
        at, marker = found.start(), data[found.start() + 1]
        body = data[at + 4 : at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")]
        after = at + 4 + len(body)
        cut = marker == LAST or after > len(data)
        if cut or (scans and not _is_sound(marker, body, known, progressive=progressive)):
            return data[:at] + END
        progressive |= marker == PROGRESSIVE
        scans += marker == SCAN
        if marker == TABLES:
            known |= _tables(body) or set()
        at = after
    return data + END


def _is_sound(marker: int, body: bytes, known: set[int], *, progressive: bool) -> bool:
    if marker == TABLES:
        return _tables(body) is not None
    return marker != SCAN or _needed(body, progressive=progressive) <= known


def _tables(body: bytes) -> set[int] | None:
    """Return class and number of each Huffman table, or None where one is none."""
    tables, at = set(), 0
    while at < len(body):
        counts = body[at + 1 : at + 17]
        if len(counts) < 16 or sum(counts) > 256 or body[at] & 0xEC:
            return None
        tables.add(body[at])
        at += 17 + sum(counts)
    return tables if at == len(body) and tables else None


def _needed(body: bytes, *, progressive: bool) -> set[int]:
    """Return the tables that a scan refers to: of class 0 for DC, 1 (0x10) for AC."""
    count = body[0] if body else 0
    if len(body) < 4 + 2 * count:
        return {-1}
    first, approximation = body[1 + 2 * count], body[3 + 2 * count]
    choices = [body[2 + 2 * each] for each in range(count)]
    direct, alternating = {each >> 4 for each in choices}, {0x10 | each & 15 for each in choices}
    if not progressive:
        return direct | alternating
    if first:
        return alternating
    # Refining DC takes no table.
    return set() if approximation >> 4 else direct
