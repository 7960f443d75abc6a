"""Vary pictures for training. Must not know files, labels or networks.

Every function takes an RGB image of Pillow and a generator, so that the same chance gives the same
picture. They keep to Pillow's own loops, which leave Python's lock free for other threads.
"""

import io
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from models.pixels import prepare
from models.spec import InputSpec
from training.folder import Box
from training.stages.buckets import LEAST

Chance = np.random.Generator
Pixels = NDArray[np.uint8]
Vary = Callable[[Image.Image, Chance], Image.Image]

TURN = 5.0
"""Degrees that a picture is turned by at most (released code)."""

JITTER = 0.5
"""By how much contrast and saturation change at most (released code; brightness: 0)."""

MILD_JITTER = 0.2
"""By how much brightness, contrast and saturation change at most in a mild variation."""

MILD_CROP = 0.73
"""Least share of each side that a mild crop keeps."""

STRONG_TURN = 10.0
STRONG_BRIGHTNESS = 0.35
LEAST_CROP = 0.35
"""Least share of the area that a strong crop keeps."""

MOST_STRETCH = 1.3
LEAST_INSET = 0.35
"""Least size of a picture that is set into a larger one, as a share of its sides."""


def augment(
    pixels: Pixels,
    kind: str,
    shapes: InputSpec,
    chance: Chance,
    *,
    boxes: Sequence[Box] = (),
    scene: Pixels | None = None,
) -> Pixels:
    """Vary a photograph and bring it to one of the shapes.

    Args:
        pixels: uint8[h, w, 3]; stays as it is.
        kind: ``paper`` (flip, turn, contrast, saturation), ``mild`` (flip, a crop of most of it,
            a little of light and colour), ``strong`` (crops, also at the boxes, insets,
            stretches, and much more of light and quality), or ``none``.
        shapes: The buckets of the batch's size.
        chance: Decides everything.
        boxes: Where firearms are in it.
        scene: uint8[h, w, 3], a photograph without firearms that insets may lie in.

    Returns:
        uint8[height, width, 3] of the bucket nearest to the varied photograph.
    """
    image = Image.fromarray(pixels)
    if kind == "strong":
        image = framed(image, chance, boxes, scene)
    elif kind == "mild":
        image = mostly(image, chance)
    image = Image.fromarray(prepare(image, shapes))
    if kind == "paper":
        image = as_in_the_paper(image, chance)
    elif kind == "mild":
        image = mildly(image, chance)
    elif kind == "strong":
        image = strongly(image, chance)
    return np.array(image, dtype=np.uint8)


def faithfully(pixels: Pixels, longest: int, chance: Chance) -> Pixels:
    """Vary a photograph as the released code does, its size and filters too.

    Args:
        pixels: uint8[h, w, 3]; stays as it is.
        longest: Longest side of the result in pixels.
        chance: Decides the rest.

    Returns:
        uint8[height, width, 3] with the photograph's own aspect ratio: sides are cut to whole
        pixels, not brought to a bucket, and are 32 at least, below which networks see nothing.

    Source: the released code of Hao et al., DeepFirearm, ICPR 2018.
    """
    image = Image.fromarray(pixels)
    ratio = longest / max(image.size)
    width, height = (max(LEAST, int(side * ratio)) for side in image.size)
    image = image.resize((width, height), Image.Resampling.BILINEAR)
    varied = as_in_the_paper(image, chance, Image.Resampling.BILINEAR)
    return np.array(varied, dtype=np.uint8)


def as_in_the_paper(
    image: Image.Image, chance: Chance, filter_: Image.Resampling = Image.Resampling.NEAREST
) -> Image.Image:
    """Flip, turn by up to 5° and change contrast and saturation.

    The steps and their bounds are the released code's; it turns with a bilinear filter, which
    takes longer than the nearest pixel.
    """
    image = _flipped(image, chance)
    image = _turned(image, chance, TURN, filter_)
    steps: list[Vary] = [_contrast, _saturation]
    for n in chance.permutation(2):
        image = steps[n](image, chance)
    return image


