"""Choose which frames of an animation are judged: by time shown and by difference, by chance.

Frames that look alike are a *scene*, of which one frame is kept, each as likely as it is long in
view. Whoever posts can know that the first frame is judged, which viewers without animation show,
and the scene that is longest in view; not which others are. The first frame stands for none but
what is equal to it: else it could be made such that it hides what follows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from moderator.decoding.animation import Shot
from moderator.decoding.colour import layer
from moderator.decoding.view import View

SIDE = 16
"""Pixels of a side of what frames are compared by."""

ALIKE = 4.0
"""Levels (root of the mean square, on white and on black) up to which two frames look alike. What
covers a hundredth of the picture and differs by more than 40 levels is another scene."""

POINTS_SHARE = 0.5
"""Weight of how far single pixels are apart: dithering and compression change them more than means.
"""

MAX_SCENES = 32
"""Scenes that are told apart at a time; beyond it the two most alike become one."""

Looks = Sequence[tuple[View, NDArray[np.uint8]]]
"""The views of a frame with what they see."""

Look = Callable[[], Looks]
"""Makes the views of a frame, also once the next one is drawn."""


@dataclass(eq=False, slots=True)
class Scene:
    """Frames that look alike; ``look`` shows the one that is kept, at ``position`` in the file."""

    position: int
    seconds: float
    look: Look


class Scenes:
    """The scenes of an animation, as far as it was seen.

    Args:
        chance: Chooses among frames.
    """

    def __init__(self, chance: np.random.Generator) -> None:
        self._chance = chance
        self._scenes: list[Scene] = []
        # Whose pixels are compared nobody can tell: a frame and its mosaic have the same means.
        across, down = chance.random(2)
        self._phase = float(across), float(down)
        self._signs = np.zeros((MAX_SCENES + 1, 4 * SIDE * SIDE * 3), np.float32)
        self._apart = np.full((MAX_SCENES + 1, MAX_SCENES + 1), np.inf)

    def add(self, position: int, shot: Shot, keep: Callable[[], Look]) -> None:
        """Take the next frame into account.

        Args:
            position: Its own in the file.
            shot: What viewers show, and how long.
            keep: Called where the frame is kept, before the next one is drawn.
        """
        sign, count = signed(shot.image, self._phase), len(self._scenes)
        apart = distances(self._signs[:count], sign)
        # What is not equal to the first frame is not represented by it.
        nearest = 1 + int(apart[1:].argmin()) if count > 1 and apart[0] else 0
        if count and apart[nearest] <= (ALIKE if nearest else 0):
            self._join(nearest, position, shot.seconds, keep)
            return
        self._scenes.append(Scene(position, shot.seconds, keep()))
        self._signs[count] = sign
        self._apart[count, :count] = self._apart[:count, count] = apart
        if count == MAX_SCENES:
            self._merge()

    def chosen(self, most: int) -> list[Scene]:
        """Return at most ``most`` scenes in the order of the file.

        The first one's frame is the first of all, unless one alone is wanted. Further ones are the
        likelier the longer they are in view and the more they differ from those chosen.
        """
        places = range(len(self._scenes))
        longest = max(places, key=lambda place: self._scenes[place].seconds)
        chosen = [longest] if most == 1 else list(dict.fromkeys((0, longest)))
        while len(chosen) < min(most, len(places)):
            left = [place for place in places if place not in chosen]
            weights = [self._weight(place, chosen) for place in left]
            chosen.append(int(self._chance.choice(left, p=np.array(weights) / sum(weights))))
        return sorted((self._scenes[place] for place in chosen), key=lambda scene: scene.position)

    def _weight(self, place: int, chosen: Sequence[int]) -> float:
        # Never 0: all weights together must be above it. The first may look like another one.
        apart = max(float(self._apart[place, chosen].min()), ALIKE)
        return max(self._scenes[place].seconds, 1e-3) * apart**2

    def _join(self, place: int, position: int, seconds: float, keep: Callable[[], Look]) -> None:
        scene = self._scenes[place]
        scene.seconds += seconds
        # The first frame of all stays.
        if place and self._chance.random() * scene.seconds < seconds:
            scene.position, scene.look = position, keep()

    def _merge(self) -> None:
        """Make one scene of the two most alike; the first of all stays by itself."""
        apart = self._apart[1:, 1:]
        one, other = (int(at) + 1 for at in np.unravel_index(int(apart.argmin()), apart.shape))
        both = self._scenes[one].seconds + self._scenes[other].seconds
        gone = one if self._chance.random() * both < self._scenes[other].seconds else other
        kept = other if gone == one else one
        self._scenes[kept].seconds = both
        last = len(self._scenes) - 1
        self._scenes[gone] = self._scenes[last]
        self._scenes.pop()
        self._signs[gone] = self._signs[last]
        self._apart[gone] = self._apart[last]
        self._apart[:, gone] = self._apart[:, last]
        self._apart[gone, gone] = np.inf
        self._apart[last] = self._apart[:, last] = np.inf


def signed(image: Image.Image, phase: tuple[float, float]) -> NDArray[np.float32]:
    """Return what a frame is compared by, on black and on white: means, then single pixels.

    Args:
        image: The frame.
        phase: Where these pixels lie within what the means are of, in 0..1 across and down.

    Returns:
        float32[4 * SIDE * SIDE * 3].
    """
    layered = image if image.mode in ("RGB", "RGBA") else layer(image)
    means = layered.resize((SIDE, SIDE), Image.Resampling.BOX, reducing_gap=2.0)
    # One step smaller than the image, so that there is room to move it.
    wide, high = (side / SIDE for side in layered.size)
    left, top = phase[0] * wide, phase[1] * high
    right = min(left + wide * (SIDE - 1), layered.width)
    bottom = min(top + high * (SIDE - 1), layered.height)
    box = (left, top, right, bottom)
    pixels = layered.resize((SIDE, SIDE), Image.Resampling.NEAREST, box=box)
    return np.concatenate([_on_both(means), _on_both(pixels)])


def distances(signs: NDArray[np.float32], sign: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how far frames, float32[N, ...], are from another one, in levels."""
    means, pixels = np.split((signs - sign) ** 2, 2, axis=1)
    found: NDArray[np.float32] = np.maximum(
        np.sqrt(means.mean(axis=1)), POINTS_SHARE * np.sqrt(pixels.mean(axis=1))
    )
    return found


def _on_both(image: Image.Image) -> NDArray[np.float32]:
    """Return the values of a small RGB or RGBA image on black and on white."""
    values = np.asarray(image, np.float32)
    if values.shape[2] == 3:
        return np.concatenate([values, values]).ravel()
    black = values[..., :3] * (values[..., 3:] / 255)
    return np.concatenate([black, black + 255 - values[..., 3:]]).ravel()
