"""What a drawn data set is to hold, checked before anything is drawn. Knows no files."""

from dataclasses import dataclass

from training.errors import BadInput

LAYOUTS = ("firearm14k", "folders")

QUERIES = 2
"""Queries of each type in validation and test (paper, 1)."""

LEAST_TYPES = 6
"""Two for each split: with one, whatever is found would be right."""

LEAST_IMAGES = 4
"""Two queries, and two photographs that they should find."""

MOST_IMAGES = 9999
"""Names have four digits."""

SIDES = (64, 4096)
"""Least and largest longest side of a picture in pixels."""


@dataclass(frozen=True, slots=True)
class Order:
    """A data set to draw.

    Args:
        types: Types of firearms.
        images_per_type: Pictures of each.
        lookalikes: Pictures of look-alikes in all.
        harmless: Pictures of everyday things in all.
        seed: Of all chance.
        side: Longest side of each picture in pixels.
        layout: One of ``LAYOUTS``.
    """

    types: int = 24
    images_per_type: int = 24
    lookalikes: int = 80
    harmless: int = 80
    seed: int = 0
    side: int = 224
    layout: str = LAYOUTS[0]

    def check(self) -> None:
        """Refuse what cannot be drawn.

        Raises:
            BadInput: A number is out of range, or there is no such layout.
        """
        if self.types < LEAST_TYPES:
            raise BadInput(
                f"--types {self.types} is too few for train, validation and test of two types or "
                f"more each; give {LEAST_TYPES} or more"
            )
        if not LEAST_IMAGES <= self.images_per_type <= MOST_IMAGES:
            raise BadInput(
                f"--images-per-type {self.images_per_type} is not in {LEAST_IMAGES}..{MOST_IMAGES}"
                f"; {QUERIES} of a type are queries, and they need others to find"
            )
        for option in ("lookalikes", "harmless", "seed"):
            if getattr(self, option) < 0:
                raise BadInput(f"--{option} {getattr(self, option)} is negative; give 0 or more")
        if not SIDES[0] <= self.side <= SIDES[1]:
            raise BadInput(f"--side {self.side} is not in {SIDES[0]}..{SIDES[1]} pixels")
        if self.layout not in LAYOUTS:
            raise BadInput(f"--layout {self.layout} is unknown; give {' or '.join(LAYOUTS)}")

    @property
    def pictures(self) -> int:
        """How many pictures there will be, copies not counted."""
        return self.types * self.images_per_type + self.lookalikes + self.harmless
