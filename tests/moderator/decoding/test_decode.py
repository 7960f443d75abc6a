"""Decoding: every format to the same upright picture, and everything else to its cause."""

import pickle
import random
import struct
import subprocess
import sys
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from moderator.decoding.decode import CAUSES, MIN_SIDE, TURNS, Undecodable
from moderator.decoding.formats import sniff
from tests.moderator.pictures import (
    ANIMATED,
    FORMATS,
    SPEC,
    UPRIGHT,
    animation,
    cause,
    corners,
    decoded,
    encoded,
    picture,
    png_header,
    solid,
)

# --- formats


@pytest.mark.parametrize("kind", FORMATS)
def test_each_format_gives_the_picture(kind) -> None:
    image = decoded(encoded(picture(), kind))
    assert (image.width, image.height) == (128, 128)
    assert len(image.frames) == 1
    (frame,) = image.frames
    assert frame.shape == (64, 64, 3)
    assert frame.dtype == np.uint8
    assert frame.flags.c_contiguous
    assert corners(frame) == UPRIGHT


@pytest.mark.parametrize("kind", FORMATS)
def test_each_format_is_known_by_its_first_bytes_alone(kind) -> None:
    assert sniff(encoded(picture(), kind)) == kind


@pytest.mark.parametrize("kind", ["AVIF"])
def test_half_an_animation_is_undecodable(kind) -> None:
    data = animation(kind, 12)
    assert cause(data[: len(data) // 2]) == "corrupt"


@pytest.mark.parametrize(
    "data",
    [
        b"A text file that somebody named photo.jpg",
        b"\0",
        b"%PDF-1.7\n" + bytes(100),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        encoded(picture(), "JPEG2000"),
        encoded(picture(), "ICO"),
        encoded(picture(), "PPM"),
        encoded(picture(), "TGA"),
        encoded(picture(), "PCX"),
    ],
)
def test_other_formats_are_not_even_tried(data) -> None:
    assert cause(data) == "format"


def test_no_bytes_are_empty() -> None:
    assert cause(b"") == "empty"


@pytest.mark.parametrize(
    "start",
    [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0", b"RIFF\0\0\0\0WEBP"],
)
def test_a_known_beginning_alone_is_corrupt(start) -> None:
    assert cause(start) == "corrupt"
    assert cause(start + bytes(200)) in {"corrupt", "too-small"}


def test_an_error_crosses_process_borders_whole() -> None:
    again = pickle.loads(pickle.dumps(Undecodable("pixels")))
    assert (again.cause, str(again)) == ("pixels", "the image cannot be decoded: pixels")


# --- sizes


@pytest.mark.parametrize(("width", "height"), [(60_000, 60_000), (1_200, 1_200), (1001, 1000)])
def test_too_many_pixels_are_refused_by_the_header(width, height) -> None:
    tracemalloc.start()
    try:
        assert cause(png_header(width, height)) == "pixels"
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", FORMATS)
def test_the_cap_on_pixels_holds_for_every_format(kind) -> None:
    data = encoded(picture(128, 128), kind)
    assert decoded(data, max_pixels=128 * 128).width == 128
    assert cause(data, max_pixels=128 * 128 - 1) == "pixels"
    assert cause(data, max_pixels=100) == "pixels"


def test_a_bomb_of_zeros_is_refused() -> None:
    data = encoded(Image.new("L", (8_000, 8_000)), "PNG")
    assert len(data) < 100_000
    assert cause(data) == "pixels"


@pytest.mark.parametrize(
    ("width", "height"), [(1, 1), (MIN_SIDE - 1, MIN_SIDE), (MIN_SIDE, MIN_SIDE - 1), (1, 5_000)]
)
def test_what_is_too_small_is_not_scored(width, height) -> None:
    assert cause(encoded(solid((9, 9, 9), width, height), "PNG")) == "too-small"


def test_the_smallest_image_is_decoded() -> None:
    image = decoded(encoded(picture(MIN_SIDE, MIN_SIDE), "PNG"))
    assert corners(image.frames[0]) == UPRIGHT


@pytest.mark.parametrize(("width", "height"), [(20_000, 16), (16, 20_000), (3_000, 17)])
def test_extreme_shapes_are_decoded(width, height) -> None:
    for kind in ("PNG", "JPEG"):
        image = decoded(encoded(picture(width, height), kind))
        assert (image.width, image.height) == (width, height)
        assert image.frames[0].shape == ((48, 96, 3) if width > height else (96, 48, 3))
        assert corners(image.frames[0]) == UPRIGHT


def test_a_large_jpeg_is_drafted_but_reported_in_full() -> None:
    data = encoded(picture(900, 600), "JPEG", quality=95)
    image = decoded(data)
    assert (image.width, image.height) == (900, 600)
    exact = np.asarray(picture(900, 600).resize((96, 48)), np.int16)
    assert np.abs(image.frames[0] - exact).mean() < 4


# --- orientation


def with_orientation(kind: str, value: object, width: int, height: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = value
    return encoded(picture(width, height), kind, exif=exif)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_the_picture_upright(kind, orientation) -> None:
    upright = picture(160, 80)
    turned = upright
    if orientation > 1:
        undo = {6: TURNS[8], 8: TURNS[6]}.get(orientation, TURNS[orientation])
        turned = upright.transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = decoded(encoded(turned, kind, exif=exif))
    assert (image.width, image.height) == (160, 80)
    assert image.frames[0].shape == (48, 96, 3)
    assert corners(image.frames[0]) == UPRIGHT


@pytest.mark.parametrize("orientation", [0, 9, 65_535])
def test_an_orientation_that_does_not_exist_changes_nothing(orientation) -> None:
    image = decoded(with_orientation("JPEG", orientation, 128, 128))
    assert corners(image.frames[0]) == UPRIGHT


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0",
        b"Exif\0\0II*\0",
        b"Exif\0\0garbage that is no TIFF header at all",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01\x0c\0\xff\xff\xff\xff" * 20,
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x05\0\0\0\xff\xff\xff\x7f",
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG"])
def test_broken_exif_is_no_reason_not_to_judge(kind, exif) -> None:
    image = decoded(encoded(picture(), kind, exif=exif))
    assert corners(image.frames[0]) == UPRIGHT


def test_an_orientation_in_xmp_is_ignored_as_viewers_do() -> None:
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="3"/></x:xmpmeta>'
    image = decoded(encoded(picture(), "JPEG", xmp=xmp))
    assert corners(image.frames[0]) == UPRIGHT


# --- the decoder as a whole


def test_no_error_but_its_own_for_any_damage() -> None:
    random_ = random.Random(7)
    sources = [encoded(picture(64, 48), kind) for kind in FORMATS]
    sources += [animation(kind, 3, 32) for kind in ANIMATED]
    outcomes = set()
    for _ in range(60):
        data = bytearray(random_.choice(sources))
        for _ in range(random_.randint(1, 12)):
            data[random_.randrange(len(data))] = random_.randrange(256)
        try:
            image = decoded(bytes(data))
        except Undecodable as error:
            outcomes.add(error.cause)
        else:
            assert all(frame.shape[:2] in SPEC.sizes for frame in image.frames)
            outcomes.add("decoded")
    assert {"decoded", "corrupt"} <= outcomes <= {"decoded", *CAUSES}


def test_decoding_never_imports_torch() -> None:
    code = (
        "import sys, moderator.decoding.decode_process;"
        "print([m for m in sys.modules if 'torch' in m])"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert printed.strip() == "[]"


@pytest.mark.parametrize("kind", ["iTXt", "tEXt", "zTXt"])
@pytest.mark.parametrize("behind", [False, True])
def test_an_orientation_in_a_pngs_xmp_is_ignored_wherever_it_stands(kind, behind) -> None:
    name = b"XML:com.adobe.xmp" if kind == "iTXt" else b"xmp"
    body = b'<rdf:Description tiff:Orientation="3"/>'
    rest = {"iTXt": bytes(5) + body, "tEXt": b"\0" + body, "zTXt": bytes(2) + zlib.compress(body)}
    chunk = kind.encode() + name + rest[kind]
    whole = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    data = encoded(picture(), "PNG")
    at = data.index(b"IEND" if behind else b"IDAT") - 4
    image = decoded(data[:at] + whole + data[at:])
    assert corners(image.frames[0]) == UPRIGHT
