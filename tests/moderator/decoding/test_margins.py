"""Which parts of a picture get views of their own: margins, strips, collages, and odd shapes."""

import io
from itertools import pairwise, product

import numpy as np
import pytest
from PIL import Image

from models.spec import InputSpec
from moderator.decoding.decode import decode
from moderator.decoding.margins import WIDE, content, parts, plain_share
from moderator.decoding.view import MAX_CROPS, View, most_views
from tests.moderator.pictures import encoded

SIDE = 320
SPEC = InputSpec(((SIDE, SIDE),))
WHITE, PAPER = (255, 255, 255), (200, 210, 190)


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Blocks of random colours: something that fills its place to its borders."""
    chance = np.random.default_rng(seed)
    blocks = chance.integers(0, 256, (-(-height // 8), -(-width // 8), 3), np.uint8)
    return blocks.repeat(8, 0).repeat(8, 1)[:height, :width]


def smooth(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Colours that change slowly, without an edge."""
    few = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (5, 5, 3), np.uint8))
    return np.asarray(few.resize((width, height), Image.Resampling.BICUBIC))


def canvas(colour=WHITE, height: int = SIDE, width: int = SIDE) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


def framed(box, colour=WHITE) -> np.ndarray:
    left, top, right, bottom = box
    frame = canvas(colour)
    frame[top:bottom, left:right] = noise(bottom - top, right - left)
    return frame


