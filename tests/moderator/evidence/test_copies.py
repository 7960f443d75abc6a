"""Safe copies: what they show, what they never hold, and that a bad image costs only itself."""

import io
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image, ImageCms

from models.spec import InputSpec
from moderator.decoding.copies import CopyPool
from moderator.decoding.decode import Undecodable
from moderator.decoding.decoder import DecodeLimits
from moderator.decoding.safe_copy import is_plain, safe_copy
from moderator.decoding.view import WHOLE, View

LIMITS = DecodeLimits(max_pixels=4_000_000, max_frames=3, timeout=10, memory=2**30)
FIGURES = {"max_pixels": 4_000_000, "max_side": 128}
SECRET = b"52.5200 N 13.4050 E"


def halves(width: int = 200, height: int = 100) -> Image.Image:
    """Return a picture that is red on the left and blue on the right."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2, 0] = pixels[:, width // 2 :, 2] = 220
    return Image.fromarray(pixels)


def burdened(kind: str) -> bytes:
    """Return a picture lying on its side, with all that a file can say besides its pixels."""
    image = halves()
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = SECRET.decode()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    more = {"comment": SECRET} if kind in ("JPEG", "GIF") else {}
    file = io.BytesIO()
    image.save(file, kind, exif=exif, icc_profile=profile, xmp=SECRET, **more)
    return file.getvalue()


def noise() -> bytes:
    """Return a PNG that takes a while to decode and compresses badly."""
    file = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (900, 900, 3), np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def pool() -> Iterator[CopyPool]:
    pool = CopyPool(InputSpec(((64, 64),)), processes=1, limits=LIMITS, max_side=128)
    yield pool
    pool.close()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_a_copy_holds_upright_pixels_and_nothing_else_of_the_file(kind) -> None:
    data = burdened(kind)
    if kind != "TIFF":
        assert SECRET in data
    copy = safe_copy(data, WHOLE, **FIGURES)
    image = Image.open(io.BytesIO(copy.data))
    assert (image.format, image.size) == ("JPEG", (64, 128))
    assert SECRET not in copy.data
    assert not image.getexif()
    assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert is_plain(copy.data)
    top, bottom = image.getpixel((32, 16)), image.getpixel((32, 112))
    assert top[0] > 150 > top[2] and bottom[2] > 150 > bottom[0]


def test_a_copy_shows_the_frame_that_is_asked_for() -> None:
    frames = [Image.new("RGB", (64, 64), (n * 80, 0, 0)) for n in range(4)]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=100)
    shown = [safe_copy(file.getvalue(), View(n), **FIGURES).data for n in (0, 1, 3)]
    reds = [Image.open(io.BytesIO(each)).getpixel((32, 32))[0] for each in shown]
    assert reds == pytest.approx([0, 80, 240], abs=6)


def test_a_copy_shows_the_background_that_is_asked_for() -> None:
    image = halves().convert("RGBA")
    image.putalpha(0)
    file = io.BytesIO()
    image.save(file, "PNG")
    for background, grey in (("white", 255), ("black", 0)):
        copy = safe_copy(file.getvalue(), View(0, background), **FIGURES).data
        assert Image.open(io.BytesIO(copy)).getpixel((64, 32)) == (grey,) * 3


def test_a_copy_of_a_part_shows_the_whole() -> None:
    data = burdened("PNG")
    part = View(0, None, (0, 0, 10, 10))
    assert safe_copy(data, part, **FIGURES).data == safe_copy(data, WHOLE, **FIGURES).data


def test_a_frame_that_is_not_there_is_no_copy() -> None:
    for data in (burdened("PNG"), burdened("GIF"), burdened("TIFF")):
        with pytest.raises(Undecodable):
            safe_copy(data, View(1), **FIGURES)


def test_the_same_bytes_give_the_same_copy() -> None:
    data = burdened("JPEG")
    assert safe_copy(data, WHOLE, **FIGURES).data == safe_copy(data, WHOLE, **FIGURES).data


def test_what_is_not_plain_is_told_from_a_copy() -> None:
    plain = safe_copy(burdened("PNG"), WHOLE, **FIGURES).data
    assert not is_plain(burdened("JPEG"))
    assert not is_plain(plain + b"more")
    assert not is_plain(plain[:-2])
    assert not is_plain(plain[:20] + b"\xff\xe1\x00\x04hi" + plain[20:])
    assert not is_plain(plain[:20] + b"\xff\xfe\x00\x04hi" + plain[20:])
    assert not is_plain(b"")
    assert not is_plain(b"<html>")


@pytest.mark.slow
def test_copies_are_made_in_processes_of_their_own(pool) -> None:
    data = burdened("JPEG")
    for _ in range(12):
        assert pool.copied(data, WHOLE, 60) == safe_copy(data, WHOLE, **FIGURES).data
    assert is_plain(pool.copied(noise(), WHOLE, 60))
    for bad in (b"", b"no image", data[:300]):
        with pytest.raises(Undecodable):
            pool.copied(bad, WHOLE, 60)
    assert pool.copied(data, WHOLE, 60) == safe_copy(data, WHOLE, **FIGURES).data


@pytest.mark.slow
def test_a_copy_that_nobody_waits_for_gives_its_slot_back(pool) -> None:
    data, large = burdened("JPEG"), noise()
    for _ in range(20):
        with pytest.raises(TimeoutError):
            pool.copied(large, WHOLE, 0)
    assert pool.copied(data, WHOLE, 60) == safe_copy(data, WHOLE, **FIGURES).data
