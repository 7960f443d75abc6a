"""Read ICC profiles as browsers do, and write small ones from primaries and a curve.

Only what a viewer needs to show pixels is read: matrix and curves, or one table. Profiles that
browsers ignore are ``None`` here, too. Nothing of the original's structure reaches the library
that applies a profile: it gets a new file of the few tags that count.

Source: ICC.1:2022 (profile format); for what is ignored, ``skcms_Parse`` of skcms.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HEADER = 128
MAX_TAGS = 200
"""More than any profile has; each is looked at once."""

MATRIX_TAGS = (b"rXYZ", b"gXYZ", b"bXYZ")
CURVE_TAGS = (b"rTRC", b"gTRC", b"bTRC")
SPACES = {b"RGB ": 3, b"GRAY": 1, b"CMYK": 4}
"""Colour spaces that pictures of a profile can have, and their channels."""

D50 = (0.9642, 1.0, 0.8249)
LEVELS = np.arange(256) / 255
PARAMETERS = (1, 3, 4, 5, 7)
"""How many numbers each kind of parametric curve has."""


@dataclass(frozen=True, eq=False, slots=True)
class Profile:
    """What of a profile shows pixels.

    ``space`` is one of ``SPACES``. ``curves`` are float[256] each, the linear value of every level
    (0..1): three for RGB, one for grey; ``matrix`` is float[3, 3] from linear RGB to XYZ (D50).
    Both are None where ``lut`` says that a table counts instead. ``data`` is the file to apply.
    """

    space: str
    lut: bool
    curves: tuple[NDArray[np.float64], ...] | None
    matrix: NDArray[np.float64] | None
    data: bytes


def read(data: bytes) -> Profile | None:
    """Return what counts of a profile; None where browsers ignore it and show sRGB."""
    tags = _tags(data)
    if tags is None:
        return None
    space, pcs = data[16:20], data[20:24]
    if space not in SPACES or pcs not in (b"XYZ ", b"Lab "):
        return None
    table = tags.get(b"A2B0") or tags.get(b"A2B1")
    curves, matrix = _curves(space, tags), _matrix(tags)
    # A damaged tag makes browsers ignore the whole profile, even where another tag would do.
    if curves == () or (table is not None and not _is_table(table, SPACES[space])):
        return None
    name = space.decode().strip()
    if table is not None:
        return Profile(name, True, None, None, _written(space, pcs, {b"A2B0": table}, data[8:12]))
    # Grey needs a white of its own, which Lab has not; colours have it in their matrix.
    if curves is None or (matrix is None if space == b"RGB " else pcs != b"XYZ "):
        return None
    return _shaped(space, curves, matrix)


def from_curve(matrix: NDArray[np.float64], curve: NDArray[np.float64]) -> Profile:
    """Return a profile of RGB.

    Args:
        matrix: float[3, 3], linear RGB to XYZ of D50.
        curve: float[256], the linear value of every level, 0..1; the same for all channels.
    """
    return _shaped(b"RGB ", (curve, curve, curve), matrix)


def _shaped(
    space: bytes, curves: tuple[NDArray[np.float64], ...], matrix: NDArray[np.float64] | None
) -> Profile:
    names = CURVE_TAGS if space == b"RGB " else (b"kTRC",)
    tags = {name: _curve_tag(curve) for name, curve in zip(names, curves, strict=True)}
    if space == b"RGB " and matrix is not None:
        columns = zip(MATRIX_TAGS, matrix.T, strict=True)
        tags |= {name: b"XYZ \0\0\0\0" + _fixed(*column) for name, column in columns}
    data = _written(space, b"XYZ ", tags, b"\x02\x40\0\0")
    return Profile(space.decode().strip(), False, curves, matrix, data)


def _tags(data: bytes) -> dict[bytes, bytes] | None:
    """Return the first tag of each name, or None where header or table are damaged."""
    if len(data) < HEADER + 4 or data[36:40] != b"acsp" or data[8] > 4:
        return None
    size, count = int.from_bytes(data[:4], "big"), int.from_bytes(data[128:132], "big")
    if size > len(data) or count > MAX_TAGS or size < HEADER + 4 + 12 * count:
        return None
    white = np.array(struct.unpack_from(">3i", data, 68)) / 65536
    if np.abs(white - D50).max() > 0.01:
        return None
    tags: dict[bytes, bytes] = {}
    for at in range(HEADER + 4, HEADER + 4 + 12 * count, 12):
        name, offset, length = struct.unpack_from(">4sII", data, at)
        if length < 4 or offset + length > size:
            return None
        tags.setdefault(name, data[offset : offset + length])
    return tags


def _curves(space: bytes, tags: Mapping[bytes, bytes]) -> tuple[NDArray[np.float64], ...] | None:
    """Return the curves; None where there are none, an empty tuple where one is damaged."""
    names = (b"kTRC",) if space == b"GRAY" else CURVE_TAGS
    if not all(name in tags for name in names):
        return None
    curves = [_curve(tags[name]) for name in names]
    return (
        () if any(curve is None for curve in curves) else tuple(c for c in curves if c is not None)
    )


def _curve(tag: bytes) -> NDArray[np.float64] | None:
    """Return the linear value of every level, float[256] in 0..1."""
    if len(tag) < 12:
        return None
    if tag[:4] == b"curv":
        count = int.from_bytes(tag[8:12], "big")
        return None if count > (len(tag) - 12) // 2 else _tabled(tag, count)
    kind = int.from_bytes(tag[8:10], "big")
    if tag[:4] != b"para" or kind >= len(PARAMETERS) or len(tag) < 12 + 4 * PARAMETERS[kind]:
        return None
    return _parametric(kind, np.frombuffer(tag, ">i4", PARAMETERS[kind], 12) / 65536)


def _tabled(tag: bytes, count: int) -> NDArray[np.float64]:
    """Return a curve of values at even distances, where one is an exponent, and none is y = x."""
    values = np.frombuffer(tag, ">u2", count, 12)
    if count < 2:
        return LEVELS ** (values[0] / 256 if count else 1.0)
    return np.interp(LEVELS, np.linspace(0, 1, count), values / 65535)


def _parametric(kind: int, values: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return a parametric curve's values (ICC.1:2022, table 68)."""
    g, a, b, c, d, e, f = 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0
    with np.errstate(all="ignore"):
        if kind == 0:
            (g,) = values
        elif kind in (1, 2):
            g, a, b = values[:3]
            # Below -b/a the curve is flat.
            d = -b / a if a else np.inf
            e = f = float(values[3]) if kind == 2 else 0.0
        elif kind == 3:
            g, a, b, c, d = values
        else:
            g, a, b, c, d, e, f = values
        powers = np.maximum(a * LEVELS + b, 0) ** g + e
        curve = np.where(d <= LEVELS, powers, c * LEVELS + f)
    return curve.clip(0, 1) if np.isfinite(curve).all() else None


