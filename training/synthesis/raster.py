"""Turns flat shapes into pixels without jagged edges. Knows nothing of what they show."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from training.synthesis.parts import Part

FINENESS = 3
"""Each pixel is the mean of this number squared of finer ones."""

Pixels = NDArray[np.float32]
"""float32[H, W, 3], red, green and blue in 0..255."""


@dataclass(frozen=True, slots=True)
class Layer:
    """Shapes on nothing.

    Args:
        light: float32[H, W, 3], their colours multiplied by ``cover``, in 0..255.
        cover: float32[H, W, 1], the share of each pixel that they cover, in 0..1.
    """

    light: Pixels
    cover: NDArray[np.float32]

    def over(self, pixels: Pixels) -> Pixels:
        """Return the pixels with the shapes on top."""
        return self.light + pixels * (1 - self.cover)


def layer(parts: Sequence[Part], size: tuple[int, int]) -> Layer:
    """Draw parts whose outlines are in pixels.

    Args:
        parts: From the lowest to the topmost.
        size: Height and width of the layer in pixels.
    """
    height, width = size
    image = Image.new("RGBA", (width * FINENESS, height * FINENESS))
    pen = ImageDraw.Draw(image)
    for part in parts:
        corners = (part.outline * FINENESS).ravel().tolist()
        pen.polygon(corners, fill=(*part.colour, 255))
    # Pillow's mean is over the covered part of a pixel alone.
    mean = np.asarray(image.reduce(FINENESS)).astype(np.float32)
    cover = mean[..., 3:] / np.float32(255)
    return Layer(mean[..., :3] * cover, cover)
