"""Make an image of any mode RGB of 8 bits, as viewers show it on white and on black."""

import numpy as np
from PIL import Image

from moderator.decoding.view import Background

COLOURS: dict[Background | None, int] = {None: 0, "white": 255, "black": 0}
"""The grey of each background."""


def shown(image: Image.Image) -> dict[Background | None, Image.Image]:
    """Return an image of any mode as RGB, as it shows on each background that changes it.

    Where something is transparent, these are white and black, as pages have both: what hides on
    one of them, or on a grey between them, is in view on the other. What is opaque shows the same
    everywhere, and has the background None alone.
    """
    layer = _layer(image)
    if layer is None:
        return {None: _opaque(image)}
    return {background: _on(layer, background) for background in ("white", "black")}


def rgb(image: Image.Image, background: Background | None = None) -> Image.Image:
    """Return an image of any mode as RGB on one of the backgrounds that ``shown`` gives."""
    layer = _layer(image)
    return _opaque(image) if layer is None else _on(layer, background)


def _layer(image: Image.Image) -> Image.Image | None:
    """Return an image as RGBA; None where nothing of it is transparent."""
    if not image.has_transparency_data:
        return None
    layer = _plain(image).convert("RGBA")
    return None if layer.getchannel("A").getextrema() == (255, 255) else layer


def _opaque(image: Image.Image) -> Image.Image:
    """Return an image as RGB without looking at its alpha."""
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return _eight_bits(image).convert("RGB")
    return _plain(image).convert("RGB")


def _plain(image: Image.Image) -> Image.Image:
    """Return grey with its alpha multiplied in, as TIFF has it, as what becomes RGB and RGBA."""
    return image.convert("LA") if image.mode == "La" else image


def _on(layer: Image.Image, background: Background | None) -> Image.Image:
    flat = Image.new("RGB", layer.size, (COLOURS[background],) * 3)
    flat.paste(layer, mask=layer.getchannel("A"))
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
