"""Turn untrusted bytes into upright RGB frames. Knows nothing of Kafka, networks or processes.

Nothing here imports torch. Calls must not overlap within a process, because Pillow's cap on pixels
and its tolerance of damage are one for the whole process.
"""

import io
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import ceil, inf
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from models.pixels import ORIENTATION, draft, prepare
from models.spec import InputSpec
from moderator.decoding.animation import Film, Shot, Walk, film_of
from moderator.decoding.avif import avif_film
from moderator.decoding.bounds import most_pixels
from moderator.decoding.colour import rgb, shown
from moderator.decoding.formats import DECODERS, sniff
from moderator.decoding.gif import Gif
from moderator.decoding.margins import parts
from moderator.decoding.png import Apng, is_animated, loaded
from moderator.decoding.profiles import Colours, UnusableProfile, colours
from moderator.decoding.repair import mended, shows_something, skimmed
from moderator.decoding.scenes import Look, Looks, Scenes
from moderator.decoding.view import WHOLE, Box, Layout, View, most_views, sizes_of
from moderator.errors import BadInput

T = TypeVar("T")

CAUSES = (
    "empty",
    "format",
    "pixels",
    "too-small",
    "profile",
    "corrupt",
    "memory",
    "timeout",
    "crash",
)
"""Why an image cannot be decoded: labels of a metric, so these few and no others."""

MIN_SIDE = 16
"""Pixels that both sides of an image need: below it nothing can be recognised or scored."""

SMALL = 2**20
"""Pixels of a frame that is kept as it is until frames are chosen; of larger ones, their views."""

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

OUT_OF_MEMORY = ("out of memory", "decoder error -9")
"""What the texts of errors hold that Pillow raises in place of ``MemoryError``."""


class Undecodable(BadInput):
    """Bytes that are no image we judge; ``cause`` is one of ``CAUSES``."""

    def __init__(self, cause: str) -> None:
        super().__init__(f"the image cannot be decoded: {cause}")
        self.cause = cause

    def __reduce__(self) -> tuple[type["Undecodable"], tuple[str]]:
        """Cross process borders whole."""
        return type(self), (self.cause,)


@dataclass(frozen=True, eq=False, slots=True)
class _File:
    """A file in its format: its bytes such that they can be decoded, and as they came."""

    kind: str
    data: bytes
    original: bytes

    def open(self, max_pixels: int) -> ImageFile.ImageFile:
        """Open it with its decoder, if its size is one that is judged."""
        image = DECODERS[self.kind](io.BytesIO(self.data))
        _check_size(*image.size, max_pixels)
        _forget_xmp(image)
        return image

    def colours(self, image: Image.Image) -> Colours | None:
        """Return how the values of the frame that it is at are shown; None: as they are."""
        return colours(self.kind, image, self.original)


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
    memory: int | None = None,
    seed: int = 0,
    seconds: float = inf,
) -> DecodedImage:
    """Decode an image, trusting neither its name nor its header.

    What is transparent is shown on white and on black, as two views of the same frame. Parts of a
    frame that its shape asks for (``margins.parts``) are further views, as far as there is room.

    Of an animation some frames are returned, see ``moderator.decoding.scenes``. Frames build on
    those before them, so all up to the last are decoded, as far as they have no more pixels than
    a still may have, and are no more than ``animation.MAX_REACH``; ``beyond`` says that there are
    more.

    Args:
        data: The file: JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF; HEIC with pillow-heif.
        spec: The sizes that the network takes.
        max_pixels: Most pixels of a frame, as the header states them; checked before decoding.
            Large frames of very small files are refused too, see ``bounds``.
        max_frames: Most frames to look at, at least 1.
        memory: Bytes that decoding may take; a frame that would take more is refused by its
            header. None: without limit.
        seed: Chooses among frames, so that who posts cannot know which are looked at.
        seconds: Of this process's time, after which no further frame is looked at.

    Raises:
        Undecodable: It is none of these, is cut short or damaged, is too large or too small.
    """
    image, damaged = _guarded(
        data,
        max_pixels,
        memory,
        lambda file, most: _decoded(file, spec, _Limits(most, max_frames, seed, seconds)),
    )
    if damaged and not any(map(shows_something, image.frames)):
        raise Undecodable("corrupt")
    return replace(image, partial=image.partial or damaged)


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
    image, _ = _guarded(
        data,
        max_pixels,
        None,
        lambda file, most: _upright(file, view, max_pixels=most, max_side=max_side),
    )
    return image


