"""Where firearms are in a picture that is cut, mirrored, turned or laid into another. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from training.folder import Box


@dataclass(frozen=True, slots=True)
class Area:
    """An upright rectangle as shares of a picture's width and height.

    It may reach beyond the picture: what was cut off is still part of the firearm.

    Args:
        left: From the left side of the picture.
        top: From its upper side.
        right: Above ``left``.
        bottom: Above ``top``.
    """

    left: float
    top: float
    right: float
    bottom: float

    @property
    def size(self) -> float:
        """As a share of the picture."""
        return (self.right - self.left) * (self.bottom - self.top)

    @property
    def visible(self) -> float:
        """Share of it that lies within the picture."""
        return overlap(self, WHOLE) / self.size

    def cut(self, frame: "Area") -> "Area":
        """Return where it is in the part ``frame`` of its picture."""
        width, height = frame.right - frame.left, frame.bottom - frame.top
        return Area(
            (self.left - frame.left) / width,
            (self.top - frame.top) / height,
            (self.right - frame.left) / width,
            (self.bottom - frame.top) / height,
        )

    def laid(self, frame: "Area") -> "Area":
        """Return where it is in a picture whose part ``frame`` shows its own."""
        width, height = frame.right - frame.left, frame.bottom - frame.top
        return Area(
            frame.left + self.left * width,
            frame.top + self.top * height,
            frame.left + self.right * width,
            frame.top + self.bottom * height,
        )

    def mirrored(self) -> "Area":
        """Return where it is once left and right are swapped."""
        return Area(1 - self.right, self.top, 1 - self.left, self.bottom)

    def upended(self) -> "Area":
        """Return where it is once the picture is turned by a quarter, against the clock."""
        return Area(self.top, 1 - self.right, self.bottom, 1 - self.left)

    def turned(self, degrees: float, width: int, height: int) -> "Area":
        """Return the upright rectangle about it once the picture is turned about its centre.

        Args:
            degrees: Against the clock, as ``Image.rotate`` takes them.
            width: Of the picture in pixels; it stays.
            height: Likewise.
        """
        sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
        corners = [(x - 0.5, y - 0.5) for x in (self.left, self.right)
                   for y in (self.top, self.bottom)]  # fmt: skip
        across = [0.5 + x * cosine + y * sine * height / width for x, y in corners]
        down = [0.5 - x * sine * width / height + y * cosine for x, y in corners]
        return Area(min(across), min(down), max(across), max(down))


WHOLE = Area(0.0, 0.0, 1.0, 1.0)


def areas_of(boxes: Sequence[Box]) -> tuple[Area, ...]:
    """Return the areas of a photograph's boxes."""
    return tuple(
        Area(b.x - b.width / 2, b.y - b.height / 2, b.x + b.width / 2, b.y + b.height / 2)
        for b in boxes
    )


def overlap(one: Area, other: Area) -> float:
    """Return what two areas have in common, as a share of the picture."""
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    return max(0.0, width) * max(0.0, height)
