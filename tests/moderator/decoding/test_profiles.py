"""Pictures with colour profiles, against what Chromium 156 and a colour-managed viewer show."""

import io
import random
import struct

import numpy as np
import pytest
from PIL import Image

from moderator.decoding import profiles, sandbox
from moderator.decoding.decode import CAUSES, Undecodable, upright
from moderator.decoding.decoders import DecodeLimits, DecodePool
from moderator.decoding.icc import LEVELS
from moderator.decoding.profiles import MAX_PROFILE
from moderator.decoding.view import WHOLE
from moderator.slots import SlotArena
from tests.moderator.pictures import SPEC, cause, decoded, encoded, picture
from tests.moderator.profiles import (
    CHRM,
    SRGB,
    STEP,
    gama,
    iccp,
    managed,
    of_curve,
    of_grey,
    of_table,
    secret,
    tags_of,
    with_chunks,
    written,
)

DARK = of_curve(LEVELS**6)
P3 = np.array([[0.5151, 0.2920, 0.1571], [0.2412, 0.6922, 0.0666], [-0.0011, 0.0419, 0.7841]])
TAGGED = {"JPEG": {"quality": 95}, "WEBP": {"lossless": True}, "AVIF": {"quality": 95}}


def tagged(image: Image.Image, kind: str, profile: bytes) -> bytes:
    return encoded(image, kind, icc_profile=profile, **TAGGED.get(kind, {}))


def copied(data: bytes) -> np.ndarray:
    """What reviewers see."""
    return np.asarray(upright(data, WHOLE, max_pixels=10**8, max_side=1280))


def contrast(pixels: np.ndarray) -> float:
    """How much lighter the right half is than the left one."""
    grey = pixels.mean(axis=2)
    return float(grey[:, -grey.shape[1] // 3 :].mean() - grey[:, : grey.shape[1] // 3].mean())


def bmp_with(image: Image.Image, profile: bytes) -> bytes:
    """A BMP of the fifth version, which Pillow does not write."""
    pixels = encoded(image, "BMP")[54:]
    sizes = struct.pack("<IiiHHII16x", 124, *image.size, 1, 24, 0, len(pixels))
    space = bytes(16) + b"DEBM" + bytes(48)
    place = struct.pack("<4I", 4, 124 + len(pixels), len(profile), 0)
    head = struct.pack("<2sIHHI", b"BM", 138 + len(pixels) + len(profile), 0, 0, 138)
    return head + sizes + space + place + pixels + profile


HIDDEN = {
    **{
        f"matrix in {kind}": lambda kind=kind: tagged(secret().convert("RGB"), kind, of_curve(STEP))
        for kind in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF")
    },
    **{
        f"table in {kind}": lambda kind=kind: tagged(
            secret().convert("RGB"), kind, of_table(b"RGB ", STEP)
        )
        for kind in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF")
    },
    **{
        f"grey in {kind}": lambda kind=kind: tagged(secret(), kind, of_grey(STEP))
        for kind in ("JPEG", "PNG", "TIFF")
    },
    **{
        f"RGB on grey in {kind}": lambda kind=kind: tagged(secret(), kind, of_curve(STEP))
        for kind in ("JPEG", "PNG", "TIFF")
    },
    **{
        f"CMYK in {kind}": lambda kind=kind: tagged(
            Image.merge("CMYK", [secret(low=130, high=126)] * 3 + [Image.new("L", (256, 192))]),
            kind,
            of_table(b"CMYK", STEP),
        )
        for kind in ("JPEG", "TIFF")
    },
    "matrix in BMP": lambda: bmp_with(secret().convert("RGB"), of_curve(STEP)),
    "palette": lambda: with_chunks(
        encoded(secret().convert("P"), "PNG"), iccp(of_curve(STEP)), before=b"PLTE"
    ),
    "transparent": lambda: tagged(
        Image.merge("RGBA", [secret()] * 3 + [Image.new("L", (256, 192), 255)]),
        "PNG",
        of_curve(STEP),
    ),
    "grey with alpha": lambda: tagged(
        Image.merge("LA", [secret(), Image.new("L", (256, 192), 255)]), "PNG", of_grey(STEP)
    ),
    "16 bits": lambda: tagged(
        Image.fromarray(np.asarray(secret()).astype(np.uint16) * 257), "PNG", of_grey(STEP)
    ),
    "A2B1 beside harmless curves": lambda: tagged(
        secret().convert("RGB"),
        "PNG",
        written(
            b"RGB ",
            b"Lab ",
            {**tags_of(of_curve(LEVELS**2.2)), **tags_of(of_table(b"RGB ", STEP, b"A2B1"))},
        ),
    ),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_what_a_profile_brings_out_is_judged_and_shown_to_reviewers(name) -> None:
    data = HIDDEN[name]()
    assert contrast(decoded(data).frames[0]) > 60
    assert contrast(copied(data)) > 60


def test_what_gamma_brings_out_is_judged() -> None:
    light = with_chunks(encoded(secret(low=248, high=255), "PNG"), gama(1 / 60))
    assert contrast(decoded(light).frames[0]) > 60
    dark = with_chunks(encoded(secret(low=0, high=3), "PNG"), gama(5.0), CHRM)
    assert contrast(decoded(dark).frames[0]) > 60


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "JPEG"])
@pytest.mark.parametrize("profile", [of_curve(STEP), of_table(b"RGB ", STEP)])
def test_a_texture_of_one_mean_is_judged_by_what_a_curve_makes_of_it(kind, profile) -> None:
    """Averaged before the curve, both halves were one grey."""
    pixels = np.full((1_200, 1_600), 124, np.uint8)
    pixels[:, 800:][::2] = 116
    pixels[:, 800:][1::2] = 132
    source = Image.fromarray(pixels).convert("RGB")
    data = encoded(source, kind, icc_profile=profile, **{**TAGGED.get(kind, {}), "quality": 100})
    limits = {"max_pixels": 2_000_000}
    assert abs(contrast(decoded(encoded(source, kind), **limits).frames[0])) < 4
    assert contrast(decoded(data, **limits).frames[0]) > 60
    assert contrast(copied(data)) > 60


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_a_profile_of_srgb_leaves_every_pixel_as_it_is(kind) -> None:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (700, 500, 3), np.uint8))
    parametric = {
        name: b"para\0\0\0\0\0\3\0\0"
        + struct.pack(
            ">5i", *(round(v * 65536) for v in (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))
        )
        for name in (b"rTRC", b"gTRC", b"bTRC")
    }
    plain = tags_of(of_curve(LEVELS))
    for profile in (SRGB, written(b"RGB ", b"XYZ ", {**plain, **parametric}, 4)):
        with_, without = (
            decoded(encoded(noise, kind, **TAGGED.get(kind, {}), **more)).frames[0]
            for more in ({"icc_profile": profile}, {})
        )
        assert np.array_equal(with_, without)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_wide_gamuts_are_shown_as_viewers_show_them(kind) -> None:
    curve = profiles.LEVELS**2.2
    profile = of_curve(curve, P3)
    rng = np.random.default_rng(2)
    coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8))
    source = coarse.resize((640, 640), Image.Resampling.BICUBIC)
    frame = decoded(tagged(source, kind, profile)).frames[0].astype(int)
    exact = np.asarray(managed(source, profile).resize((64, 64), Image.Resampling.BICUBIC))
    assert np.abs(frame - exact).mean() < 3
    assert np.abs(frame - np.asarray(source.resize((64, 64)))).mean() > 4


