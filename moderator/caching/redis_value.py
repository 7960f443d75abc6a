"""Embeddings as bytes in Redis, and back only if they are what they should be.

Whoever can write to Redis could otherwise choose what a picture is judged as by accident: an old
member, another network, a cut value. Knows nothing of connections.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from moderator.caching.cached import Cached

HEADER = struct.Struct("<4sHHHHII8s")
"""Magic, version, frames, frames at most, dimension, width, height, network; little-endian.

Then come frames × dimension numbers, float16, little-endian. Where regions are judged, each
frame's size (``SIZE``) stands before them, and a frame has a row for each region after its own.
"""

SIZE = struct.Struct("<HH")
"""Height and width of a frame as the network took it, in pixels; little-endian."""

MAGIC = b"MEMB"
VERSION = 3
REGIONS_VERSION = 4

MAX_SIDE = 1_000_000
"""Pixels of a side beyond which a picture cannot have been decoded."""

NORM_TOLERANCE = 0.01
"""How far a row's norm may be from 1; rounding to float16 moves it by less than 0.001."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What this member's entries look like: dimension of the network, frames judged at most.

    ``network`` are the first bytes of its digest, so that what another one gave is not taken for
    its own, however it came under its key.

    ``rows`` says how many embeddings a frame of each size has, by height and width in pixels; it
    is empty where regions are not judged, and each frame then has one.
    """

    dimension: int
    max_frames: int
    rows: Mapping[tuple[int, int], int] = field(default_factory=dict)
    network: bytes = bytes(8)

    @property
    def version(self) -> int:
        """Of the layout of its entries."""
        return REGIONS_VERSION if self.rows else VERSION

    @property
    def most_bytes(self) -> int:
        """Bytes of its largest entry; whatever is longer is none."""
        rows = max(self.rows.values(), default=1)
        return HEADER.size + self.max_frames * (SIZE.size + 2 * rows * self.dimension)


def encode(cached: Cached, shape: Shape) -> bytes:
    """Return the bytes of an entry."""
    rows, dimension = cached.embeddings.shape
    frames = len(cached.sizes) if shape.rows else rows
    header = HEADER.pack(
        MAGIC, shape.version, frames, shape.max_frames, dimension, cached.width, cached.height,
        shape.network,
    )  # fmt: skip
    sizes = b"".join(SIZE.pack(*size) for size in cached.sizes) if shape.rows else b""
    return header + sizes + cached.embeddings.astype("<f2").tobytes()


def decode(value: bytes, shape: Shape) -> Cached | None:
    """Return the entry that these bytes are, None where they are not one of this shape."""
    if len(value) < HEADER.size:
        return None
    magic, version, frames, at_most, dimension, width, height, network = HEADER.unpack_from(value)
    ours = (MAGIC, shape.version, shape.dimension, shape.network)
    if (magic, version, dimension, network) != ours:
        return None
    if not (_whole(frames, at_most, shape) and _is_side(width) and _is_side(height)):
        return None
    sizes = _sizes(value, frames) if shape.rows else ()
    if sizes is None or any(size not in shape.rows for size in sizes):
        return None
    # Where each frame's own row lies, and where the rows end.
    *firsts, total = accumulate(_counts(sizes, frames, shape), initial=0)
    begin = HEADER.size + SIZE.size * len(sizes)
    if len(value) != begin + 2 * total * dimension:
        return None
    rows = np.frombuffer(value, "<f2", offset=begin).astype(np.float16).reshape(total, dimension)
    return Cached(rows, width, height, sizes) if _sound(rows, firsts) else None


def _sizes(value: bytes, frames: int) -> tuple[tuple[int, int], ...] | None:
    end = HEADER.size + SIZE.size * frames
    if len(value) < end:
        return None
    return tuple((height, width) for height, width in SIZE.iter_unpack(value[HEADER.size : end]))


def _counts(sizes: Sequence[tuple[int, int]], frames: int, shape: Shape) -> Sequence[int]:
    """Return how many rows each frame has."""
    return [shape.rows[size] for size in sizes] if shape.rows else [1] * frames


def _sound(rows: NDArray[np.float16], firsts: Sequence[int]) -> bool:
    """Whether all rows are of norm 1; those of regions in which nothing was seen may be zeros."""
    with np.errstate(all="ignore"):
        norms = np.linalg.norm(rows.astype(np.float32), axis=1)
        # A comparison with NaN is false, so what is not finite is not let through.
        sound = np.abs(norms - 1) <= NORM_TOLERANCE
    empty = norms == 0
    empty[list(firsts)] = False
    return bool((sound | empty).all())


def _whole(frames: int, at_most: int, shape: Shape) -> bool:
    """Whether these are all frames that this member would judge.

    A member with a lower limit may have left frames of an animation out.
    """
    cut_short = frames >= at_most and at_most < shape.max_frames
    return 1 <= frames <= shape.max_frames and not cut_short


def _is_side(pixels: int) -> bool:
    return 1 <= pixels <= MAX_SIDE
