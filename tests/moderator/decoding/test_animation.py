"""Which frames of an animation are looked at, and what that may cost."""

import io
import struct
import zlib
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest
from PIL import Image, ImageFile, TiffImagePlugin

from moderator.decoding.animation import MAX_REACH, CutShort, Frame, Shot, Walk, shown_for
from moderator.decoding.decode import TURNS, DecodedImage, Undecodable, upright
from moderator.decoding.view import View
from tests.moderator.films import PALETTE, Step, apng, gif, saved
from tests.moderator.pictures import (
    ANIMATED,
    SPEC,
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

TIMED = ("GIF", "PNG", "WEBP", "AVIF")


def positions(image: DecodedImage) -> list[int]:
    return [view.frame for view in image.views]


def red(frame: np.ndarray) -> bool:
    return bool(((frame[..., 0].astype(int) - frame[..., 1]) > 100).mean() > 0.2)


def seen_red(data: bytes, **limits: int) -> bool:
    return any(red(frame) for frame in decoded(data, **limits).frames)


def plain(count: int) -> list[Image.Image]:
    """Frames that look alike and are not the same, so that no encoder makes one of them."""
    frames = [solid((200, 200, 200), 128, 128) for _ in range(count)]
    for number, frame in enumerate(frames):
        frame.putpixel((number % 128, number // 128), (0, 200, 0))
    return frames


def with_red(count: int, reds: set[int]) -> list[Image.Image]:
    frames = plain(count)
    for number in reds:
        frames[number].paste((200, 0, 0), (16, 16, 112, 112))
    return frames


@pytest.mark.parametrize("kind", ANIMATED)
def test_an_animation_gives_its_first_frame_and_different_ones(kind) -> None:
    image = decoded(animation(kind, 11))
    assert len(image.frames) == 3
    assert (positions(image)[0], image.reach, image.beyond) == (0, 11, False)
    assert positions(image) == sorted(set(positions(image)))
    for value, place in zip(lightness(image), positions(image), strict=True):
        assert abs(value - 25.5 * place) < 6
    assert [round(value / 10) for value in lightness(decoded(animation(kind, 2)))] == [0, 26]


@pytest.mark.parametrize("kind", ANIMATED)
@pytest.mark.parametrize("most", [1, 2, 5])
def test_no_more_frames_than_allowed(kind, most) -> None:
    values = lightness(decoded(animation(kind, 9), max_frames=most))
    assert len(values) == most
    assert values == sorted(values)
    assert most == 1 or values[0] < 8


@pytest.mark.parametrize("kind", ANIMATED)
def test_frames_that_look_alike_are_judged_once_besides_the_first(kind) -> None:
    image = decoded(saved(kind, plain(20), [50] * 20))
    first, _ = positions(image)
    assert (first, image.reach) == (0, 20)


@pytest.mark.parametrize("kind", ANIMATED)
def test_a_first_frame_with_the_means_of_what_follows_does_not_hide_it(kind) -> None:
    # Fine stripes of red and green have the mean of what is plain.
    striped = np.full((128, 128, 3), (0, 200, 0), np.uint8)
    striped[::2] = (200, 0, 0)
    frames = [solid((100, 100, 0), 128, 128), Image.fromarray(striped)]
    image = decoded(saved(kind, frames, [20, 5_000]))
    assert positions(image) == [0, 1]


@pytest.mark.parametrize("kind", TIMED)
@pytest.mark.parametrize("share", [0.75, 0.96])
def test_what_is_shown_for_most_of_the_time_is_seen_wherever_it_stands(kind, share) -> None:
    count = 40
    reds = set(range(2, 2 + round(share * (count - 4))))
    frames = with_red(count, reds - {count // 2, count - 1})
    assert all(seen_red(saved(kind, frames, [50] * count), seed=n) for n in range(5))


@pytest.mark.parametrize("kind", TIMED)
def test_a_frame_that_stays_long_is_seen_among_many_others(kind) -> None:
    frames = [solid((0, 0, 255 * n // 30), 64, 64) for n in range(30)]
    frames[7] = solid((200, 0, 0))
    times = [20] * 30
    times[7] = 2_000
    for most in (1, 2, 3):
        data = saved(kind, frames, times)
        assert all(seen_red(data, seed=n, max_frames=most) for n in range(5))


@pytest.mark.parametrize("kind", TIMED)
def test_the_odd_one_is_seen_even_if_it_is_short(kind) -> None:
    for place in (1, 13, 28):
        assert seen_red(saved(kind, with_red(30, {place}), [50] * 30))


def test_the_last_frame_of_an_animation_that_ends_stays_in_view() -> None:
    steps = [Step(number % 4 + 1, milliseconds=500) for number in range(3)] + [Step(0)]
    for loop, lasting in ((None, 0), (1, 0), (0, None)):
        image = decoded(gif(steps, loop=loop), max_frames=1)
        assert (positions(image) == [3]) == (lasting is not None)
    assert positions(decoded(apng(steps, plays=2), max_frames=1)) == [3]
    assert positions(decoded(apng(steps, plays=0), max_frames=1)) != [3]


def test_times_that_browsers_take_for_mistakes_are_a_tenth_of_a_second() -> None:
    assert [shown_for(each) for each in (0.0, 0.01, 0.02, 5.0)] == [0.1, 0.1, 0.02, 5.0]
    steps = [Step(0), Step(1, milliseconds=10), Step(2, milliseconds=90)]
    assert positions(decoded(gif(steps), max_frames=1)) == [0]
    steps = [Step(0, milliseconds=90), Step(1, milliseconds=10), Step(2, milliseconds=90)]
    assert positions(decoded(gif(steps), max_frames=1)) == [1]


@pytest.mark.parametrize("kind", ANIMATED)
def test_which_frames_are_chosen_cannot_be_known_and_the_same_seed_chooses_alike(kind) -> None:
    data = animation(kind, 12)
    chosen = [tuple(positions(decoded(data, seed=seed))) for seed in range(12)]
    assert len(set(chosen)) > 3
    assert chosen == [tuple(positions(decoded(data, seed=seed))) for seed in range(12)]


@pytest.mark.parametrize("kind", ANIMATED)
def test_a_copy_shows_the_very_frame_that_was_judged(kind) -> None:
    data = animation(kind, 12)
    image = decoded(data, seed=5)
    for view, value in zip(image.views, lightness(image), strict=True):
        shown = np.asarray(upright(data, view, max_pixels=10**6, max_side=64))
        assert abs(int(shown.mean()) - value) <= 2
    with pytest.raises(Undecodable):
        upright(data, View(12), max_pixels=10**6, max_side=64)


# --- as viewers compose them


def at(frame: np.ndarray, x: int, y: int) -> tuple[int, ...]:
    return tuple(int(value) for value in frame[y, x])


def composed(data: bytes, position: int) -> dict[str | None, np.ndarray]:
    """What a frame shows on each background."""
    image = decoded(data, max_frames=16)
    return {
        view.background: frame
        for view, frame in zip(image.views, image.frames, strict=True)
        if view.frame == position
    }


def test_frames_build_on_those_before() -> None:
    first = picture()
    second = first.copy()
    second.paste((230, 20, 20), (64, 64, 128, 128))
    for kind in ("GIF", "WEBP", "PNG"):
        data = encoded(first, kind, save_all=True, append_images=[second], duration=50)
        frames = decoded(data).frames
        assert corners(frames[0]) == UPRIGHT
        assert corners(frames[1]) == ["red", "green", "blue", "red"]


CORNER = (0, 0, 32, 32)


@pytest.mark.parametrize("make", [gif, apng])
@pytest.mark.parametrize("keeps", [0, 1])
def test_what_is_kept_stays_under_the_next_frame(make, keeps) -> None:
    if make is apng and keeps:
        pytest.skip("1 clears in an animated PNG")
    steps = [Step(2), Step(1, CORNER, disposal=keeps), Step(3, (32, 32, 64, 64))]
    (frame,) = composed(make(steps), 2).values()
    assert [at(frame, *spot) for spot in ((8, 8), (48, 8), (48, 48))] == [
        PALETTE[1], PALETTE[2], PALETTE[3]
    ]  # fmt: skip


@pytest.mark.parametrize("make", [gif, apng])
def test_what_is_cleared_shows_what_lies_behind_the_picture(make) -> None:
    steps = [Step(2), Step(1, CORNER, disposal=2 if make is gif else 1), Step(3, (32, 32, 64, 64))]
    frames = composed(make(steps), 2)
    assert at(frames["white"], 8, 8) == (255, 255, 255)
    assert at(frames["black"], 8, 8) == (0, 0, 0)
    assert at(frames["white"], 48, 48) == at(frames["black"], 48, 48) == PALETTE[3]


@pytest.mark.parametrize("disposal", [3, 4])
def test_what_was_there_before_comes_back(disposal) -> None:
    steps = [Step(2), Step(1, CORNER, disposal=disposal), Step(3, (32, 32, 64, 64))]
    (frame,) = composed(gif(steps), 2).values()
    assert [at(frame, 8, 8), at(frame, 48, 48)] == [PALETTE[2], PALETTE[3]]


def test_an_animated_png_takes_back_what_was_there_and_first_of_all_nothing() -> None:
    steps = [Step(2), Step(1, CORNER, disposal=2), Step(3, (32, 32, 64, 64))]
    (frame,) = composed(apng(steps), 2).values()
    assert [at(frame, 8, 8), at(frame, 48, 48)] == [PALETTE[2], PALETTE[3]]
    steps = [Step(2, disposal=2), Step(1, CORNER)]
    frames = composed(apng(steps), 1)
    assert at(frames["black"], 48, 48) == (0, 0, 0)
    assert at(frames["white"], 48, 48) == (255, 255, 255)


def test_an_animated_png_is_laid_over_or_in_place() -> None:
    first = Step(1)
    half = Step(3, CORNER, alpha=128)
    (frame,) = composed(apng([first, half], alpha=True), 1).values()
    assert np.abs(np.subtract(at(frame, 8, 8), (125, 20, 125))).max() <= 2
    half = Step(3, CORNER, alpha=128, over=False)
    frames = composed(apng([first, half], alpha=True), 1)
    assert np.abs(np.subtract(at(frames["black"], 8, 8), (10, 10, 116))).max() <= 2
    # Over nothing, half stays half.
    steps = [Step(1, (32, 32, 64, 64), alpha=0), Step(3, CORNER, alpha=128)]
    frames = composed(apng([Step(0, alpha=0), *steps], alpha=True), 2)
    assert np.abs(np.subtract(at(frames["black"], 8, 8), (10, 10, 116))).max() <= 2


def test_a_frame_smaller_than_the_screen_leaves_the_rest_transparent() -> None:
    frames = composed(gif([Step(1, CORNER)]), 0)
    assert at(frames["white"], 8, 8) == at(frames["black"], 8, 8) == PALETTE[1]
    assert (at(frames["white"], 48, 48), at(frames["black"], 48, 48)) == ((255,) * 3, (0,) * 3)


def test_what_lies_off_the_screen_is_cut_off_and_the_rest_goes_on() -> None:
    for box in ((7000, 7000, 7001, 7001), (63, 0, 65, 1), (0, 60, 1, 90), (64, 64, 65, 65)):
        steps = [Step(2), Step(3, box, milliseconds=10), Step(1, milliseconds=60_000)]
        image = decoded(gif(steps))
        assert (image.width, image.height, image.reach, image.beyond) == (64, 64, 3, False)
        assert any(red(frame) for frame in image.frames)
    data = gif([Step(2), Step(1, (32, 32, 96, 96))])
    (frame,) = composed(data, 1).values()
    assert [at(frame, 8, 8), at(frame, 60, 60)] == [PALETTE[2], PALETTE[1]]


def test_the_first_frame_alone_enlarges_a_screen_that_is_too_small() -> None:
    image = decoded(gif([Step(1, (0, 0, 64, 64)), Step(2, (0, 0, 128, 128))], size=(1, 1)))
    assert (image.width, image.height) == (64, 64)
    assert cause(gif([Step(1, (0, 0, 8, 8))], size=(8, 8))) == "too-small"


def test_a_still_before_an_animated_png_is_judged_and_so_is_the_animation() -> None:
    hidden = apng([Step(0), Step(0, milliseconds=900)], still=solid((200, 0, 0)))
    assert positions(decoded(hidden)) in ([0, 1], [0, 2])
    assert seen_red(hidden)
    shown = apng([Step(0, milliseconds=10), Step(1, milliseconds=5_000)], still=solid((9, 9, 9)))
    assert seen_red(shown)
    assert positions(decoded(shown)) == [0, 1, 2]


def test_a_still_of_an_avif_that_is_no_frame_of_its_sequence_is_judged_too() -> None:
    sequence = saved("AVIF", plain(4), [100] * 4)
    assert decoded(sequence).reach == 4
    # The still's pixels are those of the first frame, unless the file says that they lie elsewhere.
    other = encoded(with_red(1, {0})[0], "AVIF")
    hidden = with_still(sequence, other)
    image = decoded(hidden)
    assert image.reach == 5
    assert {0, 4} < set(positions(image))
    assert red(image.frames[-1])
    assert decoded(sequence.replace(b"avis", b"avif", 1)).reach == 4


def with_still(sequence: bytes, still: bytes) -> bytes:
    """Let the still of a sequence be that of another file of the same size: its pixels follow."""
    at, theirs = sequence.index(b"iloc"), still.index(b"iloc")
    # iloc: size, name, version and flags, sizes of fields, count; then the item: id, reference,
    # count of extents, offset and length.
    place, length = struct.unpack_from(">II", still, theirs + 18)
    assert struct.unpack_from(">BBHHHH", sequence, at + 8)[:3] == (0x44, 0, 1)
    moved = bytearray(sequence + still[place : place + length])
    struct.pack_into(">II", moved, at + 18, len(sequence), length)
    return bytes(moved)


def test_every_frame_of_a_turned_animation_is_turned() -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    frames = [picture().transpose(TURNS[3]), solid((250, 250, 250), 128, 128)]
    for kind in ("WEBP", "PNG"):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], exif=exif)
        assert corners(decoded(data).frames[0]) == UPRIGHT


# --- what is out of reach


def test_pages_may_differ_in_size_and_those_too_large_are_out_of_reach() -> None:
    pages = [picture(), solid((250, 250, 250), 200, 100)]
    data = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    image = decoded(data)
    assert (image.width, image.height, image.reach, image.beyond) == (128, 128, 2, False)
    assert [frame.shape for frame in image.frames] == [(64, 64, 3), (48, 96, 3)]
    large = encoded(picture(), "TIFF", save_all=True, append_images=[picture(300, 300)])
    assert not decoded(large, max_pixels=110_000).beyond
    image = decoded(large, max_pixels=89_999)
    assert (image.width, image.reach, image.beyond) == (128, 1, True)


def test_a_page_in_which_nobody_sees_anything_is_passed_over() -> None:
    pages = [picture(), solid((200, 0, 0), 8, 8), solid((250, 250, 250))]
    data = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    assert positions(decoded(data)) == [0, 2]


def test_a_hostile_animation_is_looked_at_within_reach() -> None:
    image = decoded(hostile_gif(100_000))
    assert (image.reach, image.beyond) == (MAX_REACH, True)


@pytest.mark.parametrize("kind", ANIMATED)
def test_the_reach_has_no_more_pixels_than_a_still_may(kind) -> None:
    image = decoded(animation(kind, 50, 100), max_pixels=100_000)
    assert (image.reach, image.beyond, image.partial) == (10, True, False)
    assert max(positions(image)) < 10
    image = decoded(animation(kind, 10, 100), max_pixels=100_000)
    assert (image.reach, image.beyond) == (10, False)


def test_a_frame_larger_than_its_screen_counts_as_a_whole() -> None:
    steps = [Step(2), Step(1, (0, 0, 1_000, 900)), Step(3)]
    assert decoded(gif(steps)).reach == 3
    image = decoded(gif(steps), max_pixels=900_000)
    assert (image.reach, image.beyond) == (1, True)


def test_no_further_frame_is_drawn_once_the_time_is_over() -> None:
    image = decoded(animation("GIF", 50), seconds=0)
    assert (image.reach, image.beyond, len(image.frames)) == (1, True, 1)
    assert decoded(animation("GIF", 50), seconds=60).reach == 50


def test_a_frame_of_an_animated_png_larger_than_the_picture_is_never_drawn() -> None:
    large = Step(1, (0, 0, 65, 64))
    assert cause(apng([Step(0), large])) == "corrupt"
    assert cause(apng([large, Step(0)])) == "corrupt"


def test_a_chain_of_pages_that_bites_its_tail_ends() -> None:
    data = bytearray(encoded(picture(), "TIFF"))
    image = TiffImagePlugin.TiffImageFile(io.BytesIO(bytes(data)))
    start = image.tag_v2._offset
    entries = struct.unpack_from("<H", data, start)[0]
    struct.pack_into("<I", data, start + 2 + 12 * entries, start)
    assert len(decoded(bytes(data)).frames) == 1


@pytest.fixture
def tolerant(monkeypatch) -> None:
    """Take what is there of a file that is known to be damaged."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)


def promising(count: int) -> bytes:
    """An animated PNG of three frames that says it has more."""
    data = bytearray(animation("PNG", 3))
    place = data.index(b"acTL")
    struct.pack_into(">I", data, place + 4, count)
    struct.pack_into(">I", data, place + 12, zlib.crc32(data[place : place + 12]))
    return bytes(data)


def test_an_animation_that_promises_more_frames_than_it_has_is_corrupt() -> None:
    assert cause(promising(500)) == "corrupt"
    assert cause(promising(4)) == "corrupt"


def test_where_damage_is_tolerated_an_animation_ends_where_its_frames_do(tolerant) -> None:
    image = decoded(promising(500))
    assert (image.reach, image.beyond, image.partial) == (3, False, True)


@pytest.mark.parametrize("kind", ["GIF", "PNG"])
def test_an_animation_cut_in_a_later_frame_shows_what_comes_before(kind) -> None:
    data = saved(kind, with_red(9, {1, 2, 3}), [50] * 9)
    image = decoded(data[: len(data) * 3 // 4])
    assert image.partial
    assert 3 < image.reach < 9
    assert not image.beyond
    assert any(red(frame) for frame in image.frames)


def frames(*drawn: Shot | Exception) -> Iterator[Frame]:
    for each in drawn:
        yield Frame(1, partial(raised, each))


def raised(shot: Shot | Exception) -> Shot:
    if isinstance(shot, Exception):
        raise shot
    return shot


def test_a_frame_that_cannot_be_drawn_is_out_of_reach_and_no_end() -> None:
    shot = Shot(solid((0, 0, 0)), 1)
    for error, beyond in ((OSError(), True), (CutShort(), False)):
        walk = Walk(frames(shot, error, shot), 100, tolerant=True)
        assert list(walk) == [shot]
        assert (walk.reach, walk.beyond, walk.partial) == (1, beyond, True)
        with pytest.raises(type(error)):
            list(Walk(frames(shot, error, shot), 100))
        with pytest.raises(type(error)):
            list(Walk(frames(error, shot), 100, tolerant=True))
    with pytest.raises(MemoryError):
        list(Walk(frames(shot, MemoryError()), 100, tolerant=True))


def test_a_gif_without_its_last_bytes_is_whole() -> None:
    for cut in (1, 2):
        image = decoded(gif([Step(2), Step(1)])[:-cut])
        assert (image.reach, image.partial) == (2, False)


def test_the_sizes_of_views_are_those_of_the_network() -> None:
    for kind in ANIMATED:
        assert all(frame.shape[:2] in SPEC.sizes for frame in decoded(animation(kind, 4)).frames)
