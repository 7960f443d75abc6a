"""Ways in which phones, pages and people show a photograph: the pictures that are made of one.

Pure but for the drawing; must not know what judges them.
"""

import io
import random
from collections.abc import Callable, Mapping, Sequence

from PIL import Image, ImageDraw, ImageFont, ImageOps

Others = Sequence[Image.Image]
Way = Callable[[Image.Image, Others, random.Random], Image.Image]

QUALITY = 90
"""Of the JPEG that each picture is saved as; ``heavy JPEG`` has its own."""

HEAVY = 10
WORDS = ("when the", "weekend", "is finally", "here", "look what", "I found", "today", "at home")
THEMES = (((255, 255, 255), (30, 30, 30)), ((18, 18, 18), (230, 230, 230)))
"""Background and ink of light and dark pages."""


def saved(image: Image.Image, name: str) -> bytes:
    """Return a picture as a JPEG."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=HEAVY if name == "heavy JPEG" else QUALITY)
    return file.getvalue()


def _same(image: Image.Image, others: Others, chance: random.Random) -> Image.Image:
    return image


def _turned(turn: Image.Transpose) -> Way:
    return lambda image, others, chance: image.transpose(turn)


def _grey(image: Image.Image, others: Others, chance: random.Random) -> Image.Image:
    return image.convert("L").convert("RGB")


def _letterbox(image: Image.Image, others: Others, chance: random.Random) -> Image.Image:
    """Black bars around it, as a video of a phone held the other way has."""
    wide, high = (9, 16) if image.width >= image.height else (16, 9)
    canvas = _canvas(image, wide / high, (0, 0, 0))
    return _pasted(canvas, image, 0.5, 0.5)


def _on_white(share: float, scale: float) -> Way:
    """A share of the canvas' side, the photograph made smaller by ``scale``."""

    def way(image: Image.Image, others: Others, chance: random.Random) -> Image.Image:
        small = _scaled(image, scale)
        size = round(small.width / share), round(small.height / share)
        return _pasted(
            Image.new("RGB", size, (255, 255, 255)), small, chance.random(), chance.random()
        )

    return way


def _tiny(image: Image.Image, others: Others, chance: random.Random) -> Image.Image:
    return _scaled(image, 64 / max(image.size))


