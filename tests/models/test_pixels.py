import io

import numpy as np
import pytest
from PIL import Image

from models.pixels import ORIENTATION, draft, prepare
from models.spec import InputSpec

SPEC = InputSpec(((64, 64), (48, 96), (96, 48)))


def picture(width: int, height: int) -> Image.Image:
    across, down = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([across, down, across * 0 + 90], axis=-1).astype(np.uint8))


@pytest.mark.parametrize(
    ("size", "shape"),
    [((64, 64), (64, 64)), ((500, 480), (64, 64)), ((400, 200), (48, 96)), ((10, 40), (96, 48))],
)
def test_an_image_becomes_the_pixels_of_its_bucket(size, shape) -> None:
    pixels = prepare(picture(*size), SPEC)
    assert pixels.shape == (*shape, 3)
    assert pixels.dtype == np.uint8
    assert pixels.flags["C_CONTIGUOUS"]
    middle = pixels[shape[0] // 2, shape[1] // 2].astype(int)
    assert np.abs(middle - [128, 128, 90]).max() < 16


def test_an_image_of_the_right_size_stays_as_it_is() -> None:
    image = picture(96, 48)
    assert np.array_equal(prepare(image, SPEC), np.asarray(image))


@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK", "P"])
def test_only_rgb_is_taken(mode) -> None:
    with pytest.raises(ValueError, match=mode):
        prepare(picture(64, 64).convert(mode), SPEC)


@pytest.mark.parametrize("turn", [1, 3, 6, 8])
def test_a_jpeg_is_decoded_small_but_not_below_its_bucket(turn) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = turn
    file = io.BytesIO()
    picture(1600, 800).save(file, "JPEG", exif=exif)
    image = Image.open(file)
    draft(image, SPEC)
    assert image.size == (200, 100)
    full, small = (prepare(each.convert("RGB"), SPEC) for each in (Image.open(file), image))
    assert np.abs(full.astype(int) - small).mean() < 3


def test_another_format_is_left_alone() -> None:
    file = io.BytesIO()
    picture(800, 400).save(file, "PNG")
    image = Image.open(file)
    draft(image, SPEC)
    assert image.size == (800, 400)
