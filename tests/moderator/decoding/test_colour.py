"""Images of every mode as RGB, against what a viewer shows."""

import numpy as np
import pytest
from PIL import Image

from moderator.decoding.colour import rgb, shown
from tests.moderator.films import png
from tests.moderator.pictures import FORMATS, UPRIGHT, corners, decoded, encoded, picture, solid


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("CMYK", "JPEG"),
        ("CMYK", "TIFF"),
        ("YCbCr", "TIFF"),
        ("LAB", "TIFF"),
        ("P", "PNG"),
        ("P", "GIF"),
        ("P", "BMP"),
        ("P", "TIFF"),
        ("RGBA", "PNG"),
        ("RGBA", "WEBP"),
        ("RGBA", "TIFF"),
        ("RGBA", "AVIF"),
    ],
)
def test_modes_with_colour_become_rgb(mode, kind) -> None:
    source = picture()
    if mode == "LAB":
        source = Image.merge("LAB", [Image.new("L", (128, 128), value) for value in (150, 190, 10)])
        frame = decoded(encoded(source, kind)).frames[0]
        assert frame.shape == (64, 64, 3)
        return
    data = encoded(source.convert(mode), kind)
    assert corners(decoded(data).frames[0]) == UPRIGHT


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("L", kind) for kind in FORMATS]
    + [("LA", "PNG"), ("LA", "TIFF"), ("1", "PNG"), ("1", "BMP"), ("1", "TIFF")],
)
def test_modes_without_colour_become_grey(mode, kind) -> None:
    source = Image.new("L", (64, 64), 0)
    source.paste(255, (32, 0, 64, 64))
    frame = decoded(encoded(source.convert(mode), kind)).frames[0]
    assert frame[:, :24].max() < 20
    assert frame[:, 40:].min() > 235
    assert np.ptp(frame, axis=2).max() <= 2


def test_sixteen_bits_become_eight_by_their_high_byte() -> None:
    values = np.tile(np.linspace(0, 65_535, 64).astype(np.uint16), (64, 1))
    for kind in ("PNG", "TIFF"):
        frame = decoded(encoded(Image.fromarray(values), kind)).frames[0]
        assert np.abs(frame[..., 0].astype(int) - (values >> 8)).max() <= 1


def test_big_endian_sixteen_bits_are_read_as_such() -> None:
    values = np.tile(np.linspace(0, 65_535, 64).astype(">u2"), (64, 1))
    image = Image.frombytes("I;16B", (64, 64), values.tobytes())
    assert np.array_equal(np.asarray(rgb(image))[..., 0], values >> 8)


def test_dark_sixteen_bits_stay_dark() -> None:
    values = np.full((64, 64), 2_000, np.uint16)
    assert decoded(encoded(Image.fromarray(values), "PNG")).frames[0].max() == 7


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_values_without_a_range_are_stretched(dtype) -> None:
    values = np.tile(np.linspace(-3_000, 9_000, 64), (64, 1)).astype(dtype)
    frame = decoded(encoded(Image.fromarray(values), "TIFF")).frames[0]
    assert frame.min() == 0
    assert frame.max() == 255
    assert abs(int(frame[0, 32, 0]) - 128) < 5


def test_floats_that_are_no_numbers_become_black_or_white() -> None:
    values = np.full((64, 64), 5.0, np.float32)
    values[:, 32:] = 10.0
    values[0, 0], values[0, 1], values[0, 63] = np.nan, -np.inf, np.inf
    frame = np.asarray(rgb(Image.fromarray(values)))
    assert frame[0, 0, 0] == frame[0, 1, 0] == 0
    assert frame[0, 63, 0] == 255
    nothing = np.full((64, 64), np.nan, np.float32)
    assert np.asarray(rgb(Image.fromarray(nothing))).max() == 0


def seen(data: bytes) -> dict[str | None, np.ndarray]:
    """What is judged of a still picture, by background."""
    image = decoded(data)
    assert {view.frame for view in image.views} == {0}
    return dict(zip((view.background for view in image.views), image.frames, strict=True))


