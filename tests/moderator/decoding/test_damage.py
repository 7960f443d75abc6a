"""Damaged files are judged by what browsers show of them, and say that they are damaged."""

import random
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from moderator.decoding.decode import CAUSES, Undecodable, upright
from moderator.decoding.repair import MAX_FILLING, mended, skimmed
from moderator.decoding.view import WHOLE
from tests.moderator.pictures import (
    FORMATS,
    UPRIGHT,
    animation,
    cause,
    corners,
    decoded,
    encoded,
    picture,
)
from tests.moderator.profiles import chunk, with_chunks

NOISE = Image.fromarray(np.random.default_rng(1).integers(0, 256, (128, 128, 3), np.uint8))
PNG = encoded(picture(), "PNG")


def dotted(side: int = 128) -> Image.Image:
    """The picture of four colours with a little noise, so that every part of it has bytes."""
    pixels = np.asarray(picture(side, side)).astype(int)
    noise = np.random.default_rng(2).integers(-12, 12, pixels.shape)
    return Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8))


def bad_crc(kind: bytes, body: bytes) -> bytes:
    return chunk(kind, body)[:-1] + b"?"


def idat(png: bytes, change) -> bytes:
    at = png.index(b"IDAT")
    length = int.from_bytes(png[at - 4 : at], "big")
    body = change(png[at + 4 : at + 4 + length])
    return png[: at - 4] + chunk(b"IDAT", body) + png[at + 8 + length :]


# --- what is optional is skipped, and takes nothing away


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"zTXt", b"name\0\0" + zlib.compress(bytes(3 * 2**20))),
        chunk(b"iTXt", b"name\0\1\0\0\0" + zlib.compress(bytes(3 * 2**20))),
        chunk(b"tEXt", b"name\0" + b"x" * (2 * 2**20)),
        chunk(b"tEXt", b""),
        chunk(b"zTXt", b"name\0\0no deflate"),
        chunk(b"iTXt", b"name"),
        bad_crc(b"tEXt", b"name\0text"),
        bad_crc(b"pHYs", bytes(9)),
        bad_crc(b"iCCP", b"x\0\0" + zlib.compress(b"profile")),
        bad_crc(b"tRNS", bytes(6)),
        chunk(b"pHYs", b""),
        chunk(b"gAMA", b""),
        chunk(b"cHRM", b"short"),
        chunk(b"sRGB", b""),
        chunk(b"eXIf", b"no exif"),
        chunk(b"iCCP", b"x"),
        chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(3 * 2**20))),
        chunk(b"tIME", bytes(3)),
        chunk(b"abCd", bytes(70_000)),
    ],
)
@pytest.mark.parametrize("before", [b"IDAT", b"IEND"])
def test_an_optional_chunk_of_a_png_is_no_reason_not_to_judge(extra, before) -> None:
    at = PNG.index(before) - 4
    image = decoded(PNG[:at] + extra + PNG[at:])
    assert corners(image.frames[0]) == UPRIGHT
    assert not image.partial


def test_many_texts_together_are_skipped() -> None:
    texts = [(b"zTXt", b"n\0\0" + zlib.compress(bytes(900_000)))] * 100
    image = decoded(with_chunks(PNG, *texts))
    assert corners(image.frames[0]) == UPRIGHT


def test_what_makes_transparent_counts_once_and_before_the_pixels() -> None:
    red = (b"tRNS", struct.pack(">3H", 230, 20, 20))
    plain = decoded(PNG).frames[0]
    assert np.array_equal(decoded(with_chunks(PNG, red, before=b"IEND")).frames[0], plain)
    other = (b"tRNS", struct.pack(">3H", 1, 2, 3))
    assert np.array_equal(decoded(with_chunks(PNG, other, red)).frames[0], plain)


# --- what ends early, or is damaged, is judged as far as it goes


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
@pytest.mark.parametrize("missing", [1, 2, 5])
def test_a_few_bytes_less_hide_nothing(kind, missing) -> None:
    data = encoded(dotted(), kind)[:-missing]
    image = decoded(data)
    assert corners(image.frames[0]) == UPRIGHT
    copy = upright(data, WHOLE, max_pixels=10**6, max_side=512)
    assert corners(np.asarray(copy)) == UPRIGHT


