"""Vary light, colour and quality of a picture. Must not know files, boxes or networks.

Nothing here moves anything in the picture; the same chance gives the same picture.
"""

import io

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

Chance = np.random.Generator

OFTEN = 0.8
"""How often each of brightness, contrast and colour changes."""

JITTER = 0.5
"""By how much brightness and contrast change at most."""

COLOURS = (0.0, 0.0, 0.5, 0.8, 1.2, 1.5)
"""Strengths of colour, of which one is drawn; 0 is grey, as of old or night-time cameras."""

COARSE = (60.0, 200.0)
"""Longest side in pixels of a picture that has lost its resolution."""

QUALITIES = (20, 80)
"""Of JPEG, from the least to the most."""


def vary(image: Image.Image, chance: Chance) -> Image.Image:
    """Change light and colour often, and now and then resolution, sharpness and compression.

    Args:
        image: RGB; stays as it is.
        chance: Decides everything.

    Returns:
        RGB, perhaps of fewer pixels but of the same aspect ratio.
    """
    if chance.random() < OFTEN:
        image = ImageEnhance.Brightness(image).enhance(_factor(chance))
    if chance.random() < OFTEN:
        image = ImageEnhance.Contrast(image).enhance(_factor(chance))
    if chance.random() < OFTEN:
        image = ImageEnhance.Color(image).enhance(COLOURS[int(chance.integers(len(COLOURS)))])
    if chance.random() < 0.3:
        image = _coarser(image, chance)
    if chance.random() < 0.15:
        image = image.filter(ImageFilter.GaussianBlur(float(chance.uniform(0.5, 2))))
    if chance.random() < 0.4:
        image = _compressed(image, chance)
    return image


def _factor(chance: Chance) -> float:
    return float(chance.uniform(1 - JITTER, 1 + JITTER))


def _coarser(image: Image.Image, chance: Chance) -> Image.Image:
    scale = float(chance.uniform(*COARSE)) / max(image.size)
    if scale >= 1:
        return image
    size = (max(8, round(image.width * scale)), max(8, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BILINEAR)


def _compressed(image: Image.Image, chance: Chance) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=int(chance.integers(QUALITIES[0], QUALITIES[1] + 1)))
    with Image.open(file) as again:
        return again.convert("RGB")