def mildly(image: Image.Image, chance: Chance) -> Image.Image:
    """Flip, and change light and colour so little that a larger network would say the same."""
    image = _flipped(image, chance)
    enhancers = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    for enhancer, by in zip(enhancers, chance.uniform(-MILD_JITTER, MILD_JITTER, 3), strict=True):
        image = enhancer(image).enhance(1 + float(by))
    return image


def mostly(image: Image.Image, chance: Chance) -> Image.Image:
    """Cut out a part that keeps the picture's aspect ratio and most of its sides."""
    share = float(chance.uniform(MILD_CROP, 1))
    width, height = round(image.width * share), round(image.height * share)
    left = int(chance.integers(image.width - width + 1))
    top = int(chance.integers(image.height - height + 1))
    return image.crop((left, top, left + width, top + height))


def strongly(image: Image.Image, chance: Chance) -> Image.Image:
    """Change light, colour and quality, turn further, and hide a part."""
    image = _flipped(image, chance)
    if chance.random() < 0.5:
        image = _turned(image, chance, STRONG_TURN, Image.Resampling.BILINEAR)
    steps: list[Vary] = [_contrast, _saturation, _brightness]
    for n in chance.permutation(3):
        image = steps[n](image, chance)
    for share, step in ((0.1, _grey), (0.15, _tint), (0.15, _blur), (0.25, _jpeg), (0.25, _hide)):
        if chance.random() < share:
            image = step(image, chance)
    return image


def framed(
    image: Image.Image, chance: Chance, boxes: Sequence[Box], scene: Pixels | None
) -> Image.Image:
    """Choose what of a picture is seen, and how large."""
    lot = chance.random()
    if boxes and lot < 0.4:
        image = _around(image, boxes[int(chance.integers(len(boxes)))], chance)
    elif lot < 0.7:
        image = _cropped(image, chance, boxes)
    elif lot < 0.85:
        image = _inset(image, chance, scene)
    if chance.random() < 0.3:
        image = _stretched(image, chance)
    return image


def _flipped(image: Image.Image, chance: Chance) -> Image.Image:
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if chance.random() < 0.5 else image


def _turned(
    image: Image.Image, chance: Chance, most: float, filter_: Image.Resampling
) -> Image.Image:
    return image.rotate(float(chance.uniform(-most, most)), filter_)


def _contrast(image: Image.Image, chance: Chance) -> Image.Image:
    return ImageEnhance.Contrast(image).enhance(float(chance.uniform(1 - JITTER, 1 + JITTER)))


def _saturation(image: Image.Image, chance: Chance) -> Image.Image:
    return ImageEnhance.Color(image).enhance(float(chance.uniform(1 - JITTER, 1 + JITTER)))


def _brightness(image: Image.Image, chance: Chance) -> Image.Image:
    factor = float(chance.uniform(1 - STRONG_BRIGHTNESS, 1 + STRONG_BRIGHTNESS))
    return ImageEnhance.Brightness(image).enhance(factor)


def _grey(image: Image.Image, _: Chance) -> Image.Image:
    return image.convert("L").convert("RGB")


def _tint(image: Image.Image, chance: Chance) -> Image.Image:
    """Lay the colour of a light over a picture: each channel has a gain of its own."""
    table: list[int] = []
    for gain in chance.uniform(0.75, 1.25, 3):
        table += np.clip(np.arange(256) * gain, 0, 255).astype(int).tolist()
    return image.point(table)


def _blur(image: Image.Image, chance: Chance) -> Image.Image:
    return image.filter(ImageFilter.BoxBlur(float(chance.uniform(0.3, max(image.size) / 100))))


def _jpeg(image: Image.Image, chance: Chance) -> Image.Image:
    """Compress a picture, also after making it smaller, as reposts do."""
    scale = float(chance.uniform(0.4, 1))
    size = tuple(max(16, round(side * scale)) for side in image.size)
    file = io.BytesIO()
    small = image.resize((size[0], size[1]), Image.Resampling.BILINEAR)
    small.save(file, "JPEG", quality=int(chance.integers(25, 90)))
    with Image.open(file) as again:
        return again.convert("RGB").resize(image.size, Image.Resampling.BILINEAR)