def test_transparency_shows_white_and_black() -> None:
    image = picture().convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize((128, 128)).point(lambda v: 255 * (v > 127)))
    for kind in ("PNG", "WEBP", "TIFF", "AVIF"):
        frames = seen(encoded(image, kind))
        assert list(frames) == ["white", "black"]
        assert frames["white"][4:24].min() >= 251
        assert frames["black"][4:24].max() <= 4
        for frame in frames.values():
            assert corners(frame)[2:] == ["blue", "dark"]


def test_a_palette_with_transparency_shows_white_and_black() -> None:
    image = picture().convert("P", palette=Image.Palette.ADAPTIVE, colors=4)
    red = image.getpixel((10, 10))
    for kind in ("PNG", "GIF"):
        frames = seen(encoded(image, kind, transparency=red))
        assert (frames["white"][8, 8].min(), frames["black"][8, 8].max()) == (255, 0)
        assert all(corners(frame)[1:] == UPRIGHT[1:] for frame in frames.values())


def test_a_palette_with_graded_alpha_is_mixed() -> None:
    image = Image.new("P", (64, 64), 0)
    image.putpalette([255, 0, 0] * 256)
    frames = seen(encoded(image, "PNG", transparency=bytes([128] * 256)))
    assert np.abs(frames["white"][32, 32].astype(int) - (255, 127, 127)).max() <= 2
    assert np.abs(frames["black"][32, 32].astype(int) - (128, 0, 0)).max() <= 2


def test_a_colour_that_stands_for_transparent_shows_white_and_black() -> None:
    frames = seen(encoded(picture(), "PNG", transparency=(230, 20, 20)))
    assert (frames["white"][8, 8].min(), frames["black"][8, 8].max()) == (255, 0)
    assert all(corners(frame)[1:] == UPRIGHT[1:] for frame in frames.values())


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "La", "RGBa"])
def test_alpha_that_hides_nothing_is_one_view(mode) -> None:
    image = picture().convert("LA" if mode == "La" else "RGBA").convert(mode)
    shows = shown(image)
    assert list(shows) == [None]
    expected = image.convert("LA") if mode == "La" else image
    assert np.array_equal(np.asarray(shows[None]), np.asarray(expected.convert("RGB")))


# --- pictures that hide on one background


def shape() -> np.ndarray:
    """What is hidden: float64[64, 64] in 0..1."""
    down, across = np.mgrid[:64, :64]
    return np.where((np.abs(down - 32) < 8) & (np.abs(across - 30) < 24), 0.1, 0.9)


def hiding(grey: int, mode: str) -> Image.Image:
    """A picture that is blank on a grey and shows a shape on every other."""
    alpha = Image.fromarray((255 * shape()).astype(np.uint8))
    flat = Image.new("L", (64, 64), grey)
    image = flat.convert("RGB") if mode == "RGBA" else flat
    image.putalpha(alpha)
    return image


def shows(frame: np.ndarray) -> float:
    """By how much the shape stands out of what surrounds it, in levels."""
    grey = frame.mean(axis=2)
    inside = shape() < 0.5
    return abs(float(grey[inside].mean() - grey[~inside].mean()))


GREYS = (0, 37, 128, 200, 255)
SOFT = [("RGBA", kind) for kind in ("PNG", "WEBP", "TIFF", "AVIF")]
SOFT += [("LA", kind) for kind in ("PNG", "TIFF")]


@pytest.mark.parametrize("grey", GREYS)
@pytest.mark.parametrize(("mode", "kind"), SOFT)
def test_what_is_blank_on_one_background_is_in_view_on_another(mode, kind, grey) -> None:
    more = {"lossless": True} if kind == "WEBP" else {"quality": 100} if kind == "AVIF" else {}
    frames = seen(encoded(hiding(grey, mode), kind, **more))
    assert max(map(shows, frames.values())) > 95


@pytest.mark.parametrize("grey", GREYS)
def test_what_a_palette_hides_is_in_view(grey) -> None:
    image = Image.fromarray((shape() > 0.5).astype(np.uint8), "P")
    image.putpalette([grey] * 768)
    frames = seen(encoded(image, "PNG", transparency=bytes([25, 230] + [255] * 254)))
    assert max(map(shows, frames.values())) > 95
    for kind in ("PNG", "GIF"):
        frames = seen(encoded(image, kind, transparency=0, optimize=False))
        assert max(map(shows, frames.values())) > 125