def test_a_smooth_curve_leaves_the_cheap_way_of_decoding_large_jpegs(monkeypatch) -> None:
    sizes = []
    applied = profiles._applied
    monkeypatch.setattr(
        profiles,
        "_applied",
        lambda profile, image, **given: (
            sizes.append(image.size) or applied(profile, image, **given)
        ),
    )
    source = picture(1_000, 800)
    decoded(tagged(source, "JPEG", of_curve(LEVELS**2.2, P3)))
    decoded(tagged(source, "JPEG", of_curve(STEP)))
    assert sizes == [(125, 100), (1_000, 800)]


@pytest.mark.parametrize(
    ("profile", "most"),
    [
        (of_curve(LEVELS**2.2, P3), profiles.MOST_SMOOTH),
        (of_curve(STEP), profiles.MOST_STEEP),
        (of_table(b"RGB ", STEP), profiles.MOST_TABLE),
    ],
)
def test_no_more_pixels_are_converted_than_there_is_time_for(profile, most, monkeypatch) -> None:
    sizes = []
    applied = profiles._applied

    def counted(profile, image, *, exact):
        sizes.append(image.width * image.height)
        return applied(profile, image.resize((64, 48)), exact=exact).resize(image.size)

    monkeypatch.setattr(profiles, "_applied", counted)
    data = tagged(secret(4_000, 3_000).convert("RGB"), "WEBP", profile)
    image = decoded(data, max_pixels=12_000_000)
    assert (image.width, image.height) == (4_000, 3_000)
    assert len(sizes) == 1
    assert sizes[0] <= most * 1.01


# --- what browsers honour, and in which order; measured


def shows_dark(data: bytes) -> bool:
    return bool(decoded(data).frames[0].mean() < 60)


