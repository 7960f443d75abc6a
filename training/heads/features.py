"""Pooled features of photographs and their regions, kept on disk. Must not know types or heads.

A cache is a folder with one folder for each network, named after its digest, that holds parts: npz
files with ``digests`` (hex SHA-256 of photographs), ``counts`` (rows of each) and ``rows``
float16[sum of counts, F]. Parts are written whole and never changed, so that a run that is stopped
loses one at most, and the next goes on.
"""

import hashlib
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from training.embedding import describe
from training.errors import BadInput
from training.folder import Photo
from training.progress import progress
from training.stages.space import check_space
from training.workfolder import work_folder

if TYPE_CHECKING:
    from models.network import RetrievalNetwork

PART = 256
"""Photographs of one part: half a minute of work on two processor cores."""

PREFIX = ".part-"
"""Of folders with parts that are being written."""

Half = NDArray[np.float16]


@dataclass(frozen=True)
class _Pooled:
    """A network without what comes after its pooling, for ``training.embedding.describe``."""

    network: "RetrievalNetwork"

    @property
    def dimension(self) -> int:
        """Channels of the trunk."""
        return self.network.channels

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return float32[N, F], of whole pictures."""
        rows: NDArray[np.float32] = self.describe_pixels(pixels)[:, 0]
        return rows

    def describe_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return float32[N, 1 + R, F] of uint8[N, H, W, 3], not normalised."""
        import torch

        from models.regions import windows

        network = self.network
        with torch.inference_mode():
            maps = network.trunk(network.normalise(torch.from_numpy(pixels)))
            rows, columns = maps.shape[2:]
            parts = windows(rows, columns, network.spec.regions)
            pooled = [network.pooling(maps)[:, None], network.pooling.windows(maps, parts)]
            found: NDArray[np.float32] = torch.cat(pooled, dim=1).float().cpu().numpy()
        return found


def features(
    network: "RetrievalNetwork",
    digest: str,
    photos: Sequence[Photo],
    folder: Path,
    console: Console,
) -> tuple[dict[str, Half], dict[str, str]]:
    """Return what a network's pooling gives of photographs; what is in the cache is not made anew.

    Args:
        network: In evaluation mode, as a release loads it.
        digest: Of the network, as its release's manifest names it.
        photos: Whose features are asked for.
        folder: The cache.
        console: For progress.

    Returns:
        Photograph's digest → float16[1 + R, F], not normalised, the whole picture first; and of
        those that cannot be read, digest → why. These are tried again the next time.

    Raises:
        BadInput: The cache cannot be read or written.
    """
    place = folder / digest.removeprefix("sha256:")[:16]
    known = _read(place)
    missing = {photo.digest: photo for photo in photos if photo.digest not in known}
    unreadable: dict[str, str] = {}
    if missing:
        check_space(folder, _bytes(network, len(missing)), "--cache")
        with progress(console, "pooling photographs", len(missing)) as advance:
            for part in _parts(list(missing.values())):
                described = describe(
                    _Pooled(network), [photo.path for photo in part], network.spec.input,
                    advance=advance,
                )  # fmt: skip
                sound = {
                    photo.digest: rows.astype(np.float16)
                    for place_, (photo, rows) in enumerate(zip(part, described.rows, strict=True))
                    if place_ not in described.unreadable
                }
                for place_, why in described.unreadable.items():
                    unreadable[part[place_].digest] = why
                if sound:
                    _write(place, sound)
                known.update(sound)
    wanted = {photo.digest for photo in photos}
    return {name: rows for name, rows in known.items() if name in wanted}, unreadable


def _parts(photos: Sequence[Photo]) -> Iterator[Sequence[Photo]]:
    return (photos[begin : begin + PART] for begin in range(0, len(photos), PART))


def _bytes(network: "RetrievalNetwork", photos: int) -> int:
    """Return the bytes that the features of photographs take."""
    rows = max(1 + network.region_count(*size) for size in network.spec.input.sizes)
    return photos * rows * 2 * network.channels


def _read(folder: Path) -> dict[str, Half]:
    found: dict[str, Half] = {}
    for file in sorted(folder.glob("*.npz")):
        try:
            with np.load(file, allow_pickle=False) as part:
                digests, counts, rows = part["digests"], part["counts"], part["rows"]
            bounds = np.cumsum(counts)[:-1]
            found.update(zip(digests.tolist(), np.split(rows, bounds), strict=True))
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise BadInput(f"{file} cannot be read ({error}); remove it") from None
    return found


def _write(folder: Path, part: Mapping[str, Half]) -> None:
    name = hashlib.sha256("".join(part).encode()).hexdigest()[:16]
    with _told(folder), work_folder(folder, PREFIX) as beside:
        file = beside / f"{name}.npz"
        np.savez(
            file,
            digests=np.array(list(part)),
            counts=np.array([len(rows) for rows in part.values()], np.int64),
            rows=np.concatenate(list(part.values())),
        )
        file.replace(folder / file.name)


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Say in one line why the cache cannot be written."""
    try:
        yield
    except OSError as error:
        raise BadInput(
            f"{folder} cannot be written: {error.strerror or error}; make room or give another "
            "--cache; what is there is kept"
        ) from None
