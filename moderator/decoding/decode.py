"""Turn untrusted bytes into upright RGB frames. Knows nothing of Kafka, networks or processes.

Nothing here imports torch. Colour profiles (ICC) are ignored: networks are trained on what
decoders give, and a profile is more untrusted input for a small shift of colours. Calls must not
overlap within a process, because Pillow's cap on pixels is one for the whole process.
"""

import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from models.pixels import ORIENTATION, draft, prepare
from models.spec import InputSpec
from moderator.decoding.animation import reach, spread
from moderator.decoding.colour import rgb, shown
from moderator.decoding.margins import parts
from moderator.decoding.view import WHOLE, Box, Layout, View, most_views, sizes_of
from moderator.errors import BadInput

T = TypeVar("T")

CAUSES = ("empty", "format", "pixels", "too-small", "corrupt", "memory", "timeout", "crash")
"""Why an image cannot be decoded: labels of a metric, so these few and no others."""

MIN_SIDE = 16
"""Pixels that both sides of an image need: below it nothing can be recognised or scored."""

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation to what makes the image upright; 5 to 8 swap width and height."""

# The plugins' own classes instead of Image.open: exactly one decoder sees the file, and a JPEG that
# holds further pictures (MPO: depth maps, previews) is the JPEG that viewers show.
DECODERS: dict[str, Callable[[io.BytesIO], ImageFile.ImageFile]] = {
    "JPEG": JpegImagePlugin.JpegImageFile,
    "PNG": PngImagePlugin.PngImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
}

BEGINNINGS: dict[str, bytes | tuple[bytes, ...]] = {
    "JPEG": b"\xff\xd8\xff",
    "PNG": b"\x89PNG\r\n\x1a\n",
    "GIF": (b"GIF87a", b"GIF89a"),
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "BMP": b"BM",
}

# One image at a time in a process, as many processes as cores: threads would only compete.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1


class Undecodable(BadInput):
    """Bytes that are no image we judge; ``cause`` is one of ``CAUSES``."""

    def __init__(self, cause: str) -> None:
        super().__init__(f"the image cannot be decoded: {cause}")
        self.cause = cause

    def __reduce__(self) -> tuple[type["Undecodable"], tuple[str]]:
        """Cross process borders whole."""
        return type(self), (self.cause,)


@dataclass(frozen=True, eq=False, slots=True)
class DecodedImage:
    """An image as a network takes it.

    ``frames`` are uint8[height, width, 3], each of one of the input's sizes: what ``views`` see,
    one by one. For the rest see ``Layout``.
    """

    width: int
    height: int
    frames: tuple[NDArray[np.uint8], ...]
    views: tuple[View, ...] = (WHOLE,)
    reach: int = 1
    beyond: bool = False
    partial: bool = False

    @property
    def layout(self) -> Layout:
        """What is judged of it."""
        return Layout(
            self.width,
            self.height,
            sizes_of(self.frames),
            self.views,
            self.reach,
            self.beyond,
            self.partial,
        )


def decode(
    data: bytes,
    spec: InputSpec,
    *,
    max_pixels: int,
    max_frames: int,
    seed: int = 0,  # noqa: ARG001
) -> DecodedImage:
    """Decode an image, trusting neither its name nor its header.

    What is transparent is shown on white and on black, as two views of the same frame. Parts of a
    frame that its shape asks for (``margins.parts``) are further views, as far as there is room.

    An animation gives its first, its last and evenly spread frames between. Frames build on those
    before them, so reaching one costs decoding all before it: an animation is looked at as far as
    it has no more pixels than a still may have, and no more than ``animation.MAX_REACH`` frames;
    "last" is the last one within that reach.

    Args:
        data: The file: JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF.
        spec: The sizes that the network takes.
        max_pixels: Most pixels of a frame, as the header states them; checked before decoding.
        max_frames: Most frames to look at, at least 1.
        seed: Chooses among frames, so that who posts cannot know which are looked at.

    Raises:
        Undecodable: It is none of these, is cut short or damaged, is too large or too small.
    """
    return _guarded(
        data, max_pixels, lambda kind: _decoded(kind, data, spec, max_pixels, max_frames)
    )


def upright(data: bytes, view: View, *, max_pixels: int, max_side: int) -> Image.Image:
    """Decode the frame of one of the views that ``decode`` gives, for people to look at.

    Args:
        data: The file, as ``decode`` takes it.
        view: Its frame and background; the whole frame is shown, whatever part of it is seen.
        max_pixels: As ``decode`` takes it.
        max_side: Longest side in pixels; what is larger is made smaller.

    Returns:
        An upright RGB image.

    Raises:
        Undecodable: See ``decode``.
    """
    return _guarded(
        data,
        max_pixels,
        lambda kind: _upright(kind, data, view, max_pixels=max_pixels, max_side=max_side),
    )


def _guarded(data: bytes, max_pixels: int, decoded: Callable[[str], T]) -> T:
    """Call what decodes a file of the format given to it.

    Raises:
        Undecodable: It is of no format that we judge, or the call fails in whatever way.
    """
    if not data:
        raise Undecodable("empty")
    kind = sniff(data)
    if kind is None:
        raise Undecodable("format")
    Image.MAX_IMAGE_PIXELS = max_pixels
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            return decoded(kind)
        except Undecodable:
            raise
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise Undecodable("pixels") from error
        except MemoryError as error:
            raise Undecodable("memory") from error
        except Exception as error:
            # Pillow raises whatever its parsers stumble over, from KeyError to struct.error.
            cause = "memory" if "out of memory" in str(error) else "corrupt"
            raise Undecodable(cause) from error


def sniff(data: bytes) -> str | None:
    """Return the format that the first bytes show, one of ``DECODERS``; None for any other."""
    for kind, beginnings in BEGINNINGS.items():
        if data.startswith(beginnings):
            return kind
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    return "AVIF" if _is_avif(data) else None


def _is_avif(data: bytes) -> bool:
    if data[4:8] != b"ftyp":
        return False
    # The major brand, its version, then compatible brands; HEIC has the same box without these.
    brands = data[8 : min(int.from_bytes(data[:4], "big"), 256)]
    return any(brands[at : at + 4] in (b"avif", b"avis") for at in range(0, len(brands), 4))


def _decoded(
    kind: str, data: bytes, spec: InputSpec, max_pixels: int, max_frames: int
) -> DecodedImage:
    image = DECODERS[kind](io.BytesIO(data))
    _check_size(image, max_pixels)
    _forget_xmp(image)
    if kind == "JPEG":
        return _jpeg(image, data, spec)
    width = height = 0
    frames: list[NDArray[np.uint8]] = []
    views: list[View] = []
    crops: list[tuple[View, NDArray[np.uint8]]] = []
    within = reach(kind, image, data, max_pixels)
    for position in spread(within, max_frames):
        image.seek(position)
        _check_size(image, max_pixels)
        image.load()
        # A PNG's may stand behind its pixels.
        _forget_xmp(image)
        # Pillow turns a TIFF itself when it loads.
        orientation = 1 if kind == "TIFF" else _orientation(image)
        for background, flat in shown(image).items():
            upright = _turned(flat, orientation)
            if not frames:
                width, height = upright.size
            frames.append(prepare(upright, spec))
            views.append(View(position, background))
            if upright.size == (width, height):
                boxes = parts(frames[-1], width, height)
                crops += [
                    (View(position, background, box), prepare(upright.crop(box), spec))
                    for box in boxes
                ]
    room = most_views(max_frames) - len(views)
    views += [view for view, _ in crops[:room]]
    frames += [pixels for _, pixels in crops[:room]]
    return DecodedImage(width, height, tuple(frames), tuple(views), within)


def _upright(kind: str, data: bytes, view: View, *, max_pixels: int, max_side: int) -> Image.Image:
    image = DECODERS[kind](io.BytesIO(data))
    _check_size(image, max_pixels)
    _forget_xmp(image)
    if kind == "JPEG":
        # Before it is drafted: an EXIF that cannot be read is dropped there.
        orientation = _orientation(image)
        share = min(1.0, max_side / max(image.size))
        image.draft("RGB", (ceil(image.width * share), ceil(image.height * share)))
        image.load()
    else:
        image.seek(view.frame)
        _check_size(image, max_pixels)
        image.load()
        _forget_xmp(image)
        orientation = 1 if kind == "TIFF" else _orientation(image)
    turned = _turned(rgb(image, view.background), orientation)
    turned.thumbnail((max_side, max_side), Image.Resampling.BICUBIC, reducing_gap=2.0)
    return turned


def _forget_xmp(image: Image.Image) -> None:
    """Drop what Pillow would take an orientation from too: viewers turn by EXIF alone."""
    for name in ("xmp", "XML:com.adobe.xmp"):
        image.info.pop(name, None)


def _jpeg(image: ImageFile.ImageFile, data: bytes, spec: InputSpec) -> DecodedImage:
    orientation = _orientation(image)
    width, height = image.size if orientation < 5 else image.size[::-1]
    draft(image, spec)
    image.load()
    upright = _turned(rgb(image), orientation)
    frame = prepare(upright, spec)
    boxes = parts(frame, width, height)
    if not boxes:
        return DecodedImage(width, height, (frame,))
    wanted = _scale_for(boxes, spec)
    if upright.width < wanted * width:
        # What is enough for the whole is too small for its parts.
        image = DECODERS["JPEG"](io.BytesIO(data))
        image.draft("RGB", (ceil(image.width * wanted), ceil(image.height * wanted)))
        image.load()
        upright = _turned(rgb(image), orientation)
    crops = [prepare(_crop(upright, box, upright.width / width), spec) for box in boxes]
    views = (WHOLE, *(View(box=box) for box in boxes))
    return DecodedImage(width, height, (frame, *crops), views)


def _crop(upright: Image.Image, box: Box, scale: float) -> Image.Image:
    """Return a part of a picture that was decoded at a scale."""
    left, top, right, bottom = (round(side * scale) for side in box)
    return upright.crop((left, top, max(right, left + 1), max(bottom, top + 1)))


def _scale_for(boxes: Sequence[Box], spec: InputSpec) -> float:
    """Return at what scale, 1 at most, no part is smaller than the network takes it."""
    scale = 0.0
    for left, top, right, bottom in boxes:
        high, wide = spec.size_for(bottom - top, right - left)
        scale = max(scale, wide / (right - left), high / (bottom - top))
    return min(1.0, scale)


def _check_size(image: Image.Image, max_pixels: int) -> None:
    if image.width * image.height > max_pixels:
        raise Undecodable("pixels")
    if min(image.size) < MIN_SIDE:
        raise Undecodable("too-small")


def _orientation(image: Image.Image) -> int:
    """Return how the image is turned, 1..8; 1 (upright) also where its EXIF cannot be read."""
    try:
        orientation = image.getexif().get(ORIENTATION)
    except Exception:
        # What could not be read is not read again when the image is drafted.
        image.info.pop("exif", None)
        return 1
    return orientation if isinstance(orientation, int) and orientation in TURNS else 1


def _turned(image: Image.Image, orientation: int) -> Image.Image:
    return image if orientation == 1 else image.transpose(TURNS[orientation])
