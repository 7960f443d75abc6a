"""HEIC, as iPhones write it: decoded in the cage with the extra, of no format without."""

import random

import numpy as np
import pytest
from PIL import Image

from moderator.decoding import heif, sandbox
from moderator.decoding.decode import CAUSES, Undecodable, upright
from moderator.decoding.decoders import DecodeLimits, DecodePool
from moderator.decoding.formats import sniff
from moderator.decoding.view import WHOLE
from moderator.slots import SlotArena
from tests.moderator.pictures import SPEC, UPRIGHT, cause, corners, decoded, encoded, picture
from tests.moderator.profiles import STEP, of_curve, secret

pillow_heif = pytest.importorskip("pillow_heif")


@pytest.fixture(autouse=True, scope="module")
def encoder():
    pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)


def heic(image: Image.Image, **options: object) -> bytes:
    return encoded(image, "HEIF", **{"quality": 95, **options})


def test_a_heic_is_judged_and_shown() -> None:
    data = heic(picture())
    assert sniff(data) == "HEIC"
    image = decoded(data)
    assert (image.width, image.height) == (128, 128)
    assert corners(image.frames[0]) == UPRIGHT
    assert corners(np.asarray(upright(data, WHOLE, max_pixels=10**6, max_side=512))) == UPRIGHT


def test_tiles_are_put_together() -> None:
    image = decoded(heic(picture(900, 700), tile_size=256))
    assert (image.width, image.height) == (900, 700)
    assert corners(image.frames[0]) == UPRIGHT


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_once(orientation) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    source = picture(160, 80) if orientation < 5 else picture(80, 160)
    image = decoded(heic(source, exif=exif.tobytes()))
    assert (image.width, image.height) == (160, 80)
    plain = encoded(source, "TIFF", exif=exif)
    assert corners(image.frames[0]) == corners(decoded(plain).frames[0])


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0", b"Exif\0\0garbage", b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01" * 40]
)
def test_broken_exif_is_no_reason_not_to_judge(exif) -> None:
    data = heic(picture(), exif=b"Exif\0\0MM\0*" + bytes(80))
    damaged = data.replace(b"MM\0*" + bytes(80), exif[6:].ljust(84, b"\1")[:84])
    assert damaged != data
    assert corners(decoded(damaged).frames[0]) == UPRIGHT


def test_transparency_is_judged_on_white_and_black() -> None:
    source = picture().convert("RGBA")
    source.putalpha(Image.linear_gradient("L").resize((128, 128)))
    image = decoded(heic(source))
    assert [view.background for view in image.views] == ["white", "black"]
    light, dark = (int(frame[:8].mean()) for frame in image.frames)
    assert light > 220
    assert dark < 30


def test_the_primary_picture_alone_counts() -> None:
    others = [Image.new("RGB", (64, 64), shade) for shade in ("white", "black")]
    data = heic(others[0], save_all=True, append_images=[picture(), others[1]], primary_index=1)
    image = decoded(data)
    assert len(image.frames) == image.reach == 1
    assert corners(image.frames[0]) == UPRIGHT


def test_its_profile_is_applied() -> None:
    data = heic(secret().convert("RGB"), quality=-1, icc_profile=of_curve(STEP))
    frame = decoded(data).frames[0]
    assert frame[:, -20:].mean() - frame[:, :20].mean() > 60


def test_too_many_pixels_are_refused_by_the_header() -> None:
    assert cause(heic(picture()), max_pixels=128 * 128 - 1) == "pixels"


def test_no_thread_is_started() -> None:
    decoded(heic(picture()))
    library = heif._library()
    assert library.de265_start_worker_threads(None, 4) == 0


def test_damage_ends_as_it_should() -> None:
    random_, data = random.Random(5), heic(picture(64, 64))
    outcomes = set()
    for _ in range(150):
        damaged = bytearray(data)
        for _ in range(random_.randint(1, 5)):
            damaged[random_.randrange(len(data))] = random_.randrange(256)
        try:
            decoded(bytes(damaged[: random_.randrange(30, len(data) + 1)]))
            outcomes.add("decoded")
        except Undecodable as error:
            outcomes.add(error.cause)
    assert outcomes <= {"decoded", *CAUSES}
    assert cause(data[: len(data) // 2]) == "corrupt"


def test_without_the_extra_it_is_of_no_format_that_is_judged(monkeypatch) -> None:
    data = heic(picture())
    monkeypatch.setattr(heif, "decoder", lambda: None)
    assert cause(data) == "format"


@pytest.mark.parametrize("brand", [b"hevc", b"mif1", b"msf1"])
def test_sequences_and_other_pictures_are_of_no_format_that_is_judged(brand) -> None:
    assert cause(b"\0\0\0\x14ftyp" + brand + b"\0\0\0\0" + brand) == "format"


@pytest.mark.slow
@pytest.mark.skipif(sandbox.refusal() is not None, reason="this system has no sandbox")
def test_it_is_decoded_in_the_cage() -> None:
    limits = DecodeLimits(
        max_pixels=2_000_000, max_frames=3, timeout=20.0, memory=2**30, sandbox="required"
    )
    arena = SlotArena.for_frames(4, SPEC, 3)
    pool = DecodePool(arena, SPEC, processes=1, limits=limits)
    try:
        for source in (heic(picture()), heic(picture(1_200, 900), tile_size=256)):
            decoded_ = pool.submit(source).result(60)
            (size,) = decoded_.layout.sizes
            frame = arena.frame(decoded_.slot, 0, *size).copy()
            pool.release(decoded_.slot)
            assert corners(frame) == UPRIGHT
    finally:
        pool.close()
        arena.close()
