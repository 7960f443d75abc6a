import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderator.caching.cached import Cached
from moderator.caching.redis_value import HEADER, MAGIC, VIEW, Shape, decode, encode
from moderator.decoding.view import Layout, View, most_views
from tests.moderator.layouts import layout, still

SHAPE = Shape(dimension=24, max_frames=3)
SQUARE, WIDE = (64, 64), (48, 80)


def _cached(frames: int = 2, dimension: int = 24, width: int = 640, height: int = 480) -> Cached:
    rows = np.random.default_rng(frames).normal(size=(frames, dimension))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return Cached(rows.astype(np.float16), layout(width, height, *[SQUARE] * frames))


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_what_was_encoded_comes_back(frames):
    cached = _cached(frames)
    back = decode(encode(cached, SHAPE), SHAPE)
    assert back is not None
    assert back.layout == cached.layout
    assert back.embeddings.dtype == np.float16
    np.testing.assert_array_equal(back.embeddings, cached.embeddings)


def test_the_layout_is_the_documented_one():
    value = encode(_cached(1), SHAPE)
    assert struct.unpack("<4sHHHHIIIB8s", value[:33]) == (
        MAGIC, 5, 1, 3, 24, 640, 480, 1, 0, bytes(8)
    )  # fmt: skip
    assert struct.unpack("<HHIB4I", value[33:58]) == (64, 64, 0, 0, 0, 0, 0, 0)
    assert len(value) == 58 + 2 * 24


def _with(value: bytes, **changes: int | bytes) -> bytes:
    names = ("magic", "version", "views", "at_most", "dimension", "width", "height", "reach",
             "flags", "network")  # fmt: skip
    header = dict(zip(names, HEADER.unpack_from(value), strict=True)) | changes
    return HEADER.pack(*header.values()) + value[HEADER.size :]


@pytest.mark.parametrize(
    "change",
    [
        {"magic": b"GIF8"},
        {"version": 3},
        {"version": 6},
        {"network": b"another!"},
        {"views": 0},
        {"views": 1},
        {"views": 3},
        {"views": 65_535},
        {"reach": 2},
        {"flags": 4},
        {"dimension": 12},
        {"dimension": 48},
        {"width": 0},
        {"height": 0},
        {"width": 2**32 - 1},
    ],
    ids=str,
)
def test_a_header_that_is_off_is_not_taken(change):
    assert decode(_with(encode(_cached(2), SHAPE), **change), SHAPE) is None


def test_frames_and_dimension_that_fit_the_length_but_not_the_network_are_not_taken():
    value = encode(_cached(1, dimension=48), Shape(48, 3))
    assert decode(value, SHAPE) is None
    assert decode(_with(value, views=2, dimension=24), SHAPE) is None, "norms are those of halves"


@pytest.mark.parametrize("length", [0, 1, 32, 33, 57, 58, 58 + 2 * 24 - 1, 58 + 2 * 24 + 1, 10_000])
def test_another_length_is_not_taken(length):
    value = encode(_cached(1), SHAPE)
    assert decode((value + bytes(10_000))[:length], SHAPE) is None


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, 60_000.0, 0.9])
def test_rows_that_are_not_finite_or_not_of_norm_one_are_not_taken(number):
    cached = _cached(2)
    cached.embeddings[1, 5] = number
    assert decode(encode(cached, SHAPE), SHAPE) is None


def test_no_entry_is_longer_than_the_longest():
    assert len(encode(_cached(3), SHAPE)) <= SHAPE.most_bytes
    sizes = [SQUARE] * most_views(3)
    wholes = [View(n, background) for n in range(3) for background in ("white", "black")]
    parts = [View(0, "white", (0, 0, 9, 9 + n)) for n in range(len(sizes) - len(wholes))]
    views = [*wholes, *parts]
    rows = _regional(*sizes).embeddings
    longest = Cached(rows, Layout(640, 480, tuple(sizes), tuple(views), 3))
    assert len(encode(longest, REGIONAL)) == REGIONAL.most_bytes
    assert decode(encode(longest, REGIONAL), REGIONAL) is not None


def test_rows_of_zeros_are_not_taken():
    cached = Cached(np.zeros((1, 24), np.float16), still(10, 10))
    assert decode(encode(cached, SHAPE), SHAPE) is None


@pytest.mark.parametrize(
    ("frames", "written", "read", "taken"),
    [
        (1, 3, 1, True),  # a picture without further frames
        (2, 3, 2, True),  # an animation of two frames
        (1, 1, 3, False),  # perhaps an animation of which only one frame was judged
        (2, 2, 3, False),
        (3, 5, 3, True),
        (3, 3, 2, False),  # more frames than this member judges
    ],
)
def test_an_entry_counts_only_where_it_holds_all_frames_that_would_be_judged(
    frames, written, read, taken
):
    value = encode(_cached(frames), Shape(24, written))
    assert (decode(value, Shape(24, read)) is not None) == taken


@given(st.binary(max_size=200))
def test_no_bytes_whatever_raise_and_what_is_taken_is_of_norm_one(value):
    assert decode(value, SHAPE) is None
    found = decode(
        HEADER.pack(MAGIC, 5, 1, 3, 24, 9, 9, 1, 0, bytes(8))
        + VIEW.pack(64, 64, 0, 0, 0, 0, 0, 0)
        + value[:48].ljust(48, b"\0"),
        SHAPE,
    )
    assert found is None or abs(np.linalg.norm(found.embeddings.astype(np.float64)) - 1) < 0.011


