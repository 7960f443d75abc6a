"""Make an image of any mode RGB of 8 bits. Knows nothing of files, sizes or networks."""

import numpy as np
from PIL import Image

BACKGROUND = (128, 128, 128)
"""What shows through transparency. On mid-grey neither black nor white objects vanish, and it lies
near the mean that networks take off, so that it adds little of its own."""


def rgb(image: Image.Image) -> Image.Image:
    """Return an image of any mode as RGB; what is transparent shows ``BACKGROUND``."""
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return _eight_bits(image).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    flat = Image.new("RGB", image.size, BACKGROUND)
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
