"""Colour profiles that tests put into pictures, and the pictures. Not a test itself."""

import io
import struct
import zlib

import numpy as np
from PIL import Image, ImageCms

from moderator.decoding import icc
from moderator.decoding.colour_codes import SRGB_TO_XYZ

LOW, HIGH = 126, 130
"""Levels that a steep curve makes black and white."""

STEP = np.interp(np.arange(256), [LOW, HIGH], [0.0, 1.0])
D50 = (0.9642, 1.0, 0.8249)

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def of_curve(curve: np.ndarray, matrix: np.ndarray = SRGB_TO_XYZ) -> bytes:
    return icc.from_curve(matrix, curve).data


def of_grey(curve: np.ndarray) -> bytes:
    table = np.round(curve * 65535).astype(">u2")
    tag = b"curv\0\0\0\0" + struct.pack(">I", len(table)) + table.tobytes()
    return written(b"GRAY", b"XYZ ", {b"kTRC": tag})


def of_table(space: bytes, curve: np.ndarray, name: bytes = b"A2B0") -> bytes:
    """A table from RGB or CMYK to Lab, its inputs bent by a curve."""
    channels, points = (4, 5) if space == b"CMYK" else (3, 9)
    axes = np.meshgrid(*[np.linspace(0, 1, points)] * channels, indexing="ij")
    values = np.stack(axes, -1)
    rgb = (1 - values[..., :3]) * (1 - values[..., 3:]) if channels == 4 else values
    cells = _lab((rgb**2.2) @ SRGB_TO_XYZ.T)
    head = b"mft2\0\0\0\0" + bytes((channels, 3, points, 0))
    head += struct.pack(">9i", *(np.eye(3).ravel() * 65536).astype(int))
    head += struct.pack(">HH", len(curve), 2)
    bent = np.round(curve * 65535).astype(">u2").tobytes() * channels
    ends = struct.pack(">6H", *(0, 65535) * 3)
    return written(space, b"Lab ", {name: head + bent + cells.tobytes() + ends})


def _lab(xyz: np.ndarray) -> np.ndarray:
    ratios = xyz / D50
    f = np.where(ratios > 0.008856, np.cbrt(ratios), 7.787 * ratios + 16 / 116)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    lab = (116 * y - 16) * 652.8, (500 * (x - y) + 128) * 256, (200 * (y - z) + 128) * 256
    return np.stack(lab, -1).clip(0, 65535).round().astype(">u2")


def written(space: bytes, pcs: bytes, tags: dict[bytes, bytes], version: int = 2) -> bytes:
    start, table, body = 132 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, tag in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(tag))
        body += tag + bytes(-len(tag) % 4)
    white = struct.pack(">3i", *(round(value * 65536) for value in D50))
    head = struct.pack(
        ">I4x4s4s4s4s12x4s28x",
        start + len(body),
        bytes((version, 0, 0, 0)),
        b"mntr",
        space,
        pcs,
        b"acsp",
    )
    return head + white + bytes(48) + table + body


def tags_of(profile: bytes) -> dict[bytes, bytes]:
    count = int.from_bytes(profile[128:132], "big")
    places = [struct.unpack_from(">4sII", profile, 132 + 12 * n) for n in range(count)]
    return {name: profile[start : start + length] for name, start, length in places}


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_chunks(png: bytes, *chunks: tuple[bytes, bytes], before: bytes = b"IDAT") -> bytes:
    at = png.index(before) - 4
    return png[:at] + b"".join(chunk(*each) for each in chunks) + png[at:]


def iccp(profile: bytes) -> tuple[bytes, bytes]:
    return b"iCCP", b"x\0\0" + zlib.compress(profile)


def gama(value: float) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", round(value * 100_000))


CHRM = (
    b"cHRM",
    struct.pack(">8I", 31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000),
)


def secret(width: int = 256, height: int = 192, low: int = LOW, high: int = HIGH) -> Image.Image:
    """A grey picture whose left half has the one level and whose right half the other."""
    values = np.full((height, width), low, np.uint8)
    values[:, width // 2 :] = high
    return Image.fromarray(values)


def managed(image: Image.Image, profile: bytes) -> Image.Image:
    """What a colour-managed viewer shows."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    shown = ImageCms.profileToProfile(
        image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    assert shown is not None
    return shown
