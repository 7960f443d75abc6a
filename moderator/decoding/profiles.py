"""Show a picture's values as colour-managed viewers do: apply the colour profile of its file.

What ordinary files have, a profile of sRGB or none, changes nothing and costs nothing. Curves are
applied before pixels are averaged wherever the order matters: a steep curve makes a picture out of
a texture that has one mean.
"""

import hashlib
import io
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from math import ceil, sqrt

import numpy as np
from numpy.random import default_rng
from numpy.typing import NDArray
from PIL import Image, ImageCms

from moderator.decoding import icc
from moderator.decoding.boxes import primary_codes
from moderator.decoding.colour import eight_bits, layer
from moderator.decoding.colour_codes import (
    SRGB_TO_XYZ,
    coded,
    measured,
    srgb_encoded,
)
from moderator.decoding.containers import bmp_profile, jpeg_profile, png_colour, webp_profile
from moderator.decoding.icc import LEVELS, Profile

MAX_PROFILE = 4 * 2**20
"""Bytes of a profile; those of printing presses have up to 3 MB."""

MAX_CACHED = 2**14
"""Bytes of a profile whose effect is remembered: those that cameras and phones write have fewer."""

SAME = 2 / 255
"""How far from sRGB a profile may show any level and still change nothing."""

SMOOTH = 24 / 255
"""How far a picture averaged before the curve may be from one averaged after it."""

MOST_SMOOTH, MOST_STEEP, MOST_TABLE = 2**22, 2**23, 2**20
"""Pixels that are converted at most, about half a second's: averages of larger pictures where the
curve is smooth, else picked pixels. Tables are looked up exactly, which takes longest."""

GREY = ("1", "L", "LA", "La", "I", "F")
"""Modes of pixels without colour, besides those of 16 bits."""


class UnusableProfile(ValueError):
    """A profile that changes how a picture looks, and cannot be applied."""


class Effect(Enum):
    """What a profile does to values: nothing, or how exactly it must be applied."""

    NONE = 0
    SMOOTH = MOST_SMOOTH
    STEEP = MOST_STEEP
    TABLE = MOST_TABLE


SRGB = ImageCms.createProfile("sRGB")
FROM_XYZ = np.linalg.inv(SRGB_TO_XYZ)


@dataclass(frozen=True, eq=False, slots=True)
class Colours:
    """How the values of a file's pixels are to be shown, where they are not sRGB's."""

    profile: Profile
    effect: Effect
    file: bytes

    @property
    def smooth(self) -> bool:
        """Whether pixels may be averaged before they are shown."""
        return self.effect is Effect.SMOOTH

    def shown(self, image: Image.Image) -> Image.Image:
        """Return a picture of the file as sRGB, of the same size, with its transparency.

        Args:
            image: Of any mode, as the file's decoder gives it.

        Returns:
            An image of mode RGB or RGBA.

        Raises:
            UnusableProfile: The profile cannot be applied.
        """
        values, alpha = _layer(image, grey=self.profile.space == "GRAY"), None
        if values.mode in ("LA", "RGBA"):
            alpha, values = values.getchannel("A"), values.convert(values.mode[:-1])
        converted = self._converted(values)
        if alpha:
            # Its memory is needed for what comes.
            del values
            converted.putalpha(alpha)
        return converted

    def _converted(self, values: Image.Image) -> Image.Image:
        step = ceil(sqrt(values.width * values.height / self.effect.value))
        if step == 1:
            return _applied(self.profile, values, exact=self.effect is Effect.TABLE)
        fewer = values.reduce(step) if self.smooth else _picked(values, step, self.file)
        converted = _applied(self.profile, fewer, exact=self.effect is Effect.TABLE)
        return converted.resize(values.size, Image.Resampling.NEAREST)


def colours(kind: str, image: Image.Image, data: bytes) -> Colours | None:
    """Return how a file's values are to be shown; None where they are taken for sRGB's.

    Args:
        kind: Its format.
        image: The file as opened, at the frame in question.
        data: The file.

    Raises:
        UnusableProfile: Its profile has more than ``MAX_PROFILE`` bytes.
    """
    profile = _of_png(data) if kind == "PNG" else _found(kind, image, data)
    # Frames of an animation come with all their channels.
    grey = data[25:26] in (b"\0", b"\4") if kind == "PNG" else _is_grey(image.mode)
    if profile is None or not _fits(profile, image.mode, grey=grey):
        return None
    effect = Effect.TABLE if profile.curves is None else _effect(profile)
    return None if effect is Effect.NONE else Colours(profile, effect, data)


def _found(kind: str, image: Image.Image, data: bytes) -> Profile | None:
    if kind == "JPEG":
        embedded = jpeg_profile(getattr(image, "applist", []))
    elif kind == "WEBP":
        embedded = webp_profile(data)
    elif kind == "BMP":
        embedded = bmp_profile(data)
    else:
        embedded = image.info.get("icc_profile")
    if embedded is None and kind in ("AVIF", "HEIC"):
        codes = primary_codes(data)
        return coded(*codes, video=False) if codes else None
    return _read(embedded) if isinstance(embedded, bytes) else None


