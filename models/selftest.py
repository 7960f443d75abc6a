"""A few drawn images and what a network must give for them. Must not know torch.

It finds a network that computes something else than it did where it was released: another
version of a library, another device, a lower precision.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.archive import load_arrays, save_arrays
from models.errors import BadRelease
from models.spec import InputSpec

TOLERANCES: Mapping[str, float] = {
    "cpu/float32": 1e-4,
    "cuda/float32": 1e-3,
    "cuda/bfloat16": 5e-2,
    "cuda/float16": 2e-2,
    "mps/float32": 1e-3,
}
"""Largest Euclidean distance from the expected embedding, by device and precision.

Rounding differs by about 1e-6 from CPU to CPU, and by 1e-5 on a GPU without TF32; pixels
normalised in a wrong way differ by 0.1 and more.
"""


class Embeds(Protocol):
    """The part of a network that the self-test uses."""

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the embeddings float32[N, D] of uint8[N, H, W, 3]."""
        ...

    def describe_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return those and their regions' float32[N, 1 + R, D]; asked only where there are any."""
        ...

    def describe_rows(
        self, pixels: NDArray[np.uint8], *, regions: bool = True
    ) -> NDArray[np.float32]:
        """Return those with logits, float32[N, 1 + R, D + C]; asked only where there are some."""
        ...


@dataclass(frozen=True, eq=False)
class SelfTest:
    """Images, the embeddings they must give, and how far off these may be.

    Args:
        images: For each bucket of the input uint8[N, H, W, 3].
        embeddings: For each bucket float32[N, D].
        tolerances: ``<device type>/<precision>`` → largest Euclidean distance.
        regions: For each bucket float32[R, D] of the last image, which differs everywhere from
            its mirror images; empty where the network has no regions.
        logits: For each bucket float32[N + R, C] of a head: of its images, then of those regions;
            empty where the release has none.

    Raises:
        BadRelease: They do not fit each other.
    """

    images: tuple[NDArray[np.uint8], ...]
    embeddings: tuple[NDArray[np.float32], ...]
    tolerances: Mapping[str, float]
    regions: tuple[NDArray[np.float32], ...] = ()
    logits: tuple[NDArray[np.float32], ...] = ()

    def __post_init__(self) -> None:
        shapes = {embeddings.shape[1:] for embeddings in self.embeddings}
        pairs = zip(self.images, self.embeddings, strict=True)
        fit = all(
            pixels.dtype == np.uint8
            and pixels.ndim == 4
            and pixels.shape[3] == 3
            and len(pixels) == len(embeddings) > 0
            for pixels, embeddings in pairs
        )
        if not fit or len(shapes) != 1 or len(next(iter(shapes))) != 1:
            raise BadRelease("the images and embeddings of the self-test do not fit each other")
        if self.regions and len(self.regions) != len(self.images):
            raise BadRelease("the self-test has regions of some of its images only")
        if any(rows.ndim != 2 or rows.shape[1:] not in shapes for rows in self.regions):
            raise BadRelease("the regions and embeddings of the self-test do not fit each other")
        parts = [len(rows) for rows in self.regions] or [0] * len(self.images)
        counts = [len(pixels) + its for pixels, its in zip(self.images, parts, strict=True)]
        shapes = {rows.shape[1:] for rows in self.logits}
        if self.logits and (
            [len(rows) for rows in self.logits] != counts
            or len(shapes) != 1
            or len(next(iter(shapes))) != 1
        ):
            raise BadRelease("the logits and embeddings of the self-test do not fit each other")

    @classmethod
    def record(
        cls, network: Embeds, spec: InputSpec, *, regions: bool = False, logits: bool = False
    ) -> "SelfTest":
        """Draw images in every bucket's size and note what a network gives for them.

        Args:
            network: In evaluation mode.
            spec: The buckets.
            regions: Note the embeddings of regions as well; the network has some.
            logits: Note the logits as well; the network has a classifier.
        """
        images = tuple(drawn(height, width) for height, width in spec.sizes)
        embeddings = tuple(network.embed(pixels) for pixels in images)
        parts = tuple(_regions(network, pixels) for pixels in images) if regions else ()
        width = embeddings[0].shape[1]
        asked = images if logits else ()
        said = tuple(_logits(network, pixels, width, regions=regions) for pixels in asked)
        return cls(images, embeddings, dict(TOLERANCES), parts, said)

    @property
    def dimension(self) -> int:
        """Of the embeddings."""
        return int(self.embeddings[0].shape[1])

    @property
    def classes(self) -> int:
        """How many logits a network gives; 0 without a head."""
        return int(self.logits[0].shape[1]) if self.logits else 0

    def check(self, network: Embeds, device: str, precision: str) -> float:
        """Compare what a network gives with what it must give.

        Args:
            network: On its device.
            device: Type of the device: ``cpu``, ``cuda`` …
            precision: In which it computes: ``float32`` …

        Returns:
            The largest Euclidean distance of an embedding from the expected one.

        Raises:
            BadRelease: It is above the tolerance, or there is no tolerance for this device.
        """
        key = f"{device}/{precision}"
        if key not in self.tolerances:
            known = ", ".join(self.tolerances)
            raise BadRelease(f"the release has no self-test for {key}; it has for {known}")
        errors = []
        for pixels, expected in zip(self.images, self.embeddings, strict=True):
            given = network.embed(pixels)
            if given.shape != expected.shape:
                raise BadRelease(
                    f"the network gives {given.shape[1]} dimensions but its release was made "
                    f"with {expected.shape[1]}; build the release anew"
                )
            errors.append(np.linalg.norm(given - expected, axis=1).max())
        errors.extend(self._region_errors(network))
        errors.extend(self._logit_errors(network))
        # numpy's maximum of a NaN is one, Python's may not be; asked in this way it is refused.
        error = float(np.max(errors))
        if not error <= self.tolerances[key]:
            raise BadRelease(
                f"the self-test on {key} failed: results are off by {error:.2g}, allowed are "
                f"{self.tolerances[key]:g}; use the release's versions of torch, or build it anew"
            )
        return error

    def _region_errors(self, network: Embeds) -> Iterator[float]:
        for pixels, expected in zip(self.images, self.regions, strict=bool(self.regions)):
            given = _regions(network, pixels)
            if given.shape != expected.shape:
                raise BadRelease(
                    f"the network gives {len(given)} regions but its release was made with "
                    f"{len(expected)}; build the release anew"
                )
            yield float(np.linalg.norm(given - expected, axis=1).max(initial=0))

    def _logit_errors(self, network: Embeds) -> Iterator[float]:
        """Yield how far logits are off, in parts of the largest, which are on no fixed scale."""
        for pixels, expected in zip(self.images, self.logits, strict=bool(self.logits)):
            given = _logits(network, pixels, self.dimension, regions=bool(self.regions))
            if given.shape != expected.shape:
                raise BadRelease(
                    f"the network gives {given.shape[1]} logits but its release was made with "
                    f"{expected.shape[1]}; build the release anew"
                )
            yield float(np.abs(given - expected).max() / max(1.0, np.abs(expected).max()))

    def save(self, path: Path) -> None:
        """Write to a file; the same self-test gives the same bytes."""
        arrays: dict[str, NDArray[np.generic]] = {
            "tolerance_keys": np.array(list(self.tolerances), np.str_),
            "tolerances": np.array(list(self.tolerances.values()), np.float64),
        }
        for number, (pixels, rows) in enumerate(zip(self.images, self.embeddings, strict=True)):
            arrays[f"images_{number}"] = pixels
            arrays[f"embeddings_{number}"] = rows
        arrays.update({f"regions_{number}": rows for number, rows in enumerate(self.regions)})
        arrays.update({f"logits_{number}": rows for number, rows in enumerate(self.logits)})
        save_arrays(path, arrays, compress=True)

    @classmethod
    def load(cls, path: Path, raw: bytes | None = None) -> "SelfTest":
        """Read what ``save`` wrote.

        Args:
            path: The file.
            raw: Its contents, where they have been read.

        Raises:
            BadRelease: The file is not there, damaged, or its parts do not fit each other.
        """
        arrays = load_arrays(path, raw=raw)
        try:
            buckets = range(sum(name.startswith("images_") for name in arrays))
            parts = range(sum(name.startswith("regions_") for name in arrays))
            said = range(sum(name.startswith("logits_") for name in arrays))
            keys = [str(key) for key in arrays["tolerance_keys"]]
            return cls(
                tuple(arrays[f"images_{number}"] for number in buckets),
                tuple(arrays[f"embeddings_{number}"].astype(np.float32) for number in buckets),
                dict(zip(keys, map(float, arrays["tolerances"]), strict=True)),
                tuple(arrays[f"regions_{number}"].astype(np.float32) for number in parts),
                tuple(arrays[f"logits_{number}"].astype(np.float32) for number in said),
            )
        except (BadRelease, KeyError, ValueError, TypeError) as error:
            raise BadRelease(f"{path} is not a self-test ({error}); build it anew") from None


