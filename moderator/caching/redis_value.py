"""Serialise embeddings for Redis; reject stale, foreign or truncated entries on reading.

Whoever can write to Redis could otherwise choose what a picture is judged as by accident: an old
member, another network, a cut value.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from moderator.caching.cached import Cached
from moderator.decoding.view import BACKGROUNDS, Layout, View, most_views

HEADER = struct.Struct("<4sHHHHIIIB8s")
"""Magic, version, views, frames at most, dimension, width, height, reach, flags, network; all
little-endian.

Then come the views (``VIEW``) and their embeddings: rows × dimension numbers, float16,
little-endian. Of a release with a head its logits follow each embedding, and the dimension counts
them too. Where regions are judged, a view has a row for each region after its own.
"""

VIEW = struct.Struct("<HHIB4I")
"""Height and width of a view as the network took it, in pixels; its frame, the code of its
background, and left, top, right and bottom of its part (zeros: the whole); little-endian."""

BEYOND, PARTIAL = 1, 2
"""Flags of the header, see ``Layout``."""

WHOLE = (0, 0, 0, 0)

MAGIC = b"MEMB"
VERSION = 5
REGIONS_VERSION = 6

MAX_SIDE = 1_000_000
"""Pixels of a side beyond which a picture cannot have been decoded."""

NORM_TOLERANCE = 0.01
"""How far a row's norm may be from 1; rounding to float16 moves it by less than 0.001."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What this member's entries look like: dimension of the network, frames judged at most.

    ``classes`` is how many logits each row has behind its embedding. ``network`` are the first
    bytes of the digest of network and head, so that what another one gave is not taken for
    its own, however it came under its key.

    ``rows`` says how many embeddings a view of each size has, by height and width in pixels; it
    is empty where regions are not judged, and each view then has one.
    """

    dimension: int
    max_frames: int
    rows: Mapping[tuple[int, int], int] = field(default_factory=dict)
    network: bytes = bytes(8)
    classes: int = 0

    @property
    def width(self) -> int:
        """Numbers of a row."""
        return self.dimension + self.classes

    @property
    def version(self) -> int:
        """Of the layout of its entries."""
        return REGIONS_VERSION if self.rows else VERSION

    @property
    def most_bytes(self) -> int:
        """Bytes of its largest entry; whatever is longer is none."""
        rows = max(self.rows.values(), default=1)
        return HEADER.size + most_views(self.max_frames) * (VIEW.size + 2 * rows * self.width)


def encode(cached: Cached, shape: Shape) -> bytes:
    """Return the bytes of an entry."""
    layout = cached.layout
    flags = BEYOND * layout.beyond | PARTIAL * layout.partial
    header = HEADER.pack(
        MAGIC, shape.version, len(layout.views), shape.max_frames, cached.embeddings.shape[1],
        layout.width, layout.height, layout.reach, flags, shape.network,
    )  # fmt: skip
    views = b"".join(
        VIEW.pack(*size, view.frame, BACKGROUNDS.index(view.background), *(view.box or WHOLE))
        for size, view in zip(layout.sizes, layout.views, strict=True)
    )
    return header + views + cached.embeddings.astype("<f2").tobytes()


def decode(value: bytes, shape: Shape) -> Cached | None:
    """Return the entry that these bytes are, None where they are not one of this shape."""
    if len(value) < HEADER.size:
        return None
    magic, version, views, at_most, width, *rest, network = HEADER.unpack_from(value)
    ours = (MAGIC, shape.version, shape.width, shape.network)
    if (magic, version, width, network) != ours:
        return None
    begin = HEADER.size + VIEW.size * views
    layout = _layout(value[HEADER.size : begin], rest) if len(value) >= begin else None
    if layout is None or not _whole(layout, at_most, shape):
        return None
    # Where each view's own row lies, and where the rows end.
    *firsts, total = accumulate(_counts(layout, shape), initial=0)
    if len(value) != begin + 2 * total * width:
        return None
    rows = np.frombuffer(value, "<f2", offset=begin).astype(np.float16).reshape(total, width)
    sound = _sound(rows[:, : shape.dimension], firsts)
    return Cached(rows, layout) if sound and np.isfinite(rows).all() else None


def _layout(value: bytes, header: Sequence[int]) -> Layout | None:
    """Return what the views of an entry are; ``header`` is width, height, reach and flags."""
    width, height, reach, flags = header
    if not (_is_side(width) and _is_side(height)) or flags & ~(BEYOND | PARTIAL):
        return None
    sizes, views = [], []
    for tall, wide, frame, background, left, top, right, bottom in VIEW.iter_unpack(value):
        box = (left, top, right, bottom)
        if background >= len(BACKGROUNDS) or (box != WHOLE and (left >= right or top >= bottom)):
            return None
        sizes.append((tall, wide))
        views.append(View(frame, BACKGROUNDS[background], None if box == WHOLE else box))
    beyond, partial = bool(flags & BEYOND), bool(flags & PARTIAL)
    return Layout(width, height, tuple(sizes), tuple(views), reach, beyond, partial)


def _counts(layout: Layout, shape: Shape) -> Sequence[int]:
    """Return how many rows each view has."""
    return [shape.rows[size] if shape.rows else 1 for size in layout.sizes]


def _sound(rows: NDArray[np.float16], firsts: Sequence[int]) -> bool:
    """Whether all rows are of norm 1; those of regions in which nothing was seen may be zeros."""
    with np.errstate(all="ignore"):
        norms = np.linalg.norm(rows.astype(np.float32), axis=1)
        # A comparison with NaN is false, so what is not finite is not let through.
        sound = np.abs(norms - 1) <= NORM_TOLERANCE
    empty = norms == 0
    empty[list(firsts)] = False
    return bool((sound | empty).all())


def _whole(layout: Layout, at_most: int, shape: Shape) -> bool:
    """Whether these are views of all frames that this member would judge.

    A member with a lower limit may have left frames of an animation out.
    """
    cut_short = layout.frames >= at_most and at_most < shape.max_frames
    known = not shape.rows or all(size in shape.rows for size in layout.sizes)
    return known and layout.sound(shape.max_frames) and not cut_short


def _is_side(pixels: int) -> bool:
    return 1 <= pixels <= MAX_SIDE