GREY = encoded(Image.new("RGB", (64, 64), (128, 128, 128)), "PNG")
FLAT = encoded(Image.new("L", (64, 64), 128), "PNG")
CICP_SRGB, CICP_LINEAR = (b"cICP", bytes((1, 13, 0, 1))), (b"cICP", bytes((1, 8, 0, 1)))
LIGHT = of_curve(LEVELS**0.3)


@pytest.mark.parametrize(
    ("data", "dark"),
    [
        (with_chunks(GREY, iccp(DARK)), True),
        (with_chunks(GREY, iccp(DARK), iccp(LIGHT)), True),
        (with_chunks(GREY, iccp(LIGHT), iccp(DARK)), False),
        (with_chunks(GREY, iccp(DARK), (b"sRGB", b"\0")), True),
        (with_chunks(GREY, (b"sRGB", b"\0"), iccp(DARK)), True),
        (with_chunks(GREY, iccp(DARK), before=b"IEND"), False),
        (with_chunks(GREY, gama(0.1)), True),
        (with_chunks(GREY, gama(0.1), CHRM), True),
        (with_chunks(GREY, gama(0.1), CHRM, (b"sRGB", b"\0")), False),
        (with_chunks(GREY, gama(0.9), gama(0.1)), False),
        (with_chunks(GREY, CICP_SRGB, iccp(DARK)), False),
        (with_chunks(GREY, (b"cICP", bytes((2, 2, 0, 1))), iccp(DARK)), True),
        (with_chunks(GREY, (b"cICP", bytes((1, 13, 0, 0))), iccp(DARK)), True),
        (with_chunks(FLAT, iccp(DARK)), True),
        (with_chunks(FLAT, iccp(of_grey(LEVELS**6))), True),
        (with_chunks(GREY, iccp(of_grey(LEVELS**6))), False),
        (with_chunks(GREY, iccp(of_table(b"CMYK", LEVELS))), False),
        (with_chunks(GREY, iccp(of_table(b"RGB ", LEVELS**6, b"A2B2"))), False),
        (with_chunks(GREY, iccp(of_table(b"RGB ", LEVELS**6, b"D2B0"))), False),
        (with_chunks(GREY, iccp(written(b"RGB ", b"Lab ", tags_of(DARK)))), True),
        (with_chunks(GREY, iccp(written(b"RGB ", b"XYZ ", tags_of(DARK), 5))), False),
        (with_chunks(GREY, iccp(DARK[:-300])), False),
        (with_chunks(GREY, iccp(b"no profile at all")), False),
        (with_chunks(GREY, (b"iCCP", b"x\0\0no deflate")), False),
    ],
)
def test_a_pngs_colours_are_those_that_browsers_take(data, dark) -> None:
    assert shows_dark(data) == dark


def test_linear_values_by_code_are_lighter() -> None:
    assert abs(decoded(with_chunks(GREY, CICP_LINEAR)).frames[0].mean() - 188) < 2
    assert abs(decoded(with_chunks(GREY, CICP_LINEAR, iccp(DARK))).frames[0].mean() - 188) < 2


@pytest.mark.parametrize(
    ("transfer", "shown"), [(1, 128), (2, 128), (6, 128), (8, 188), (13, 128), (16, 133), (18, 100)]
)
def test_an_avif_is_shown_by_its_codes(transfer, shown) -> None:
    data = bytearray(encoded(Image.new("RGB", (64, 64), (128, 128, 128)), "AVIF", quality=95))
    at = data.index(b"nclx") + 6
    data[at : at + 2] = struct.pack(">H", transfer)
    assert abs(decoded(bytes(data)).frames[0].mean() - shown) <= 4


def test_a_webp_has_a_profile_only_where_its_header_says_so() -> None:
    source = Image.new("RGB", (64, 64), (128, 128, 128))
    data = bytearray(tagged(source, "WEBP", DARK))
    assert shows_dark(bytes(data))
    data[20] &= ~0x20
    assert not shows_dark(bytes(data))


def test_a_jpeg_has_a_profile_only_where_all_parts_are_there_once() -> None:
    source = Image.new("RGB", (64, 64), (128, 128, 128))
    data = tagged(source, "JPEG", DARK + bytes(70_000))
    first = data.index(b"ICC_PROFILE\0\1\2") + 12
    second = data.index(b"ICC_PROFILE\0\2\2") + 12
    assert shows_dark(data)
    for at, byte in ((first, 2), (second, 1), (first + 1, 3), (second + 1, 1)):
        broken = bytearray(data)
        broken[at] = byte
        assert not shows_dark(bytes(broken))