def _hide(image: Image.Image, chance: Chance) -> Image.Image:
    """Lay a rectangle of one colour over at most a tenth of the picture."""
    width, height = (round(side * float(chance.uniform(0.1, 0.33))) for side in image.size)
    left = int(chance.integers(image.width - width + 1))
    top = int(chance.integers(image.height - height + 1))
    colour = tuple(int(n) for n in chance.integers(0, 256, 3))
    hidden = image.copy()
    ImageDraw.Draw(hidden).rectangle((left, top, left + width, top + height), fill=colour)
    return hidden


def _stretched(image: Image.Image, chance: Chance) -> Image.Image:
    ratio = float(np.exp(chance.uniform(-1, 1) * np.log(MOST_STRETCH)))
    width, height = round(image.width * ratio**0.5), round(image.height / ratio**0.5)
    return image.resize((max(16, width), max(16, height)), Image.Resampling.BILINEAR)


def _cropped(image: Image.Image, chance: Chance, boxes: Sequence[Box]) -> Image.Image:
    """Cut out a part that holds the centre of a firearm, where it is known where one is."""
    share = float(chance.uniform(LEAST_CROP, 1)) ** 0.5
    ratio = float(np.exp(chance.uniform(-0.25, 0.25)))
    width = min(image.width, round(image.width * share * ratio))
    height = min(image.height, round(image.height * share / ratio))
    left = int(chance.integers(image.width - width + 1))
    top = int(chance.integers(image.height - height + 1))
    if boxes:
        box = boxes[int(chance.integers(len(boxes)))]
        left = _holding(left, width, box.x * image.width, image.width)
        top = _holding(top, height, box.y * image.height, image.height)
    return image.crop((left, top, left + width, top + height))


def _holding(begin: int, length: int, point: float, end: int) -> int:
    """Move a stretch of a side as little as may be so that it holds a point."""
    lowest, highest = int(np.ceil(point)) - length, int(point)
    return int(min(max(begin, lowest, 0), highest, end - length))


def _around(image: Image.Image, box: Box, chance: Chance) -> Image.Image:
    """Cut out a firearm with some of what is around it."""
    scale = float(np.exp(chance.uniform(np.log(1.05), np.log(2.5))))
    width = min(image.width, max(32, round(box.width * image.width * scale)))
    height = min(image.height, max(32, round(box.height * image.height * scale)))
    room = (scale - 1) / 2
    x = (box.x + box.width * room * float(chance.uniform(-0.8, 0.8))) * image.width
    y = (box.y + box.height * room * float(chance.uniform(-0.8, 0.8))) * image.height
    left = min(max(0, round(x - width / 2)), image.width - width)
    top = min(max(0, round(y - height / 2)), image.height - height)
    return image.crop((left, top, left + width, top + height))


def _inset(image: Image.Image, chance: Chance, scene: Pixels | None) -> Image.Image:
    """Set a picture into a scene, or a plain ground, of about its own size."""
    share = float(chance.uniform(LEAST_INSET, 0.9))
    if scene is None:
        colour = tuple(int(n) for n in chance.integers(0, 256, 3))
        ground = Image.new("RGB", image.size, colour)
    else:
        around = Image.fromarray(scene)
        scale = max(image.size) / max(around.size)
        size = tuple(max(16, round(side * scale)) for side in around.size)
        ground = around.resize((size[0], size[1]), Image.Resampling.BILINEAR)
    fit = share * min(ground.width / image.width, ground.height / image.height)
    width, height = max(8, round(image.width * fit)), max(8, round(image.height * fit))
    small = image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
    left = int(chance.integers(max(1, ground.width - width + 1)))
    top = int(chance.integers(max(1, ground.height - height + 1)))
    ground.paste(small, (left, top))
    return ground