def _screenshot(image: Image.Image, others: Others, chance: random.Random) -> Image.Image:
    """A post on a phone: status bar, author, the photograph as wide as the screen, what is said."""
    paper, ink = chance.choice(THEMES)
    wide, high = 540, 1170
    shown = image.resize((wide, min(880, round(image.height * wide / image.width))))
    screen = Image.new("RGB", (wide, high), paper)
    draw = ImageDraw.Draw(screen)
    draw.text((24, 12), f"{chance.randint(0, 23)}:{chance.randint(10, 59)}", ink, _font(20))
    draw.rectangle((wide - 60, 16, wide - 28, 30), outline=ink, width=2)
    draw.ellipse((20, 62, 68, 110), fill=chance.choice([(200, 90, 60), (70, 120, 190)]))
    draw.text((84, 72), f"{chance.choice(WORDS)}_{chance.randint(1, 99)}", ink, _font(22))
    screen.paste(shown, (0, 126))
    below = 126 + shown.height + 14
    for place in range(4):
        draw.ellipse((24 + 56 * place, below, 52 + 56 * place, below + 28), outline=ink, width=3)
    for line in range(3):
        said = " ".join(chance.choices(WORDS, k=4))
        draw.text((24, below + 44 + 34 * line), said, ink, _font(20))
    draw.rectangle((wide // 2 - 80, high - 14, wide // 2 + 80, high - 8), fill=ink)
    return screen


def _meme(image: Image.Image, others: Others, chance: random.Random) -> Image.Image:
    """White letters with black edges over the top and the bottom."""
    shown = image.copy()
    draw = ImageDraw.Draw(shown)
    size = max(10, shown.width // 12)
    for high in (0.02, 0.96 - size / shown.height):
        said = " ".join(chance.choices(WORDS, k=2)).upper()
        place = (shown.width / 2, high * shown.height)
        draw.text(
            place, said, "white", _font(size), "ma", stroke_width=max(1, size // 12),
            stroke_fill="black",
        )  # fmt: skip
    return shown


def _strip(image: Image.Image, others: Others, chance: random.Random) -> Image.Image:
    """Five times as wide as high: the photograph among others, all as high as the strip."""
    high = min(320, image.height)
    size = (5 * high, high)
    shown = [_filling(each, (round(4 / 3 * high), high)) for each in others[:4]]
    shown.insert(chance.randrange(4), _scaled(image, high / image.height))
    strip = Image.new("RGB", size)
    left = 0
    for each in shown:
        strip.paste(each, (left, 0))
        left += each.width
    return strip if left >= size[0] else strip.crop((0, 0, left, high))


def _plain_strip(image: Image.Image, others: Others, chance: random.Random) -> Image.Image:
    """Five times as wide as high, grey but for the photograph."""
    canvas = Image.new("RGB", (5 * image.height, image.height), (200, 205, 210))
    return _pasted(canvas, image, chance.random(), 0.5)


def _tower(image: Image.Image, others: Others, chance: random.Random) -> Image.Image:
    """Five times as high as wide: the photograph among others, all as wide as the tower."""
    turn, back = Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270
    turned = [each.transpose(turn) for each in others]
    return _strip(image.transpose(turn), turned, chance).transpose(back)


def _collage(gutter: int) -> Way:
    """Two by two with three others, in cells of 4:3 with a white gutter."""

    def way(image: Image.Image, others: Others, chance: random.Random) -> Image.Image:
        wide, high = 320, 240
        shown = [*others[:3]]
        shown.insert(chance.randrange(4), image)
        canvas = Image.new("RGB", (2 * wide + gutter, 2 * high + gutter), (255, 255, 255))
        for place, each in enumerate(shown):
            at = (place % 2 * (wide + gutter), place // 2 * (high + gutter))
            canvas.paste(_filling(each, (wide, high)), at)
        return canvas

    return way


WAYS: Mapping[str, Way] = {
    "as it is": _same,
    "mirror": _turned(Image.Transpose.FLIP_LEFT_RIGHT),
    "quarter turn left": _turned(Image.Transpose.ROTATE_90),
    "quarter turn right": _turned(Image.Transpose.ROTATE_270),
    "upside down": _turned(Image.Transpose.ROTATE_180),
    "grey": _grey,
    "letterbox": _letterbox,
    "screenshot": _screenshot,
    "small on white": _on_white(0.25, 1.0),
    "small on white in few pixels": _on_white(0.25, 0.25),
    "64 px": _tiny,
    "heavy JPEG": _same,
    "meme text": _meme,
    "1:5 wide": _strip,
    "1:5 wide on grey": _plain_strip,
    "5:1 tall": _tower,
    "collage": _collage(0),
    "collage with gutters": _collage(8),
}
"""By name; each picture has the photograph in it, and those of several have harmless others."""


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _scaled(image: Image.Image, scale: float) -> Image.Image:
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.resize(size, Image.Resampling.BICUBIC)


def _filling(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Cut a photograph's middle so that it fills a cell."""
    return ImageOps.fit(image, size, Image.Resampling.BICUBIC)


def _canvas(image: Image.Image, ratio: float, colour: tuple[int, int, int]) -> Image.Image:
    """Return the smallest canvas of a ratio of width to height that a photograph fits into."""
    wide = max(image.width, round(image.height * ratio))
    return Image.new("RGB", (wide, max(image.height, round(wide / ratio))), colour)


def _pasted(canvas: Image.Image, image: Image.Image, across: float, down: float) -> Image.Image:
    """Paste a photograph at shares of the room that is left."""
    room = canvas.width - image.width, canvas.height - image.height
    canvas.paste(image, (round(across * room[0]), round(down * room[1])))
    return canvas