REGIONAL = Shape(24, 3, {SQUARE: 5, WIDE: 4})


def _regional(*sizes: tuple[int, int]) -> Cached:
    rows = _cached(sum(REGIONAL.rows[size] for size in sizes)).embeddings
    return Cached(rows, layout(640, 480, *sizes))


@pytest.mark.parametrize("sizes", [(SQUARE,), (WIDE, SQUARE), (SQUARE, SQUARE, WIDE)])
def test_regions_come_back_with_the_sizes_of_their_frames(sizes):
    cached = _regional(*sizes)
    back = decode(encode(cached, REGIONAL), REGIONAL)
    assert back is not None
    assert back.layout == cached.layout
    np.testing.assert_array_equal(back.embeddings, cached.embeddings)


@pytest.mark.parametrize(
    "other",
    [
        SHAPE,
        Shape(24, 3, {SQUARE: 6, WIDE: 4}),
        Shape(24, 3, {SQUARE: 4, WIDE: 5}),
        Shape(24, 3, {WIDE: 4}),
        Shape(24, 1, {SQUARE: 5, WIDE: 4}),
        Shape(12, 3, {SQUARE: 10, WIDE: 8}),
    ],
    ids=str,
)
def test_an_entry_of_another_number_of_rows_is_not_taken(other):
    value = encode(_regional(SQUARE, SQUARE), REGIONAL)
    assert decode(value, REGIONAL) is not None
    assert decode(value, other) is None


def test_an_entry_without_regions_is_not_taken_where_regions_are_judged():
    assert decode(encode(_cached(2), SHAPE), REGIONAL) is None


def test_a_regional_entry_of_another_length_is_not_taken():
    value = encode(_regional(SQUARE), REGIONAL)
    longer = value + bytes(2)
    taken = [n for n in range(len(longer) + 1) if decode(longer[:n], REGIONAL) is not None]
    assert taken == [len(value)]


def test_a_region_in_which_nothing_is_seen_is_taken_and_a_frame_is_not():
    cached = _regional(SQUARE, WIDE)
    cached.embeddings[2] = 0
    assert decode(encode(cached, REGIONAL), REGIONAL) is not None
    cached.embeddings[5] = 0
    assert decode(encode(cached, REGIONAL), REGIONAL) is None


@given(st.binary(max_size=300))
def test_no_bytes_whatever_raise_where_regions_are_judged(value):
    assert decode(value, REGIONAL) is None
    decode(HEADER.pack(MAGIC, 6, 1, 3, 24, 9, 9, 1, 0, bytes(8)) + value, REGIONAL)


VIEWS = (
    View(0, "white"),
    View(0, "black"),
    View(7, "black", (10, 20, 600, 480)),
    View(2**32 - 2, None, (0, 0, 640, 1)),
)


@pytest.mark.parametrize("beyond", [False, True])
@pytest.mark.parametrize("partial", [False, True])
def test_views_come_back_with_what_was_out_of_reach(beyond, partial):
    shown = Layout(640, 480, (SQUARE,) * 4, VIEWS, 2**32 - 1, beyond, partial)
    back = decode(encode(Cached(_cached(4).embeddings, shown), SHAPE), SHAPE)
    assert back is not None
    assert back.layout == shown


@pytest.mark.parametrize(
    "view",
    [
        (64, 64, 1, 0, 0, 0, 0, 0),  # beyond the reach
        (64, 64, 0, 3, 0, 0, 0, 0),  # no background
        (64, 64, 0, 0, 9, 0, 9, 480),  # an empty part
        (64, 64, 0, 0, 0, 0, 641, 480),  # more than the picture
    ],
)
def test_a_view_that_cannot_be_is_not_taken(view):
    value = encode(_cached(1), SHAPE)
    assert decode(value, SHAPE) is not None
    changed = value[: HEADER.size] + VIEW.pack(*view) + value[HEADER.size + VIEW.size :]
    assert decode(changed, SHAPE) is None


HEADED = Shape(24, 3, {SQUARE: 5, WIDE: 4}, classes=7)


def _headed(*sizes: tuple[int, int]) -> Cached:
    cached = _regional(*sizes)
    logits = np.random.default_rng(1).normal(scale=20, size=(len(cached.embeddings), 7))
    return Cached(np.hstack([cached.embeddings, logits.astype(np.float16)]), cached.layout)


def test_logits_come_back_behind_their_embeddings():
    cached = _headed(WIDE, SQUARE)
    value = encode(cached, HEADED)
    back = decode(value, HEADED)
    assert back is not None
    np.testing.assert_array_equal(back.embeddings, cached.embeddings)
    assert len(value) - len(encode(_regional(WIDE, SQUARE), REGIONAL)) == 2 * 9 * 7
    assert HEADED.most_bytes - REGIONAL.most_bytes == 2 * 7 * 5 * most_views(3)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_are_not_taken(number):
    cached = _headed(SQUARE)
    cached.embeddings[3, 25] = number
    assert decode(encode(cached, HEADED), HEADED) is None


def test_a_row_of_another_width_is_not_taken():
    value = encode(_headed(SQUARE), HEADED)
    assert decode(value, replace(HEADED, classes=6)) is None
    assert decode(value, REGIONAL) is None
    assert decode(encode(_regional(SQUARE), REGIONAL), HEADED) is None
    # Of as many numbers, but embeddings that end elsewhere.
    assert decode(value, replace(HEADED, dimension=26, classes=5)) is None
