"""Make an upright image into the pixels a network takes. Must not know torch or decoding."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.spec import InputSpec

ORIENTATION = 0x0112
"""The EXIF tag that says how an image is turned; 5 to 8 swap height and width."""


def prepare(image: Image.Image, spec: InputSpec) -> NDArray[np.uint8]:
    """Resize an upright image to the bucket of nearest aspect ratio.

    The filter is bicubic with anti-aliasing, after a box reduction by a whole factor that
    leaves at least twice the bucket's size (``reducing_gap`` 2): large images cost little
    more than small ones. What trains and what serves call this same function.

    Args:
        image: Upright, mode RGB.
        spec: The buckets.

    Returns:
        uint8[height, width, 3] of one of the buckets, contiguous.

    Raises:
        ValueError: The image is not RGB.
    """
    if image.mode != "RGB":
        raise ValueError(f"the image has mode {image.mode}, not RGB")
    height, width = spec.size_for(image.height, image.width)
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=2.0)
    return np.array(image, dtype=np.uint8)


def draft(image: Image.Image, spec: InputSpec) -> None:
    """Ask the decoder of a JPEG for 1/2, 1/4 or 1/8 scale where that is enough for the bucket.

    Does nothing to other formats. Call it after ``Image.open`` and before anything loads pixels;
    the image is then still not upright, so that its EXIF turn is taken into account.

    Args:
        image: As opened, not loaded.
        spec: The buckets; no side of the image is made smaller than its bucket's.
    """
    turned = image.getexif().get(ORIENTATION) in (5, 6, 7, 8)
    height, width = image.height, image.width
    upright = (width, height) if turned else (height, width)
    size = spec.size_for(*upright)
    wanted = size if turned else (size[1], size[0])
    image.draft("RGB", wanted)
