"""Make an image of any mode RGB of 8 bits, as viewers show it on white and on black."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from moderator.decoding.view import Background

COLOURS: dict[Background | None, int] = {None: 0, "white": 255, "black": 0}
"""The grey of each background."""

KEYED = ("1", "L", "I;16", "RGB")
"""Modes in which one colour may stand for transparent."""


def shown(image: Image.Image) -> dict[Background | None, Image.Image]:
    """Return an image of any mode as RGB, as it shows on each background that changes it.

    Where something is transparent, these are white and black, as pages have both: what hides on
    one of them, or on a grey between them, is in view on the other. What is opaque shows the same
    everywhere, and has the background None alone.
    """
    if not image.has_transparency_data:
        return {None: _opaque(image)}
    layered = layer(image)
    if layered.getchannel("A").getextrema() == (255, 255):
        return {None: layered.convert("RGB")}
    return {background: _on(layered, background) for background in ("white", "black")}


def rgb(image: Image.Image, background: Background | None = None) -> Image.Image:
    """Return an image of any mode as RGB on one of the backgrounds that ``shown`` gives."""
    return _on(layer(image), background) if image.has_transparency_data else _opaque(image)


def layer(image: Image.Image) -> Image.Image:
    """Return an image of any mode as RGBA."""
    if not image.has_transparency_data:
        return _opaque(image).convert("RGBA")
    key = image.info.get("transparency")
    if image.mode == "La":
        # Grey with its alpha multiplied in, as TIFF has it, becomes RGBA by way of LA alone.
        image = image.convert("LA")
    if image.mode not in KEYED or not isinstance(key, int | tuple):
        return image.convert("RGBA")
    layered = _opaque(image).convert("RGBA")
    layered.putalpha(Image.fromarray(np.where(_keyed(image, key), np.uint8(0), np.uint8(255))))
    return layered


def _keyed(image: Image.Image, key: int | tuple[int, ...]) -> NDArray[np.bool_]:
    """Return where an image has the colour that stands for transparent, bool[height, width]."""
    values = np.asarray(image)
    bits = {"1": 1, "I;16": 0xFFFF}.get(image.mode, 0xFF)
    same: NDArray[np.bool_] = values == (np.asarray(key) & bits).astype(values.dtype)
    return np.asarray(same.all(axis=2), np.bool_) if same.ndim == 3 else same


def _opaque(image: Image.Image) -> Image.Image:
    """Return an image as RGB without looking at its alpha."""
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return _eight_bits(image).convert("RGB")
    return image.convert("RGB")


def _on(layered: Image.Image, background: Background | None) -> Image.Image:
    flat = Image.new("RGB", layered.size, (COLOURS[background],) * 3)
    flat.paste(layered, mask=layered.getchannel("A"))
    return flat


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return 16-bit grey by its high byte, as viewers do, and others from least to most.

    32-bit integers and floats have no range of their own, so theirs is stretched to 0..255; what
    is not a number becomes black.
    """
    values = np.asarray(image)
    if values.dtype.itemsize == 2 and values.dtype.kind == "u":
        return Image.fromarray((values >> 8).astype(np.uint8))
    numbers = values[np.isfinite(values)]
    low, high = (float(numbers.min()), float(numbers.max())) if numbers.size else (0.0, 0.0)
    stretched = np.nan_to_num(values.astype(np.float32), nan=low, posinf=high, neginf=low)
    # Each divided by itself: the range of two floats may be more than a float holds.
    scale = 255 / max(high - low, 1e-30)
    return Image.fromarray((stretched * scale - low * scale).clip(0, 255).astype(np.uint8))