@pytest.mark.parametrize("grey", GREYS)
@pytest.mark.parametrize(("mode", "kind"), [("RGBA", "PNG"), ("RGBA", "WEBP"), ("RGBA", "GIF")])
def test_what_hides_in_a_later_frame_is_in_view(mode, kind, grey) -> None:
    first, second = Image.new("RGBA", (64, 64)), hiding(grey, mode)
    if kind == "GIF":
        second.putalpha(second.getchannel("A").point(lambda value: 255 * (value > 127)))
    more = {"lossless": True} if kind == "WEBP" else {"disposal": 2} if kind == "GIF" else {}
    data = encoded(first, kind, save_all=True, append_images=[second], duration=100, **more)
    image = decoded(data)
    frames = [f for v, f in zip(image.views, image.frames, strict=True) if v.frame == 1]
    assert len(frames) == 2
    assert max(map(shows, frames)) > 95


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_a_grey_that_stands_for_transparent_is_one_of_all_its_bits(depth) -> None:
    most = 2**depth - 1
    key = 1 if depth == 1 else most // 3
    # Of sixteen bits two greys share the byte that is shown; one of them is transparent.
    pixels = np.where(shape() < 0.5, key, key ^ 1).astype(np.uint16)
    frames = seen(png(pixels, depth, 0, key.to_bytes(2)))
    shown_as = key >> 8 if depth == 16 else 255 * key // most
    assert frames["white"][32, 32].min() == 255
    assert frames["black"][32, 32].max() == 0
    if depth > 1:
        assert max(map(shows, frames.values())) > 80
        assert abs(int(frames["white"][4, 4, 0]) - shown_as) <= 255 // most + 1


@pytest.mark.parametrize("depth", [8, 16])
def test_a_colour_that_stands_for_transparent_is_one_of_all_its_bits(depth) -> None:
    key = np.array([0x12, 0x80, 0x9A]) * (1 if depth == 8 else 257)
    pixels = np.where(shape()[..., None] < 0.5, key, key ^ [0, 1, 0])
    frames = seen(png(pixels, depth, 2, key.astype(">u2").tobytes()))
    assert frames["white"][32, 32].min() == 255
    assert frames["black"][32, 32].max() == 0
    for frame in frames.values():
        assert np.abs(frame[4, 4].astype(int) - (0x12, 0x80, 0x9A)).max() <= 1


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_further_frames_of_sixteen_bits_are_compared_as_they_show(kind) -> None:
    dark, light = (Image.fromarray(np.full((64, 64), n, np.uint16)) for n in (20_000, 40_000))
    image = decoded(encoded(dark, kind, save_all=True, append_images=[light]))
    assert [int(frame.mean()) for frame in image.frames] == [20_000 >> 8, 40_000 >> 8]


def test_constant_alpha_is_judged_as_it_shows() -> None:
    for alpha in (0, 128):
        image = picture().convert("RGBA")
        image.putalpha(alpha)
        frames = seen(encoded(image, "PNG"))
        assert list(frames) == ["white", "black"]
        for background, frame in frames.items():
            behind = 255 if background == "white" else 0
            expected = np.add((20 * alpha / 255,) * 3, behind * (1 - alpha / 255))
            assert np.abs(frame[56, 56] - expected).max() <= 1


def test_colour_profiles_are_ignored() -> None:
    plain = decoded(encoded(picture(), "PNG")).frames[0]
    tagged = decoded(encoded(picture(), "PNG", icc_profile=b"no profile at all")).frames[0]
    assert np.array_equal(plain, tagged)


def test_a_jpeg_with_further_pictures_is_its_first() -> None:
    others = [solid((250, 250, 250), 128, 128), solid((9, 9, 9), 40, 40)]
    data = encoded(picture(), "MPO", save_all=True, append_images=others)
    image = decoded(data)
    assert len(image.frames) == 1
    assert corners(image.frames[0]) == UPRIGHT
