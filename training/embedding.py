"""From files of photographs to embeddings, in batches. Must not know types, groups or splits."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from models.pixels import draft, prepare
from models.spec import InputSpec
from training.leftout import reason

MIN_SIDE = 16
"""Pixels that both sides of a photograph need, as where releases are served."""

BACKGROUND = (255, 255, 255)
"""What shows through transparency, as where releases are served."""

BATCHES_AHEAD = 4
"""Batches that are read while others are embedded."""

Pixels = NDArray[np.uint8]


class Embeds(Protocol):
    """The part of a network that embedding uses."""

    @property
    def dimension(self) -> int:
        """Of the embeddings."""
        ...

    def embed(self, pixels: Pixels) -> NDArray[np.float32]:
        """Return the embeddings float32[N, D] of uint8[N, H, W, 3]."""
        ...


class Describes(Embeds, Protocol):
    """The part of a network that describing photographs and their regions uses."""

    def describe_pixels(self, pixels: Pixels) -> NDArray[np.float32]:
        """Return float32[N, 1 + R, D] of uint8[N, H, W, 3]: the whole, then its regions."""
        ...


@dataclass(frozen=True, eq=False)
class Embedded:
    """Embeddings float32[N, D], L2-normalised, all zero for what could not be read.

    ``unreadable`` holds the places of those, and why.
    """

    rows: NDArray[np.float32]
    unreadable: Mapping[int, str]


@dataclass(frozen=True, eq=False)
class Described:
    """For each photograph float32[1 + R, D], L2-normalised: the whole first, then its regions.

    R depends on the photograph's shape; what could not be read has no rows. ``unreadable`` holds
    the places of those, and why.
    """

    rows: Sequence[NDArray[np.float32]]
    unreadable: Mapping[int, str]


def embed(
    network: Embeds,
    paths: Sequence[Path],
    spec: InputSpec,
    *,
    batch: int = 32,
    readers: int = 2,
    advance: Callable[[int], None] = lambda _: None,
) -> Embedded:
    """Embed photographs; those that cannot be read are told of, never fatal.

    Args:
        network: In evaluation mode.
        paths: Of the files.
        spec: What the network takes.
        batch: Most photographs of one forward pass.
        readers: Threads that read and decode.
        advance: Told how many more are done.
    """
    rows = np.zeros((len(paths), network.dimension), np.float32)
    unreadable: dict[int, str] = {}
    reading = _Reading(batch, readers, advance, unreadable)
    for places, pixels in _batches(paths, spec, reading):
        rows[places] = network.embed(pixels)
    return Embedded(rows, unreadable)


def describe(
    network: Describes,
    paths: Sequence[Path],
    spec: InputSpec,
    *,
    batch: int = 32,
    readers: int = 2,
    advance: Callable[[int], None] = lambda _: None,
) -> Described:
    """Embed photographs with their regions, as ``embed`` does photographs."""
    rows = [np.zeros((0, network.dimension), np.float32) for _ in paths]
    unreadable: dict[int, str] = {}
    reading = _Reading(batch, readers, advance, unreadable)
    for places, pixels in _batches(paths, spec, reading):
        for place, its in zip(places, network.describe_pixels(pixels), strict=True):
            rows[place] = its
    return Described(rows, unreadable)


@dataclass(frozen=True)
class _Reading:
    """How photographs are read, see ``embed``; ``unreadable`` takes what cannot be."""

    batch: int
    readers: int
    advance: Callable[[int], None]
    unreadable: dict[int, str]


def _batches(
    paths: Sequence[Path], spec: InputSpec, reading: _Reading
) -> Iterator[tuple[list[int], Pixels]]:
    """Yield places and pixels of one shape; what cannot be read is noted instead."""
    batch = reading.batch
    with ThreadPoolExecutor(reading.readers) as pool:
        for begin, chunk in _read_ahead(pool, paths, spec, batch * BATCHES_AHEAD):
            shapes: dict[tuple[int, ...], list[int]] = {}
            for place, pixels in enumerate(chunk):
                if isinstance(pixels, str):
                    reading.unreadable[begin + place] = pixels
                else:
                    shapes.setdefault(pixels.shape, []).append(place)
            for places in shapes.values():
                for part in (places[n : n + batch] for n in range(0, len(places), batch)):
                    pictures = np.stack([p for p in map(chunk.__getitem__, part) if _sound(p)])
                    yield [begin + place for place in part], pictures
            reading.advance(len(chunk))


def read(path: Path, spec: InputSpec) -> Pixels:
    """Read a photograph as it will be read where the release is served.

    Args:
        path: Any image that Pillow reads; of an animation, its first frame.
        spec: The sizes that the network takes.

    Returns:
        uint8[height, width, 3].

    Raises:
        Exception: Of whatever kind Pillow raises on damaged bytes.
        ValueError: It is too small.
    """
    with Image.open(path) as image:
        if min(image.size) < MIN_SIDE:
            raise ValueError(f"smaller than {MIN_SIDE} pixels")
        draft(image, spec)
        upright = ImageOps.exif_transpose(image)
        return prepare(_rgb(upright), spec)


def _sound(pixels: "Pixels | str") -> bool:
    return not isinstance(pixels, str)


def _read_ahead(
    pool: ThreadPoolExecutor, paths: Sequence[Path], spec: InputSpec, size: int
) -> Iterator[tuple[int, list[Pixels | str]]]:
    """Yield chunks with their beginnings; while one is used the next is being read."""
    waiting: list[Future[Pixels | str]] = []
    for begin in range(0, len(paths) + size, size):
        coming = [pool.submit(_try_read, path, spec) for path in paths[begin : begin + size]]
        if waiting:
            yield begin - size, [future.result() for future in waiting]
        waiting = coming


def _try_read(path: Path, spec: InputSpec) -> Pixels | str:
    try:
        return read(path, spec)
    except Exception as error:
        return reason(error, path)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        high = (np.asarray(image) >> 8).astype(np.uint8)
        return Image.fromarray(high).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    flat = Image.new("RGB", image.size, BACKGROUND)
    flat.paste(layer, mask=layer.getchannel("A"))
    return flat
