"""Embeddings as bytes in Redis, and back only if they are what they should be.

Whoever can write to Redis could otherwise choose what a picture is judged as by accident: an old
member, another network, a cut value. Knows nothing of connections.
"""

import struct
from dataclasses import dataclass

import numpy as np

from moderator.caching.cached import Cached

HEADER = struct.Struct("<4sHHHHII")
"""Magic, version, frames, frames at most, dimension, width, height; little-endian.

Then come frames × dimension numbers, float16, little-endian.
"""

MAGIC = b"MEMB"
VERSION = 1

MAX_SIDE = 1_000_000
"""Pixels of a side beyond which a picture cannot have been decoded."""

NORM_TOLERANCE = 0.01
"""How far a row's norm may be from 1; rounding to float16 moves it by less than 0.001."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What this member's entries look like: dimension of the network, frames judged at most."""

    dimension: int
    max_frames: int


def encode(cached: Cached, shape: Shape) -> bytes:
    """Return the bytes of an entry."""
    frames, dimension = cached.embeddings.shape
    header = HEADER.pack(
        MAGIC, VERSION, frames, shape.max_frames, dimension, cached.width, cached.height
    )
    return header + cached.embeddings.astype("<f2").tobytes()


def decode(value: bytes, shape: Shape) -> Cached | None:
    """Return the entry that these bytes are, None where they are not one of this shape."""
    if len(value) < HEADER.size:
        return None
    magic, version, frames, at_most, dimension, width, height = HEADER.unpack_from(value)
    if (magic, version, dimension) != (MAGIC, VERSION, shape.dimension):
        return None
    if len(value) != HEADER.size + 2 * frames * dimension:
        return None
    if not (_whole(frames, at_most, shape) and _is_side(width) and _is_side(height)):
        return None
    rows = np.frombuffer(value, "<f2", offset=HEADER.size).astype(np.float16)
    with np.errstate(all="ignore"):
        norms = np.linalg.norm(rows.reshape(frames, dimension).astype(np.float32), axis=1)
        # A comparison with NaN is false, so what is not finite is not let through.
        sound = (np.abs(norms - 1) <= NORM_TOLERANCE).all()
    if not sound:
        return None
    return Cached(rows.reshape(frames, dimension), width, height)


def _whole(frames: int, at_most: int, shape: Shape) -> bool:
    """Whether these are all frames that this member would judge.

    A member with a lower limit may have left frames of an animation out.
    """
    cut_short = frames >= at_most and at_most < shape.max_frames
    return 1 <= frames <= shape.max_frames and not cut_short


def _is_side(pixels: int) -> bool:
    return 1 <= pixels <= MAX_SIDE