def drawn(height: int, width: int) -> NDArray[np.uint8]:
    """Return three drawings, uint8[3, height, width, 3], the same everywhere.

    Whole-number arithmetic only: a colour ramp, a disc on a chequerboard, and scattered squares.
    """
    y, x = np.mgrid[:height, :width].astype(np.int64)
    ramp = _coloured([x * 255 // max(width - 1, 1), y * 255 // max(height - 1, 1), (x + y) % 256])
    disc = (2 * x - width) ** 2 + (2 * y - height) ** 2 < (min(height, width) * 2 // 3) ** 2
    board = ((x // 16 + y // 16) % 2) * 120 + 60
    shapes = _coloured([np.where(disc, 220, board), np.where(disc, 40, board), board])
    column, row = x // 8, y // 8
    scatter = (column * 7919 + row * 104729 + (column * row) % 8191 * 31) % 251
    noise = _coloured([scatter, (scatter * 3) % 256, (scatter * 7) % 256])
    return np.stack([ramp, shapes, noise])


def _regions(network: Embeds, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return network.describe_pixels(pixels[-1:])[0, 1:]


def _logits(
    network: Embeds, pixels: NDArray[np.uint8], dimension: int, *, regions: bool
) -> NDArray[np.float32]:
    rows = network.describe_rows(pixels, regions=regions)[..., dimension:]
    return np.concatenate([rows[:, 0], rows[-1, 1:]])


def _coloured(channels: Sequence[NDArray[np.int64]]) -> NDArray[np.uint8]:
    return np.stack(channels, axis=-1).astype(np.uint8)