def _matrix(tags: Mapping[bytes, bytes]) -> NDArray[np.float64] | None:
    columns = [tags.get(name, b"") for name in MATRIX_TAGS]
    if any(len(column) < 20 or column[:4] != b"XYZ " for column in columns):
        return None
    return np.array([struct.unpack_from(">3i", column, 8) for column in columns]).T / 65536


def _is_table(tag: bytes, channels: int) -> bool:
    """Whether a tag is a table from that many channels to three, and all of it is there."""
    if tag[8:10] != bytes((channels, 3)) or len(tag) < 52:
        return False
    cells = 3 * tag[10] ** channels
    first, last = (int.from_bytes(tag[at : at + 2], "big") for at in (48, 50))
    if tag[:4] == b"mft1":
        return bool(len(tag) >= 48 + 256 * (channels + 3) + cells)
    if tag[:4] == b"mft2":
        return bool(len(tag) >= 52 + 2 * (channels * first + 3 * last + cells))
    return tag[:4] == b"mAB "


def _curve_tag(curve: NDArray[np.float64]) -> bytes:
    values = np.round(curve.clip(0, 1) * 65535).astype(">u2")
    return b"curv\0\0\0\0" + struct.pack(">I", len(values)) + values.tobytes()


def _fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(float(v) * 65536) for v in values))


def _written(space: bytes, pcs: bytes, tags: Mapping[bytes, bytes], version: bytes) -> bytes:
    """Return a profile of these tags alone."""
    start = HEADER + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, tag in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(tag))
        body += tag + bytes(-len(tag) % 4)
    head = struct.pack(
        ">I4s4s4s4s4s12s4s28s12s48s",
        start + len(body),
        b"",
        version,
        b"mntr",
        space,
        pcs,
        b"",
        b"acsp",
        b"",
        _fixed(*D50),
        b"",
    )
    return head + table + body