@pytest.mark.parametrize("kind", ["JPEG", "GIF", "WEBP"])
def test_a_file_that_ends_early_says_so(kind) -> None:
    assert decoded(encoded(dotted(), kind)[:-5]).partial
    assert not decoded(encoded(dotted(), kind)).partial


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "WEBP", "GIF"])
def test_of_half_a_file_the_half_is_judged(kind) -> None:
    options = {"interlace": 0} if kind == "GIF" else {}
    data = encoded(dotted(), kind, **options)
    image = decoded(data[: len(data) * 6 // 10])
    assert image.partial
    assert (image.width, image.height) == (128, 128)
    shown = corners(image.frames[0])
    # A BMP begins at its bottom.
    assert shown[2:] == UPRIGHT[2:] if kind == "BMP" else shown[:2] == UPRIGHT[:2]


def test_half_a_progressive_jpeg_is_the_whole_picture() -> None:
    data = encoded(dotted(), "JPEG", progressive=True, quality=90)
    for share in (0.5, 0.7, 0.9):
        image = decoded(data[: int(len(data) * share)])
        assert corners(image.frames[0]) == UPRIGHT
        assert image.partial


def test_a_progressive_jpeg_may_end_within_a_table() -> None:
    data = encoded(dotted(), "JPEG", progressive=True)
    tables = [at for at in range(len(data)) if data[at : at + 2] == b"\xff\xc4"]
    image = decoded(data[: tables[-1] + 7])
    assert corners(image.frames[0]) == UPRIGHT


@pytest.mark.parametrize("damage", [b"\xff\xc4\0\0", b"\0\0", b"\xff\xc4\0\x1b\x11\0\xff"])
def test_a_damaged_table_between_scans_hides_nothing_of_those_before(damage) -> None:
    data = encoded(dotted(), "JPEG", progressive=True)
    tables = [at for at in range(len(data)) if data[at : at + 2] == b"\xff\xc4"]
    for at in tables[3:]:
        damaged = data[:at] + damage + data[at + len(damage) :]
        assert corners(decoded(damaged).frames[0]) == UPRIGHT


def test_a_wrong_checksum_of_the_pixels_hides_nothing() -> None:
    data = encoded(dotted(), "PNG")
    image = decoded(idat(data, lambda body: body[:-4] + b"\0\0\0\0"))
    assert corners(image.frames[0]) == UPRIGHT
    assert image.partial
    at = data.index(b"IEND") - 8
    wrong = data[:at] + b"\0\0\0\0" + data[at + 4 :]
    assert corners(decoded(wrong).frames[0]) == UPRIGHT


def test_a_png_without_its_end_is_judged() -> None:
    for missing in (1, 4, 11, 12, 13, 16):
        assert corners(decoded(PNG[:-missing]).frames[0]) == UPRIGHT


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_an_animation_cut_in_a_later_frame_is_judged_by_what_is_there(kind) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (6, 64, 64, 3), np.uint8)
    frames = [Image.fromarray(each) for each in noise]
    options = {} if kind == "GIF" else {"lossless": True}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=40, **options)
    whole = decoded(data).frames[0]
    image = decoded(data[: len(data) // 2])
    assert image.partial
    assert 1 < image.reach < 6
    assert np.array_equal(image.frames[0], whole)


def test_a_gif_without_its_terminator_has_all_its_frames() -> None:
    frames = [dotted(64).rotate(90 * turn) for turn in range(4)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=40)
    sound = decoded(data)
    for cut in (1, 2):
        image = decoded(data[:-cut])
        assert image.reach == 4
        assert all(map(np.array_equal, image.frames, sound.frames))


@pytest.mark.parametrize("kind", FORMATS)
def test_what_shows_nothing_is_undecodable_as_it_was(kind) -> None:
    data = encoded(NOISE, kind)
    for length in (12, 30, 60):
        assert cause(data[:length]) in {"corrupt", "format"}


def test_a_jpeg_without_any_pixels_is_undecodable() -> None:
    data = encoded(NOISE, "JPEG")
    assert cause(data[: data.index(b"\xff\xda") + 14]) == "corrupt"


def test_a_cut_avif_is_undecodable_as_browsers_show_none_of_it() -> None:
    data = encoded(dotted(), "AVIF")
    for share in (0.3, 0.6, 0.95):
        assert cause(data[: int(len(data) * share)]) == "corrupt"


@pytest.mark.parametrize("name", ["jpeg-no-eoi.jpg", "jpeg-cut-5-bytes.jpg"])
def test_damage_costs_no_more_than_it_did(name) -> None:
    data = encoded(dotted(1_000), "JPEG", quality=95)
    cut = data[:-2] if "eoi" in name else data[:-5]
    exact = decoded(data).frames[0].astype(int)
    assert np.abs(decoded(cut).frames[0] - exact).mean() < 1


def test_a_damaged_webp_is_judged_as_far_as_it_goes() -> None:
    """Its pixels run out of bytes before the end, as other codes stand for more."""
    data = bytearray(encoded(dotted(), "WEBP", quality=90, exif=Image.Exif()))
    judged = 0
    for at in range(len(data) // 2, len(data), len(data) // 40):
        damaged = bytearray(data)
        damaged[at : at + 3] = b"\x55\xaa\x12"
        try:
            judged += corners(decoded(bytes(damaged)).frames[0])[:2] == UPRIGHT[:2]
        except Undecodable:
            continue
    assert judged > 15


def test_a_palette_that_is_too_large_to_be_true_is_cut() -> None:
    data = bytearray(encoded(dotted().quantize(200), "BMP"))
    data[46:50] = b"\0\1\0\xff"
    assert corners(decoded(bytes(data)).frames[0]) == UPRIGHT


def test_a_chunk_without_a_name_is_an_optional_one() -> None:
    nameless = struct.pack(">I", 4) + b"eXI\0" + bytes(8)
    at = PNG.index(b"IDAT") - 4
    image = decoded(PNG[:at] + nameless + PNG[at:])
    assert corners(image.frames[0]) == UPRIGHT
    assert not image.partial


# --- mending is linear and bounded, and never raises


@pytest.mark.parametrize("kind", [*FORMATS, "HEIC"])
def test_mending_takes_whatever_it_gets(kind) -> None:
    random_ = random.Random(5)
    data = encoded(dotted(64), kind) if kind in FORMATS else b""
    for length in [0, 1, 5, 9, 12, 13, 14, *(random_.randrange(len(data) + 1) for _ in range(200))]:
        part = bytearray(data[:length])
        for _ in range(random_.randint(0, 6)):
            if part:
                part[random_.randrange(len(part))] = random_.randrange(256)
        assert isinstance(skimmed(kind, bytes(part)), bytes)
        again = mended(kind, bytes(part))
        assert again is None or len(again) <= (1 + MAX_FILLING) * len(part) + 100


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("PNG", PNG[:8] + chunk(b"tEXt", b"") * 600_000),
        ("PNG", PNG[:8] + chunk(b"fcTL", b"") * 600_000),
        ("GIF", b"GIF89a" + bytes(7) + b"\x21\xfe\x01a\x00" * 1_500_000),
        ("GIF", b"GIF89a" + bytes(7) + b"x" * 8_000_000),
        ("JPEG", b"\xff\xd8\xff" + b"\xff" * 8_000_000),
        ("JPEG", b"\xff\xd8" + b"\xff\xe0\x00\x02" * 2_000_000),
        ("WEBP", b"RIFF\xff\xff\xff\xffWEBPVP8X" + b"\x02" * 30 + b"ANMF\0\0\0\0" * 1_000_000),
    ],
)
def test_mending_is_linear(kind, data) -> None:
    begun = time.process_time()
    skimmed(kind, data)
    mended(kind, data)
    assert time.process_time() - begun < 15


def test_a_webp_that_claims_too_much_is_not_filled_up() -> None:
    data = encoded(dotted(), "WEBP")
    assert mended("WEBP", data[:16] + struct.pack("<I", 2**31) + data[20:-9]) is None


def test_damage_of_any_kind_ends_as_it_should() -> None:
    random_ = random.Random(11)
    sources = [encoded(dotted(48), kind) for kind in FORMATS]
    sources += [animation(kind, 3, 32) for kind in ("PNG", "WEBP", "GIF")]
    outcomes = set()
    for _ in range(400):
        data = bytearray(random_.choice(sources))
        for _ in range(random_.randint(0, 5)):
            data[random_.randrange(len(data))] = random_.randrange(256)
        try:
            image = decoded(bytes(data[: random_.randrange(8, len(data) + 1)]))
            outcomes.add("partial" if image.partial else "decoded")
        except Undecodable as error:
            outcomes.add(error.cause)
    assert {"partial", "decoded", "corrupt"} <= outcomes
    assert outcomes <= {"partial", "decoded", *CAUSES}


@pytest.mark.skipif(not Path("../shared/faults/cases").is_dir(), reason="the cases are not here")
def test_the_cases_of_the_review_are_decoded() -> None:
    names = ["jpeg-no-eoi.jpg", "jpeg-cut-5-bytes.jpg", "png-itxt-2mb.png", "png-text-crc.png"]
    names += ["png-ztxt-3mb.png", "gif-no-terminator.gif"]
    for name in names:
        data = (Path("../shared/faults/cases") / name).read_bytes()
        sound = Path("../shared/faults/cases") / ("control" + Path(name).suffix)
        image = decoded(data)
        if sound.exists():
            exact = decoded(sound.read_bytes()).frames[0].astype(int)
            assert np.abs(image.frames[0] - exact).mean() < 3, name
