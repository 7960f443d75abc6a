"""Walk through the frames of a file as viewers show them, as far as a still may cost.

Viewers differ: those that animate show each frame for its time, others the first alone.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from PIL import Image, ImageFile

MAX_REACH = 2000
"""Frames of an animation that are walked through at most; each costs a little, however small."""

SHORTEST = 0.01
USUAL = 0.1
"""Seconds up to which browsers take a frame's time for a mistake, and what they show it for."""

REST = 60.0
"""Seconds that the last frame stays in view where an animation ends, for who looks on."""


class CutShort(ValueError):
    """An animation ends before it should."""


class Shot(NamedTuple):
    """A frame as viewers compose it, and for how many seconds they show it."""

    image: Image.Image
    seconds: float


class Frame(NamedTuple):
    """A frame that is not drawn yet.

    Attributes:
        pixels: What it costs to draw.
        draw: Draws it. Frames must be drawn in their order, as they build on one another; an image
            is good until the next one is drawn.
    """

    pixels: int
    draw: Callable[[], Shot]


class Film(NamedTuple):
    """The frames of a file in their order, and whether there is a single one."""

    frames: Iterator[Frame]
    single: bool


@dataclass(eq=False, slots=True)
class Walk:
    """Iterates over the frames that are within reach, drawn; the first always is.

    Args:
        frames: In their order.
        max_pixels: Most pixels that all of them may have together.
        seconds: Of this process's time, after which no further one is drawn.
        tolerant: Whether frames before damage are taken, where a file is known to be damaged.

    Attributes:
        reach: Frames drawn.
        beyond: Whether there are more, or one that could not be drawn.
        partial: Whether the file is damaged behind them.
    """

    frames: Iterator[Frame]
    max_pixels: int
    seconds: float = math.inf
    tolerant: bool = False
    reach: int = 0
    beyond: bool = False
    partial: bool = False
    _spent: int = field(default=0, init=False)
    _begun: float = field(default_factory=time.process_time, init=False)

    def __iter__(self) -> Iterator[Shot]:
        while (shot := self._next()) is not None:
            self.reach += 1
            yield shot

    def _next(self) -> Shot | None:
        try:
            frame = next(self.frames, None)
            if frame is None:
                return None
            self._spent += frame.pixels
            if self.reach and self._exhausted():
                self.beyond = True
                return None
            return frame.draw()
        except MemoryError:
            raise
        except Exception as error:
            if not (self.reach and self.tolerant):
                raise
            # Viewers show what comes before the damage. What they show of a frame that cannot be
            # drawn here is not known; where a file ends early, there is none.
            self.partial = True
            self.beyond = not isinstance(error, CutShort)
            return None

    def _exhausted(self) -> bool:
        late = time.process_time() - self._begun > self.seconds
        return late or self._spent > self.max_pixels or self.reach >= MAX_REACH


def shown_for(seconds: float) -> float:
    """Return for how long browsers show a frame that asks for these seconds."""
    return seconds if seconds > SHORTEST else USUAL


def film_of(
    kind: str, image: ImageFile.ImageFile, load: Callable[[], Image.Image] | None = None
) -> Film:
    """Return the frames of a file that Pillow composes: of a WebP, an AVIF, a TIFF or any still.

    Args:
        kind: Its format.
        image: The file, opened.
        load: Loads the frame that was sought, where that takes more than Pillow's own loading.
    """
    if kind == "TIFF":
        # Counting all pages would follow a chain of any length.
        single = not _has_page(image, 1)
        image.seek(0)
        return Film(_pages(image), single)
    count = getattr(image, "n_frames", 1)
    return Film(_sought(image, count, load), count == 1)


def _pages(image: ImageFile.ImageFile) -> Iterator[Frame]:
    position = 0
    while _has_page(image, position):
        yield Frame(image.width * image.height, partial(_shot, image, None, 0.0))
        position += 1


def _has_page(image: ImageFile.ImageFile, page: int) -> bool:
    try:
        image.seek(page)
    except EOFError:
        return False
    return True


def _sought(
    image: ImageFile.ImageFile, count: int, load: Callable[[], Image.Image] | None
) -> Iterator[Frame]:
    ends = image.info.get("loop", 0) != 0
    for position in range(count):
        image.seek(position)
        rest = REST if ends and position == count - 1 else 0.0
        yield Frame(image.width * image.height, partial(_shot, image, load, rest))


def _shot(image: ImageFile.ImageFile, load: Callable[[], Image.Image] | None, rest: float) -> Shot:
    drawn = load() if load else image
    drawn.load()
    duration = image.info.get("duration", 0)
    seconds = duration / 1000 if isinstance(duration, int | float) else 0.0
    return Shot(drawn, shown_for(seconds) + rest)