def photograph(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(noise(height, width, seed))


def decoded(image: Image.Image, kind: str = "PNG", *, max_frames: int = 3):
    return decode(encoded(image, kind), SPEC, max_pixels=10**8, max_frames=max_frames)


def boxes(image) -> list:
    return [view.box for view in image.views if view.box is not None]


# --- margins


def test_an_ordinary_picture_has_no_parts() -> None:
    assert parts(noise(SIDE, SIDE), 640, 480) == ()


@pytest.mark.parametrize("colour", [WHITE, (0, 0, 0), PAPER])
@pytest.mark.parametrize("box", [(120, 120, 200, 200), (0, 0, 80, 80), (240, 200, 320, 280)])
def test_small_content_on_one_colour_is_a_part(box, colour) -> None:
    assert content(framed(box, colour)) == box
    left, top, right, bottom = box
    ((x, y, to_x, to_y),) = parts(framed(box, colour), 2 * SIDE, SIDE)
    assert 0 <= x <= 2 * left and 2 * right <= to_x <= 2 * SIDE
    assert 0 <= y <= top and bottom <= to_y <= SIDE
    assert (to_x - x, to_y - y) == (2 * 96, 96)


@pytest.mark.parametrize("box", [(40, 150, 200, 214), (150, 40, 230, 200)])
def test_a_slim_thing_is_shown_with_more_room_at_its_sides(box) -> None:
    ((x, y, to_x, to_y),) = parts(framed(box), SIDE, SIDE)
    sides = to_x - x, to_y - y
    assert max(sides) == 192 and min(sides) == 96
    assert x <= box[0] and y <= box[1] and to_x >= box[2] and to_y >= box[3]


def test_content_that_nearly_fills_the_picture_is_none() -> None:
    assert parts(framed((10, 10, 310, 310)), 640, 480) == ()
    assert parts(framed((10, 100, 310, 200)), 640, 480) == ()


def test_a_margin_may_be_as_noisy_as_jpeg_makes_it() -> None:
    box = (120, 120, 200, 200)
    frame = framed(box, PAPER).astype(np.int16)
    frame += np.random.default_rng(1).integers(-12, 13, frame.shape, np.int16)
    assert content(frame.clip(0, 255).astype(np.uint8)) == box


def test_a_margin_of_noise_is_none() -> None:
    frame = noise(SIDE, SIDE)
    frame[120:200, 120:200] = 255
    assert content(frame) == (0, 0, SIDE, SIDE)


def test_each_side_may_have_a_colour_of_its_own() -> None:
    frame = framed((120, 120, 200, 200))
    frame[:60] = 0
    frame[280:] = PAPER
    assert content(frame) == (120, 120, 200, 200)


@pytest.mark.parametrize("colour", [WHITE, PAPER, (0, 0, 0)])
def test_a_picture_of_one_colour_is_shown_as_it_is(colour) -> None:
    assert content(canvas(colour)) == (0, 0, SIDE, SIDE)
    assert parts(canvas(colour), 640, 480) == ()
    assert parts(canvas(colour), 64, 6400) == ()


@pytest.mark.parametrize("line", [np.s_[160], np.s_[:, 160], np.s_[0], np.s_[:, 319]])
def test_a_line_of_one_pixel_breaks_nothing(line) -> None:
    frame = canvas()
    frame[line] = 0
    for box in parts(frame, 1000, 10):
        assert box[0] < box[2] and box[1] < box[3]


def test_nested_margins_are_all_cut_off() -> None:
    frame = canvas((0, 0, 0))
    frame[40:280, 40:280] = 255
    frame[120:200, 120:200] = noise(80, 80)
    assert content(frame) == (120, 120, 200, 200)


# --- windows


@pytest.mark.parametrize(("width", "height"), [(1500, 300), (300, 1500), (540, 1170), (9000, 300)])
def test_windows_cover_a_long_picture_and_overlap(width, height) -> None:
    found = parts(noise(SIDE, SIDE), width, height)
    assert 2 <= len(found) <= MAX_CROPS
    along = 0 if width > height else 1
    assert found[0][along] == 0 and found[-1][along + 2] == max(width, height)
    for before, after in pairwise(found):
        assert after[along] < before[along + 2]
    assert all(box[1 - along] == 0 for box in found)
    assert all(box[3 - along] == min(width, height) for box in found)


@pytest.mark.parametrize(("width", "height"), [(640, 480), (480, 640), (1600, 900), (900, 1600)])
def test_ordinary_shapes_have_no_windows(width, height) -> None:
    assert parts(noise(SIDE, SIDE), width, height) == ()


def test_one_long_thing_on_one_colour_has_no_windows_but_several_have() -> None:
    frame = framed((10, 130, 310, 190))
    assert plain_share(frame) > 0.7
    assert parts(frame, round(SIDE * WIDE) + 10, SIDE) == ()
    frame[:, 150:170] = WHITE
    assert len(parts(frame, round(SIDE * WIDE) + 10, SIDE)) > 1


# --- collages


def collage(gutter: int = 0) -> np.ndarray:
    half = (SIDE - gutter) // 2
    frame = canvas()
    for place, (row, column) in enumerate(product(range(2), repeat=2)):
        top, left = row * (half + gutter), column * (half + gutter)
        dark = smooth(half, half, place) // 3
        frame[top : top + half, left : left + half] = dark + 80 * np.uint8((row + column) % 2)
    return frame


@pytest.mark.parametrize("gutter", [0, 4, 10])
def test_the_cells_of_a_collage_are_parts(gutter) -> None:
    found = parts(collage(gutter), SIDE, SIDE)
    assert len(found) == 4
    half = SIDE / 2
    for box, (row, column) in zip(found, product(range(2), repeat=2), strict=True):
        corner = (column * half, row * half, (column + 1) * half, (row + 1) * half)
        assert box == pytest.approx(corner, abs=10)


def test_a_cell_of_one_colour_is_left_out() -> None:
    frame = collage()
    frame[160:, 160:] = 255
    assert len(parts(frame, SIDE, SIDE)) == 3


def test_one_seam_makes_no_collage() -> None:
    frame = smooth(SIDE, SIDE) // 3
    frame[:, 160:] += 100
    assert parts(frame, SIDE, SIDE) == ()


def test_tiles_make_no_collage() -> None:
    assert parts(noise(SIDE, SIDE), SIDE, SIDE) == ()


# --- odd inputs


@pytest.mark.parametrize("shape", [(32, 32), (32, 320), (320, 32), (33, 47)])
@pytest.mark.parametrize("size", [(16, 16), (16, 50_000), (50_000, 16), (640, 480)])
def test_parts_lie_within_any_picture_and_are_few(shape, size) -> None:
    width, height = size
    chance = np.random.default_rng(3)
    for trial in range(20):
        frame = canvas(WHITE, *shape)
        top, left = chance.integers(0, shape[0]), chance.integers(0, shape[1])
        rest = frame[top : top + chance.integers(1, 40), left : left + chance.integers(1, 40)]
        rest[...] = chance.integers(0, 256, rest.shape)
        found = parts(frame, width, height) + parts(noise(*shape, trial), width, height)
        assert len(found) <= 2 * MAX_CROPS
        for left, top, right, bottom in found:
            assert 0 <= left < right <= width and 0 <= top < bottom <= height


# --- in files


def test_a_small_photograph_is_decoded_at_the_scale_that_its_view_needs() -> None:
    big = Image.new("RGB", (1600, 1200), "white")
    photo = photograph(400, 300)
    big.paste(photo, (600, 450))
    image = decoded(big, "JPEG")
    whole, part = image.frames
    assert image.views[0] == View()
    assert boxes(image)[0] == pytest.approx((560, 420, 1040, 780), abs=8)
    left, top, right, bottom = boxes(image)[0]
    alone = decoded(big.crop((left, top, right, bottom)), "JPEG").frames[0]
    # Drafted for the whole, its blocks of eight pixels would be two pixels wide.
    assert np.abs(part.astype(int) - alone).mean() < 25
    assert whole.shape == part.shape == (SIDE, SIDE, 3)


@pytest.mark.parametrize("turn", [6, 8])
def test_boxes_are_of_the_upright_picture(turn) -> None:
    big = Image.new("RGB", (1600, 1200), "white")
    big.paste(photograph(400, 300), (100, 200))
    exif = Image.Exif()
    exif[0x0112] = turn
    file = io.BytesIO()
    big.save(file, "JPEG", exif=exif)
    image = decode(file.getvalue(), SPEC, max_pixels=10**8, max_frames=1)
    assert (image.width, image.height) == (1200, 1600)
    expected = (670, 60, 1030, 540) if turn == 6 else (170, 1060, 530, 1540)
    assert boxes(image)[0] == pytest.approx(expected, abs=8)


def test_what_is_transparent_is_a_margin_on_both_backgrounds() -> None:
    layer = Image.new("RGBA", (640, 480), (0, 0, 0, 0))
    layer.paste(photograph(160, 120).convert("RGBA"), (200, 200))
    image = decoded(layer)
    found = [(view.background, view.box) for view in image.views]
    assert [background for background, _ in found] == ["white", "black", "white", "black"]
    assert boxes(image) == [pytest.approx((184, 188, 376, 332), abs=4)] * 2


@pytest.mark.parametrize("max_frames", [1, 3])
def test_views_of_an_animation_stay_within_what_a_picture_may_have(max_frames) -> None:
    frames = [photograph(1500, 300, seed) for seed in range(5)]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    image = decode(file.getvalue(), SPEC, max_pixels=10**8, max_frames=max_frames)
    assert image.layout.sound(max_frames)
    assert boxes(image)


def test_parts_of_one_frame_leave_room_for_those_of_others() -> None:
    small = Image.new("RGB", (1500, 320), "white")
    small.paste(photograph(240, 160, 9), (900, 80))
    file = io.BytesIO()
    decoys = [photograph(1500, 320, seed) for seed in range(2)]
    decoys[0].save(file, "WEBP", save_all=True, append_images=[decoys[1], small], lossless=True)
    image = decode(file.getvalue(), SPEC, max_pixels=10**8, max_frames=3)
    assert len(image.views) == most_views(3)
    around = [view.box for view in image.views if view.frame == 2 and view.box is not None]
    assert any(box[0] <= 900 and box[2] >= 1140 for box in around)


def test_parts_on_two_backgrounds_are_what_a_picture_may_have() -> None:
    layer = photograph(1500, 300).convert("RGBA")
    layer.putalpha(200)
    image = decoded(layer)
    assert len(boxes(image)) > MAX_CROPS
    assert image.layout.sound(3)


def test_nobody_can_know_which_parts_there_is_no_room_for() -> None:
    frames = [photograph(1500, 300, seed) for seed in range(3)]
    file = io.BytesIO()
    frames[0].save(file, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    seen = {
        box
        for seed in range(8)
        for box in boxes(decode(file.getvalue(), SPEC, max_pixels=10**8, max_frames=3, seed=seed))
    }
    (every,) = {tuple(boxes(decoded(frame))) for frame in frames}
    assert seen == set(every)


@pytest.mark.parametrize("missing", [300, 700, 1_100])
@pytest.mark.parametrize("turn", [1, 6])
def test_filling_of_what_a_cut_file_lacks_hides_no_margin(missing, turn) -> None:
    big = Image.new("RGB", (1600, 1200), "white")
    big.paste(photograph(400, 300), (600, 450))
    exif = Image.Exif()
    exif[0x0112] = turn
    file = encoded(big, "JPEG", exif=exif)
    image = decode(file[:-missing], SPEC, max_pixels=10**8, max_frames=1)
    assert image.partial
    left, top, right, bottom = boxes(image)[0]
    assert right - left < image.width / 2 and bottom - top < image.height / 2


@pytest.mark.parametrize("line", [np.s_[:], np.s_[::-1]])
def test_two_colours_in_a_line_are_a_margin_of_filling(line) -> None:
    frame = framed((120, 120, 200, 200))
    frame[300:] = 128
    frame[296:300, 100:] = 128
    assert content(frame[line], filled=True) == (120, 120, 200, 200)
    assert content(noise(SIDE, SIDE), filled=True) == (0, 0, SIDE, SIDE)
    slim = framed((120, 130, 160, 146))
    slim[300:] = 128
    slim[296:300, 100:] = 128
    left, _, right, _ = content(slim[line], filled=True)
    assert (left, right) == (120, 160)