def _of_png(data: bytes) -> Profile | None:
    """Return the profile that browsers take of a PNG's: codes, then a profile, then figures."""
    found = png_colour(data, MAX_PROFILE)
    profile = coded(*found.codes) if found.codes else None
    if profile is None and found.profile is not None:
        profile = _read(found.profile)
    if profile is None and not found.srgb:
        profile = measured(found.gamma, found.chromaticities)
    return profile


def _read(data: bytes) -> Profile | None:
    if len(data) > MAX_PROFILE:
        raise UnusableProfile(f"a profile of more than {MAX_PROFILE} bytes")
    return _read_again(data) if len(data) <= MAX_CACHED else icc.read(data)


@lru_cache(maxsize=32)
def _read_again(data: bytes) -> Profile | None:
    return icc.read(data)


def _layer(image: Image.Image, *, grey: bool) -> Image.Image:
    """Return an image in one of the modes L, LA, RGB, RGBA and CMYK."""
    if image.mode == "CMYK":
        return image
    if image.has_transparency_data:
        return layer(image).convert("LA") if grey else layer(image)
    plain = eight_bits(image) if image.mode.startswith("I") or image.mode == "F" else image
    return plain.convert("L" if grey else "RGB")


def _picked(image: Image.Image, step: int, file: bytes) -> Image.Image:
    """Return one pixel of each ``step`` rows and columns, which nobody can tell beforehand.

    Unlike averages, picked pixels show what any curve makes of them. The same file gives the same.
    """
    chance = default_rng(np.frombuffer(hashlib.blake2b(file).digest(), np.uint32))
    width, height = image.size
    columns, rows = (
        np.minimum(starts + chance.integers(0, step, len(starts)), side - 1)
        for side in (width, height)
        for starts in (np.arange(0, side, step),)
    )
    # Row by row: an array of all pixels would take as much memory as they do.
    lines = [
        np.asarray(image.crop((0, row, width, row + 1)))[0].take(columns, axis=0)
        for row in rows.tolist()
    ]
    return Image.frombytes(image.mode, (len(columns), len(rows)), np.stack(lines).tobytes())


def _applied(profile: Profile, image: Image.Image, *, exact: bool) -> Image.Image:
    """Return an image of mode L, RGB or CMYK as RGB of sRGB."""
    if profile.space == "GRAY" and profile.curves:
        # Of one channel the library makes a table that is too coarse for what is steep.
        levels = np.round(srgb_encoded(profile.curves[0]) * 255).astype(int)
        return image.point(levels.tolist()).convert("RGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile.data))
        # What makes a table fast samples it anew, and so smooths what is steep.
        flags = ImageCms.Flags.NOOPTIMIZE if exact else ImageCms.Flags.NONE
        transform = ImageCms.buildTransform(source, SRGB, image.mode, "RGB", flags=flags)
        return transform.apply(image)
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        raise UnusableProfile("a profile that cannot be applied") from error


def _is_grey(mode: str) -> bool:
    return mode in GREY or mode.startswith("I;16")


def _fits(profile: Profile, mode: str, *, grey: bool) -> bool:
    """Whether browsers apply a profile to such pixels: grey ones take one of RGB, too."""
    if mode == "CMYK" or profile.space == "CMYK":
        return mode == profile.space
    return profile.space == "RGB" or grey


@lru_cache(maxsize=32)
def _effect(profile: Profile) -> Effect:
    """Return what a profile of curves does, by all their levels; remembered for the same object."""
    curves = np.stack(profile.curves or ())
    if all(_bend(srgb_encoded(curve)) <= SMOOTH for curve in np.unique(curves, axis=0)):
        return Effect.NONE if _is_srgb(profile.matrix, curves) else Effect.SMOOTH
    return Effect.STEEP


def _is_srgb(matrix: NDArray[np.float64] | None, curves: NDArray[np.float64]) -> bool:
    if matrix is None:
        return bool(np.abs(srgb_encoded(curves) - LEVELS).max() <= SAME)
    to_srgb = FROM_XYZ @ matrix
    # Channels are linear in the curves' values, so that each alone and all together tell.
    for on in ((1, 1, 1), (1, 0, 0), (0, 1, 0), (0, 0, 1)):
        shown = srgb_encoded(to_srgb @ (curves * np.array(on)[:, None]))
        if np.abs(shown - np.outer(on, LEVELS)).max() > SAME:
            return False
    return True


def _bend(values: NDArray[np.float64]) -> float:
    """Return how far two mixtures of one mean level can be apart when mixed after a curve.

    It is the greatest distance between the curve's upper and lower hull.
    """
    return float(np.max(_hull(values) + _hull(-values)))


def _hull(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the least concave curve that is nowhere below the values."""
    corners: list[tuple[int, float]] = []
    for level, value in enumerate(values.tolist()):
        while len(corners) > 1:
            (first, low), (second, high) = corners[-2:]
            if (high - low) * (level - first) > (value - low) * (second - first):
                break
            corners.pop()
        corners.append((level, value))
    levels, heights = zip(*corners, strict=True)
    return np.asarray(np.interp(np.arange(len(values)), levels, heights))
