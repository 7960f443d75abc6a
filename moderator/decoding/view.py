"""Say what of a picture is judged: which frame, on which background, and which part of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

Background = Literal["white", "black"]
"""What shows through transparency."""

Box = tuple[int, int, int, int]
"""Left, top, right and bottom of a part in pixels of the upright picture; the last two excluded."""

BACKGROUNDS: tuple[Background | None, ...] = (None, "white", "black")
"""Backgrounds by their code in binary records."""

MAX_CROPS = 6
"""Views of parts of a picture, besides those of whole frames."""


def most_views(max_frames: int) -> int:
    """Return how many views a picture has at most: frames on two backgrounds, and parts."""
    return 2 * max_frames + MAX_CROPS


@dataclass(frozen=True, slots=True)
class View:
    """One look at a picture, which the network embeds by itself.

    Attributes:
        frame: Position in the file, from 0.
        background: What transparency shows; None where nothing of the frame is transparent.
        box: The part of the frame that is seen; None: the whole.
    """

    frame: int = 0
    background: Background | None = None
    box: Box | None = None

    @property
    def copy_suffix(self) -> str:
        """What tells the copy of its whole frame from copies of the picture's other views."""
        frame = f"-{self.frame}" if self.frame else ""
        return frame + (f"-{self.background}" if self.background else "")

    def to_json(self) -> list[Any]:
        """Return frame, background and box as JSON has them."""
        return [self.frame, self.background, self.box]

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Return the view of untrusted JSON.

        Raises:
            ValueError, TypeError: It is none.
        """
        frame, background, box = value
        if background not in BACKGROUNDS or not _is_count(frame):
            raise ValueError("no view")
        if box is None:
            return cls(frame, background)
        left, top, right, bottom = box
        if not (all(map(_is_count, box)) and left < right and top < bottom):
            raise ValueError("no part of a picture")
        return cls(frame, background, (left, top, right, bottom))


WHOLE = View()
"""The whole first frame, of which nothing is transparent."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What is judged of a picture, and so how its embeddings lie.

    Attributes:
        width: Of the upright picture in pixels; of its first frame where it is animated.
        height: As ``width``.
        sizes: Height and width in pixels of each view as the network takes it.
        views: What is judged, parallel to ``sizes``. Boxes lie within ``width`` and ``height``.
        reach: Frames that there were to choose from.
        beyond: Whether there are frames out of reach, which nobody has looked at.
        partial: Whether the file is damaged, so that only a part of it could be judged.
    """

    width: int
    height: int
    sizes: tuple[tuple[int, int], ...]
    views: tuple[View, ...] = (WHOLE,)
    reach: int = 1
    beyond: bool = False
    partial: bool = False

    @property
    def frames(self) -> int:
        """How many different frames of the file are judged."""
        return len({view.frame for view in self.views})

    def sound(self, max_frames: int) -> bool:
        """Whether it says nothing that contradicts itself or ``max_frames`` frames judged."""
        wholes = sum(view.box is None for view in self.views)
        return (
            len(self.sizes) == len(self.views) == len(set(self.views))
            and 1 <= wholes <= 2 * max_frames
            # Each whole may have parts, which take the places of frames that there are not.
            and len(self.views) <= min(most_views(max_frames), wholes * (1 + MAX_CROPS))
            and self.frames <= min(self.reach, max_frames)
            and all(view.frame < self.reach and self._holds(view.box) for view in self.views)
        )

    def _holds(self, box: Box | None) -> bool:
        return box is None or (box[2] <= self.width and box[3] <= self.height)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "width": self.width,
            "height": self.height,
            "sizes": self.sizes,
            "views": [view.to_json() for view in self.views],
            "reach": self.reach,
            "beyond": self.beyond,
            "partial": self.partial,
        }

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Return the layout of untrusted JSON; ``sound`` says whether it makes sense.

        Raises:
            ValueError, TypeError, KeyError: It is none.
        """
        sides = [value["width"], value["height"], value["reach"]]
        sizes = tuple((tall, wide) for tall, wide in value["sizes"])
        flags = [value["beyond"], value["partial"]]
        if not all(map(_is_count, [*sides, *(side for size in sizes for side in size)])):
            raise ValueError("no sizes")
        if not all(isinstance(flag, bool) for flag in flags):
            raise ValueError("no flags")
        views = tuple(View.from_json(view) for view in value["views"])
        width, height, reach = sides
        return cls(width, height, sizes, views, reach, *flags)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**32


def sizes_of(frames: Sequence[Any]) -> tuple[tuple[int, int], ...]:
    """Return height and width of each array uint8[height, width, 3]."""
    return tuple((frame.shape[0], frame.shape[1]) for frame in frames)
