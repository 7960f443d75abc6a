"""Photographs decoded once, in files that are mapped into memory. Must not know types or splits.

A folder of the cache holds *packs*: ``<name>.pixels`` with raw RGB, and ``<name>.json`` with where
each photograph lies, by the digest of its file. Packs are written whole and never changed, so runs
may share the folder at the same time; a run adds a pack of what no other one holds.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console

from models.pixels import ORIENTATION
from models.spec import InputSpec
from training.embedding import read
from training.folder import Photo
from training.leftout import reason
from training.progress import progress
from training.stages.space import check_space
from training.workfolder import sweep, work_folder

LEAST = 32
AHEAD = 64
"""Photographs that are decoded while others are written."""

HALF = ".pack-"
"""What the names of folders of packs that are being written begin with."""

USUAL_SHAPE = 0.75
"""Pixels of a usual photograph as a share of the square on its longest side."""

Pixels = NDArray[np.uint8]


def default_cache() -> Path:
    """Return the folder of decoded photographs that is used when none is named."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "moderator-training"


@dataclass(frozen=True, eq=False)
class _Pack:
    pixels: NDArray[np.uint8]
    where: Mapping[str, tuple[int, int, int]]


class PixelStore:
    """Upright RGB of photographs, by digest; made by ``open_store``.

    ``unreadable`` holds the digests of those that could not be read, and why.
    """

    def __init__(self, packs: Sequence[_Pack], unreadable: Mapping[str, str]) -> None:
        self._packs = packs
        self._of = {digest: pack for pack in packs for digest in pack.where}
        self.unreadable = dict(unreadable)

    def get(self, digest: str) -> Pixels:
        """Return uint8[height, width, 3] of the photograph of this digest, not to be written.

        Raises:
            KeyError: It is not in the store, or could not be read.
        """
        pack = self._of[digest]
        begin, height, width = pack.where[digest]
        return pack.pixels[begin : begin + height * width * 3].reshape(height, width, 3)


def open_store(
    photos: Sequence[Photo], longest: int, cache: Path, console: Console, *, readers: int = 2
) -> PixelStore:
    """Open the decoded photographs, decoding first what no run has decoded before.

    Args:
        photos: Any, in any order; those of one digest are decoded once.
        longest: Longest side in pixels that is kept; smaller photographs stay as they are.
        cache: Folder, made where there is none.
        console: For progress.
        readers: Threads that decode.

    Raises:
        BadInput: The cache cannot be written, or its disk is too full.
    """
    folder = cache / f"pixels-{longest}"
    for other in cache.glob("pixels-*"):
        sweep(other, HALF)
    wanted = {photo.digest: photo.path for photo in photos}
    packs = list(_packs(folder))
    unreadable: dict[str, str] = {}
    known = {digest for pack in packs for digest in pack.where}
    missing = {digest: path for digest, path in wanted.items() if digest not in known}
    if missing:
        check_space(folder, int(len(missing) * longest**2 * 3 * USUAL_SHAPE), "--cache")
        unreadable = _write(folder, missing, longest, console, readers)
        packs = list(_packs(folder))
    return PixelStore(packs, unreadable)


def decode(path: Path, longest: int) -> Pixels:
    """Read a photograph upright, its longest side at most ``longest`` pixels.

    Returns:
        uint8[height, width, 3], both sides at least 32.

    Raises:
        Exception: Of whatever kind Pillow raises on damaged bytes.
    """
    with Image.open(path) as image:
        width, height = image.size
        if image.getexif().get(ORIENTATION) in (5, 6, 7, 8):
            width, height = height, width
    scale = min(1.0, longest / max(width, height))
    size = tuple(max(LEAST, round(side * scale)) for side in (height, width))
    return read(path, InputSpec(((size[0], size[1]),)))


def _packs(folder: Path) -> Iterator[_Pack]:
    for index in sorted(folder.glob("*.json")):
        file = index.with_suffix(".pixels")
        try:
            raw = json.loads(index.read_text("utf-8"))
            if not raw["where"] or file.stat().st_size != raw["bytes"]:
                continue
        except (OSError, ValueError, KeyError):
            # A pack that was damaged is as good as none: its photographs are decoded again.
            continue
        where = {digest: tuple(place) for digest, place in raw["where"].items()}
        yield _Pack(np.memmap(file, np.uint8, "r"), where)


def _write(
    folder: Path, missing: Mapping[str, Path], longest: int, console: Console, readers: int
) -> dict[str, str]:
    """Write a pack; returns why each of the others could not be read."""
    with work_folder(folder, HALF) as beside:
        where, unreadable = _fill(beside / "pixels", missing, longest, console, readers)
        size = (beside / "pixels").stat().st_size
        name = hashlib.sha256("".join(sorted(where)).encode()).hexdigest()[:16]
        text = json.dumps({"bytes": size, "where": where})
        (beside / "index").write_text(text, "utf-8")
        if where:
            # The index comes last: without it the pixels are not looked at.
            (beside / "pixels").replace(folder / f"{name}.pixels")
            (beside / "index").replace(folder / f"{name}.json")
    return unreadable


def _fill(
    file: Path, missing: Mapping[str, Path], longest: int, console: Console, readers: int
) -> tuple[dict[str, Any], dict[str, str]]:
    where: dict[str, tuple[int, int, int]] = {}
    unreadable: dict[str, str] = {}
    at = 0
    with file.open("wb") as out, progress(console, "decoding photographs", len(missing)) as told:
        for digest, pixels in _decoded(missing, longest, readers):
            if isinstance(pixels, str):
                unreadable[digest] = pixels
            else:
                out.write(pixels.tobytes())
                where[digest] = (at, pixels.shape[0], pixels.shape[1])
                at += pixels.size
            told(1)
    return where, unreadable


def _decoded(
    missing: Mapping[str, Path], longest: int, readers: int
) -> Iterator[tuple[str, Pixels | str]]:
    def attempt(path: Path) -> Pixels | str:
        try:
            return decode(path, longest)
        except Exception as error:
            # Pillow raises many kinds on damaged bytes.
            return reason(error, path)

    items = list(missing.items())
    with ThreadPoolExecutor(readers) as pool:
        for begin in range(0, len(items), AHEAD):
            part = items[begin : begin + AHEAD]
            results = pool.map(attempt, [path for _, path in part])
            yield from zip((digest for digest, _ in part), results, strict=True)
