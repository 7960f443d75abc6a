"""Which frames of an animation are looked at, and what that may cost."""

import io
import struct
import zlib
from itertools import pairwise

import pytest
from PIL import Image, TiffImagePlugin

from moderator.decoding.animation import MAX_REACH, gif_reach, spread
from moderator.decoding.decode import TURNS
from tests.moderator.pictures import (
    ANIMATED,
    UPRIGHT,
    animation,
    cause,
    corners,
    decoded,
    encoded,
    hostile_gif,
    lightness,
    picture,
    solid,
)


@pytest.mark.parametrize("kind", ANIMATED)
def test_an_animation_gives_first_middle_and_last(kind) -> None:
    image = decoded(animation(kind, 11))
    assert [round(value / 10) * 10 for value in lightness(image)] == [0, 130, 260]
    assert [round(value / 10) for value in lightness(decoded(animation(kind, 2)))] == [0, 26]


@pytest.mark.parametrize("kind", ANIMATED)
@pytest.mark.parametrize("most", [1, 2, 5])
def test_no_more_frames_than_allowed(kind, most) -> None:
    values = lightness(decoded(animation(kind, 9), max_frames=most))
    assert len(values) == most
    assert values[0] < 8
    assert values == sorted(values)
    assert most == 1 or values[-1] > 247


def test_frames_build_on_those_before() -> None:
    first = picture()
    second = first.copy()
    second.paste((230, 20, 20), (64, 64, 128, 128))
    for kind in ("GIF", "WEBP", "PNG"):
        data = encoded(first, kind, save_all=True, append_images=[second], duration=50)
        frames = decoded(data).frames
        assert corners(frames[0]) == UPRIGHT
        assert corners(frames[1]) == ["red", "green", "blue", "red"]


def test_every_frame_of_a_turned_animation_is_turned() -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    frames = [picture().transpose(TURNS[3]), solid((250, 250, 250), 128, 128)]
    data = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], exif=exif)
    assert corners(decoded(data).frames[0]) == UPRIGHT


def test_pages_may_differ_in_size_and_each_is_checked() -> None:
    pages = [picture(), solid((250, 250, 250), 200, 100)]
    data = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    image = decoded(data)
    assert (image.width, image.height) == (128, 128)
    assert [frame.shape for frame in image.frames] == [(64, 64, 3), (48, 96, 3)]
    large = encoded(picture(), "TIFF", save_all=True, append_images=[picture(300, 300)])
    assert decoded(large, max_pixels=90_000).width == 128
    assert cause(large, max_pixels=89_999) == "pixels"


def test_a_hostile_animation_is_looked_at_within_reach() -> None:
    data = hostile_gif(100_000)
    assert gif_reach(data, 1_000_000) == MAX_REACH
    assert len(decoded(data).frames) == 3


def test_the_reach_has_no_more_pixels_than_a_still_may() -> None:
    assert gif_reach(animation("GIF", 50, 100), 100_000) == 10
    values = lightness(decoded(animation("GIF", 50, 100), max_pixels=100_000))
    assert values[0] < 5
    assert 40 < values[-1] < 55
    for kind in ("WEBP", "PNG", "AVIF", "TIFF"):
        values = lightness(decoded(animation(kind, 50, 100), max_pixels=100_000))
        assert 40 < values[-1] < 55, kind


def test_a_canvas_that_grows_counts_as_grown() -> None:
    data = hostile_gif(50)
    grown = b"\x2c" + struct.pack("<HHHHB", 900, 900, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    assert gif_reach(data[:-1] + grown * 50 + b";", 1_000_000) == 50
    assert gif_reach(data[:-1] + grown * 50 + b";", 55 * 901 * 901) == 55


@pytest.mark.parametrize("count", [1, 2, 7])
@pytest.mark.parametrize("kind", ["plain", "drawn"])
def test_frames_of_a_gif_are_counted_as_pillow_does(count, kind) -> None:
    data = hostile_gif(count) if kind == "plain" else animation("GIF", count)
    assert gif_reach(data, 10**9) == Image.open(io.BytesIO(data)).n_frames == count


def test_a_chain_of_pages_that_bites_its_tail_ends() -> None:
    data = bytearray(encoded(picture(), "TIFF"))
    image = TiffImagePlugin.TiffImageFile(io.BytesIO(bytes(data)))
    start = image.tag_v2._offset
    entries = struct.unpack_from("<H", data, start)[0]
    struct.pack_into("<I", data, start + 2 + 12 * entries, start)
    assert len(decoded(bytes(data)).frames) == 1


def test_an_animation_that_promises_more_frames_than_it_has_is_corrupt() -> None:
    data = bytearray(animation("PNG", 3))
    at = data.index(b"acTL")
    struct.pack_into(">I", data, at + 4, 500)
    struct.pack_into(">I", data, at + 12, zlib.crc32(data[at : at + 12]))
    assert cause(bytes(data)) == "corrupt"


@pytest.mark.parametrize("count", range(1, 40))
@pytest.mark.parametrize("most", [1, 2, 3, 4, 16])
def test_positions_are_spread_evenly(count, most) -> None:
    positions = spread(count, most)
    assert len(positions) == min(count, most)
    assert positions[0] == 0
    assert most == 1 or positions[-1] == count - 1
    steps = [after - before for before, after in pairwise(positions)]
    assert not steps or (min(steps) >= 1 and max(steps) - min(steps) <= 1)