# --- hostile profiles


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_a_profile_that_is_too_long_is_a_cause_of_its_own(kind) -> None:
    tags = {**tags_of(DARK), b"desc": random.Random(1).randbytes(MAX_PROFILE)}
    profile = written(b"RGB ", b"XYZ ", tags)
    assert cause(tagged(picture(), kind, profile)) == "profile"


def test_a_bomb_of_a_profile_is_refused_before_it_is_unpacked() -> None:
    assert cause(with_chunks(GREY, iccp(DARK + bytes(200 * 2**20)))) == "profile"


def test_a_table_that_no_library_takes_is_undecodable_and_not_guessed() -> None:
    tag = b"mAB \0\0\0\0\3\3\0\0" + struct.pack(">5I", 32, 0, 0, 0, 0) + bytes(40)
    profile = written(b"RGB ", b"Lab ", {b"A2B0": tag})
    assert cause(with_chunks(GREY, iccp(profile))) == "profile"


def test_damaged_profiles_end_no_differently_than_other_damage() -> None:
    random_ = random.Random(3)
    sources = [DARK, SRGB, of_table(b"RGB ", STEP), of_table(b"CMYK", STEP), of_grey(STEP)]
    pictures = {b"CMYK": ("CMYK", "TIFF"), b"GRAY": ("L", "PNG"), b"RGB ": ("RGB", "PNG")}
    outcomes = set()
    for _ in range(400):
        source = random_.choice(sources)
        damaged = bytearray(source)
        for _ in range(random_.randint(1, 8)):
            damaged[random_.choice([random_.randrange(400), random_.randrange(len(source))])] = (
                random_.randrange(256)
            )
        if random_.random() < 0.2:
            del damaged[random_.randrange(len(damaged)) :]
        mode, kind = pictures[source[16:20]]
        try:
            decoded(tagged(Image.new(mode, (32, 32), 100), kind, bytes(damaged)))
            outcomes.add("decoded")
        except Undecodable as error:
            outcomes.add(error.cause)
    assert {"decoded"} <= outcomes <= {"decoded", *CAUSES}


def test_animations_are_shown_by_their_profile_in_every_frame() -> None:
    frames = [Image.new("RGB", (64, 64), (level,) * 3) for level in (128, 129, 130)]
    for kind in ("WEBP", "PNG"):
        file = io.BytesIO()
        frames[0].save(
            file,
            kind,
            save_all=True,
            append_images=frames[1:],
            icc_profile=of_curve(STEP),
            lossless=True,
        )
        shades = [int(frame.mean()) for frame in decoded(file.getvalue()).frames]
        assert max(np.diff(sorted(shades))) > 15


@pytest.mark.slow
@pytest.mark.skipif(sandbox.refusal() is not None, reason="this system has no sandbox")
def test_profiles_are_applied_and_damage_is_mended_in_the_cage() -> None:
    limits = DecodeLimits(
        max_pixels=20_000_000, max_frames=3, timeout=30.0, memory=2**30, sandbox="required"
    )
    large = tagged(secret(4_000, 3_000).convert("RGB"), "WEBP", of_table(b"RGB ", STEP))
    arena = SlotArena.for_frames(4, SPEC, 3)
    pool = DecodePool(arena, SPEC, processes=1, limits=limits)
    try:
        for data in (*(make() for make in HIDDEN.values()), large, HIDDEN["matrix in JPEG"]()[:-9]):
            image = pool.submit(data).result(60)
            (size,) = image.layout.sizes
            frame = arena.frame(image.slot, 0, *size).copy()
            pool.release(image.slot)
            assert contrast(frame) > 60
        assert image.layout.partial
    finally:
        pool.close()
        arena.close()


def test_the_still_of_an_avif_sequence_is_shown_by_a_profile_of_its_own() -> None:
    plain, steep = of_curve(LEVELS**2.2), of_curve(STEP)
    frames = [secret().convert("RGB"), Image.new("RGB", secret().size, (30, 90, 30))]
    sequence = encoded(
        frames[0], "AVIF", save_all=True, append_images=frames[1:], quality=95, icc_profile=plain
    )
    assert len(plain) == len(steep) and sequence.count(plain) == 2
    assert max(abs(contrast(frame)) for frame in decoded(sequence).frames) < 40
    # That of the still comes first.
    hidden = decoded(sequence.replace(plain, steep, 1))
    assert max(abs(contrast(frame)) for frame in hidden.frames) > 100
    still = max(hidden.views, key=lambda view: view.frame)
    assert (hidden.reach, still.frame) == (3, 2)
    shown = upright(sequence.replace(plain, steep, 1), still, max_pixels=10**8, max_side=1280)
    assert abs(contrast(np.asarray(shown))) > 100
