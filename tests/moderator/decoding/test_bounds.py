"""How many pixels a file may hold."""

import io

import pytest
from PIL import Image

from moderator.concerns.limits import Limits
from moderator.decoding.bounds import BYTES_PER_PIXEL, FREE_PIXELS, most_pixels
from moderator.decoding.decode import DECODERS, Undecodable, decode
from tests.moderator.pictures import SPEC, encoded, solid

MOST = Limits().max_image_pixels


def test_every_format_has_a_cost() -> None:
    assert set(BYTES_PER_PIXEL) == set(DECODERS)


@pytest.mark.parametrize("kind", sorted(DECODERS))
def test_a_photograph_of_33_megapixels_is_within_the_defaults(kind) -> None:
    assert most_pixels(kind, 8 * 2**20, MOST, Limits().decode_memory) >= 7_680 * 4_320


def test_what_is_allowed_grows_with_the_file_and_ends_at_the_limit() -> None:
    assert most_pixels("PNG", 46, MOST, None) < FREE_PIXELS + 2**20
    assert most_pixels("PNG", 2**20, MOST, None) == MOST
    assert most_pixels("PNG", 46, 1_000, None) == 1_000


@pytest.mark.parametrize("kind", sorted(DECODERS))
def test_no_pixels_fit_into_no_memory(kind) -> None:
    assert most_pixels(kind, 0, MOST, 0) == 0


def test_a_small_webp_that_states_64_megapixels_is_refused_by_its_header() -> None:
    data = encoded(solid((1, 2, 3), 8_000, 8_000), "WEBP", method=0, lossless=True)
    with pytest.raises(Undecodable) as caught:
        decode(data, SPEC, max_pixels=MOST, max_frames=3)
    assert len(data) < 4_096
    assert caught.value.cause == "pixels"


@pytest.mark.parametrize(
    ("kind", "mode"), [("PNG", "RGB"), ("PNG", "1"), ("JPEG", "L"), ("GIF", "P"), ("WEBP", "RGB")]
)
def test_a_uniform_picture_of_a_camera_s_size_is_judged(kind, mode) -> None:
    file = io.BytesIO()
    Image.new(mode, (4_000, 3_000)).save(file, kind)
    found = decode(
        file.getvalue(), SPEC, max_pixels=MOST, max_frames=3, memory=Limits().decode_memory
    )
    assert (found.width, found.height) == (4_000, 3_000)


def test_a_picture_that_would_not_fit_into_the_memory_is_refused_by_its_header() -> None:
    data = encoded(solid((1, 2, 3), 2_000, 2_000), "PNG")
    with pytest.raises(Undecodable) as caught:
        decode(data, SPEC, max_pixels=MOST, max_frames=3, memory=64 * 2**20)
    assert caught.value.cause == "pixels"