def _guarded(
    data: bytes, max_pixels: int, memory: int | None, decoded: Callable[[_File, int], T]
) -> tuple[T, bool]:
    """Call what decodes a file and keeps to so many pixels; say whether the file was damaged.

    A damaged one is decoded again as far as it goes, after what its format allows was mended.

    Raises:
        Undecodable: It is of no format that we judge, or the call fails in whatever way.
    """
    if not data:
        raise Undecodable("empty")
    kind = sniff(data)
    if kind is None:
        raise Undecodable("format")
    most = most_pixels(kind, len(data), max_pixels, memory)
    Image.MAX_IMAGE_PIXELS = most
    try:
        return _caused(lambda: decoded(_File(kind, skimmed(kind, data), data), most)), False
    except Undecodable as error:
        again = mended(kind, data) if error.cause == "corrupt" else None
        if again is None:
            raise
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        return _caused(lambda: decoded(_File(kind, again, data), most)), True
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = False


def _caused(call: Callable[[], T]) -> T:
    """Return what a call gives, or raise ``Undecodable`` with the cause of its failure."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            return call()
        except Undecodable:
            raise
        except UnusableProfile as error:
            raise Undecodable("profile") from error
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise Undecodable("pixels") from error
        except MemoryError as error:
            raise Undecodable("memory") from error
        except Exception as error:
            # Pillow raises whatever its parsers stumble over, from KeyError to struct.error.
            memory = any(text in str(error) for text in OUT_OF_MEMORY)
            raise Undecodable("memory" if memory else "corrupt") from error


@dataclass(frozen=True, slots=True)
class _Limits:
    """What ``decode`` was given besides file and sizes."""

    max_pixels: int
    max_frames: int
    seed: int
    seconds: float


def _decoded(file: _File, spec: InputSpec, limits: _Limits) -> DecodedImage:
    if file.kind == "JPEG":
        return _jpeg(file, spec, limits)
    film = _film(file, limits.max_pixels)
    tolerant = ImageFile.LOAD_TRUNCATED_IMAGES
    walk = Walk(film.frames, limits.max_pixels, limits.seconds, tolerant)
    scenes = Scenes(np.random.default_rng(limits.seed))
    width = height = 0
    for position, orientation, shot in _shots(file, walk):
        if not position:
            width, height = shot.image.size if orientation < 5 else shot.image.size[::-1]
        look = partial(_looks, position, orientation, spec, (width, height))
        if film.single:
            return _of(width, height, walk, [look(shot.image)], limits)
        scenes.add(position, shot, partial(_kept, shot.image, look))
    looks = [scene.look() for scene in scenes.chosen(limits.max_frames)]
    return _of(width, height, walk, looks, limits)


def _shots(file: _File, walk: Walk) -> Iterator[tuple[int, int, Shot]]:
    """Yield the frames that are judged: position, how each is turned, and it in its colours."""
    how = None
    for position, shot in enumerate(walk):
        # The first was checked; in later ones so small nobody recognises anything.
        if position and min(shot.image.size) < MIN_SIDE:
            continue
        # A PNG's may stand behind its pixels.
        _forget_xmp(shot.image)
        orientation = _orientation(file.kind, shot.image)
        if not position or file.kind in ("TIFF", "AVIF"):
            # Pages of a TIFF have profiles of their own, and so has the still of an AVIF sequence.
            how = file.colours(shot.image)
        yield position, orientation, shot._replace(image=_managed(shot.image, how))


def _kept(image: Image.Image, look: Callable[[Image.Image], Looks]) -> Look:
    """Return what shows an image later, though it may change: made of a copy, if that is small."""
    if image.width * image.height <= SMALL:
        return partial(look, image.copy())
    looks = look(image)
    return lambda: looks


def _looks(
    position: int, orientation: int, spec: InputSpec, size: tuple[int, int], image: Image.Image
) -> Looks:
    """Return the views of a frame with what they see, the whole ones first.

    Parts of it are seen only where it is as large as the picture, whose pixels boxes count.
    """
    wholes: list[tuple[View, NDArray[np.uint8]]] = []
    crops: list[tuple[View, NDArray[np.uint8]]] = []
    for background, flat in shown(image).items():
        whole = _turned(flat, orientation)
        frame = prepare(whole, spec)
        wholes.append((View(position, background), frame))
        filled = ImageFile.LOAD_TRUNCATED_IMAGES
        boxes = parts(frame, *size, filled=filled) if whole.size == size else ()
        crops += [
            (View(position, background, box), prepare(whole.crop(box), spec)) for box in boxes
        ]
    return wholes + crops


def _of(
    width: int, height: int, walk: Walk, looks: Iterable[Looks], limits: _Limits
) -> DecodedImage:
    every = [look for each in looks for look in each]
    wholes = [look for look in every if look[0].box is None]
    crops = [look for look in every if look[0].box is not None]
    # All frames come before parts of any, for which there may be no room.
    room = most_views(limits.max_frames) - len(wholes)
    views, frames = zip(*wholes, *_shared(crops, room, limits.seed), strict=True)
    return DecodedImage(width, height, frames, views, walk.reach, walk.beyond, walk.partial)


def _shared(crops: Looks, room: int, seed: int) -> list[tuple[View, NDArray[np.uint8]]]:
    """Return as many parts as there is room for, shared out evenly among the views they are of.

    Which ones go is chance, so that nobody can know where not to look; the first of a view, which
    may show all that its margins enclose, goes last.
    """
    chance = np.random.default_rng(seed)
    groups: dict[tuple[int, str | None], list[int]] = {}
    for place, (view, _) in enumerate(crops):
        groups.setdefault((view.frame, view.background), []).append(place)
    for _ in range(len(crops) - room):
        most = max(groups.values(), key=len)
        del most[int(chance.integers(1, len(most))) if len(most) > 1 else 0]
    return [crops[place] for group in groups.values() for place in group]


def _film(file: _File, max_pixels: int) -> Film:
    """Open a file that is no JPEG, and look at no frame of it yet."""
    if file.kind == "GIF":
        gif = Gif(file.data)
        _check_size(*gif.size, max_pixels)
        return Film(gif.frames(), gif.single)
    if file.kind == "PNG" and is_animated(file.data):
        apng = Apng(file.data)
        _check_size(*apng.size, max_pixels)
        return Film(apng.frames(), apng.single)
    if file.kind == "AVIF":
        return avif_film(file.data, lambda data: replace(file, data=data).open(max_pixels))
    image = file.open(max_pixels)
    load = partial(loaded, image, file.data) if file.kind == "PNG" else None
    return film_of(file.kind, image, load)


def _upright(file: _File, view: View, *, max_pixels: int, max_side: int) -> Image.Image:
    if file.kind == "JPEG":
        jpeg = file.open(max_pixels)
        how = file.colours(jpeg)
        # Before it is drafted: an EXIF that cannot be read is dropped there.
        orientation = _orientation(file.kind, jpeg)
        share = min(1.0, max_side / max(jpeg.size))
        if how is None or how.smooth:
            jpeg.draft("RGB", (ceil(jpeg.width * share), ceil(jpeg.height * share)))
        jpeg.load()
        image: Image.Image = jpeg
    else:
        image = _frame(file, view.frame, max_pixels)
        _forget_xmp(image)
        how = file.colours(image)
        orientation = _orientation(file.kind, image)
    turned = _turned(rgb(_managed(image, how), view.background), orientation)
    turned.thumbnail((max_side, max_side), Image.Resampling.BICUBIC, reducing_gap=2.0)
    return turned


def _frame(file: _File, position: int, max_pixels: int) -> Image.Image:
    """Return one of the frames within reach.

    Raises:
        Undecodable: There is none of this position.
    """
    walk = Walk(_film(file, max_pixels).frames, max_pixels, tolerant=True)
    for place, shot in enumerate(walk):
        if place == position:
            return shot.image
    raise Undecodable("corrupt")


def _forget_xmp(image: Image.Image) -> None:
    """Drop what Pillow would take an orientation from too: viewers turn by EXIF alone."""
    for name in ("xmp", "XML:com.adobe.xmp"):
        image.info.pop(name, None)


def _jpeg(file: _File, spec: InputSpec, limits: _Limits) -> DecodedImage:
    image = file.open(limits.max_pixels)
    orientation = _orientation("JPEG", image)
    width, height = image.size if orientation < 5 else image.size[::-1]
    how = file.colours(image)
    if how is None or how.smooth:
        draft(image, spec)
    image.load()
    upright = _turned(rgb(_managed(image, how)), orientation)
    frame = prepare(upright, spec)
    boxes = parts(frame, width, height, filled=ImageFile.LOAD_TRUNCATED_IMAGES)
    if not boxes:
        return DecodedImage(width, height, (frame,))
    wanted = _scale_for(boxes, spec)
    if upright.width < wanted * width:
        # What is enough for the whole is too small for its parts.
        image = file.open(limits.max_pixels)
        image.draft("RGB", (ceil(image.width * wanted), ceil(image.height * wanted)))
        image.load()
        upright = _turned(rgb(_managed(image, how)), orientation)
    crops = [prepare(_crop(upright, box, upright.width / width), spec) for box in boxes]
    return DecodedImage(width, height, (frame, *crops), (WHOLE, *(View(box=box) for box in boxes)))


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


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise Undecodable("pixels")
    if min(width, height) < MIN_SIDE:
        raise Undecodable("too-small")


def _orientation(kind: str, image: Image.Image) -> int:
    """Return how the image is turned, 1..8; 1 (upright) also where its EXIF cannot be read."""
    if kind in ("TIFF", "HEIC"):
        # Their decoders turn a picture when they load it.
        return 1
    try:
        orientation = image.getexif().get(ORIENTATION)
    except Exception:
        # What could not be read is not read again when the image is drafted.
        image.info.pop("exif", None)
        return 1
    return orientation if isinstance(orientation, int) and orientation in TURNS else 1


def _managed(image: Image.Image, how: Colours | None) -> Image.Image:
    return image if how is None else how.shown(image)


def _turned(image: Image.Image, orientation: int) -> Image.Image:
    return image if orientation == 1 else image.transpose(TURNS[orientation])
