"""Compose frames that each change a part of the picture, as browsers do: GIF and APNG."""

from dataclasses import dataclass
from typing import Literal

from PIL import Image

from moderator.decoding.colour import layer

Disposal = Literal["keep", "clear", "restore"]
"""What becomes of a frame's part once its time is over: it stays, becomes transparent (never the
background colour that a GIF names), or is again what it was."""


@dataclass(frozen=True, slots=True)
class Part:
    """Where a frame lies in the picture, in pixels, and how it is laid there.

    ``over`` lays it over what is there, else it takes its place.
    """

    left: int
    top: int
    width: int
    height: int
    disposal: Disposal
    over: bool = True


class Canvas:
    """What viewers show; transparent until a frame was laid.

    Args:
        width: Of the picture in pixels; what lies outside is cut off.
        height: As ``width``.
    """

    def __init__(self, width: int, height: int) -> None:
        self.image = Image.new("RGBA", (width, height))
        self._after: tuple[Image.Image | None, tuple[int, int, int, int]] | None = None

    def lay(self, frame: Image.Image, part: Part) -> Image.Image:
        """Dispose of the frame before, lay this one, and return the picture."""
        if self._after is not None:
            before, box = self._after
            self.image.paste((0, 0, 0, 0) if before is None else before, box)
            self._after = None
        left, top = min(part.left, self.image.width), min(part.top, self.image.height)
        right = min(part.left + part.width, self.image.width)
        bottom = min(part.top + part.height, self.image.height)
        box = (left, top, right, bottom)
        if left >= right or top >= bottom:
            return self.image
        if part.disposal != "keep":
            before = self.image.crop(box) if part.disposal == "restore" else None
            self._after = before, box
        laid = layer(frame)
        if laid.size != (right - left, bottom - top):
            laid = laid.crop((0, 0, right - left, bottom - top))
        if part.over and laid.getchannel("A").getextrema() != (255, 255):
            self.image.alpha_composite(laid, (left, top))
        else:
            self.image.paste(laid, box)
        return self.image
