"""What a network is and what it takes: plain data. Must not know torch, files or pixels."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.errors import BadNetwork

POOLINGS = ("mac", "spoc", "gem")
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
MAX_SIDE = 4096
"""Longest side in pixels that an input size may have; a larger one is a typing error."""

MAX_CELLS = MAX_SIDE // 32
"""Longest side of a region, in cells of a feature map; a longer one is a typing error."""

MAX_DIMENSION = 65_535
"""Most dimensions of an embedding; a head of more would take gigabytes."""


@dataclass(frozen=True)
class InputSpec:
    """What a network takes.

    Args:
        sizes: Buckets of (height, width) in pixels, each side in 32..4096; an image is resized
            to the bucket whose aspect ratio is nearest to its own.
        mean: Of red, green and blue in 0..1, taken off each pixel.
        std: Of red, green and blue in 0..1, by which each pixel is then divided; positive.

    Raises:
        BadNetwork: A figure is out of its range.
    """

    sizes: tuple[tuple[int, int], ...]
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def __post_init__(self) -> None:
        sides = [side for size in self.sizes for side in size]
        if not sides or not all(32 <= side <= MAX_SIDE for side in sides):
            raise BadNetwork(f"input sizes {self.sizes} are not pairs of sides in 32..{MAX_SIDE}")
        if len(set(self.sizes)) != len(self.sizes):
            raise BadNetwork(f"input sizes {self.sizes} hold a size twice; name each once")
        if not (len(self.mean) == len(self.std) == 3 and all(s > 0 for s in self.std)):
            raise BadNetwork("mean and std of the input need three figures each, std above 0")
        if not all(map(math.isfinite, (*self.mean, *self.std))):
            raise BadNetwork("mean and std of the input are not all finite")

    def size_for(self, height: int, width: int) -> tuple[int, int]:
        """Return the (height, width) bucket of nearest log aspect ratio; the first of equals.

        Args:
            height: Of the upright image in pixels, at least 1.
            width: Of the upright image in pixels, at least 1.
        """
        ratio = math.log(height / width)
        return min(self.sizes, key=lambda size: abs(math.log(size[0] / size[1]) - ratio))

    @property
    def max_pixels(self) -> int:
        """Pixels of the largest bucket."""
        return max(height * width for height, width in self.sizes)

    def to_json(self) -> dict[str, Any]:
        """Return the plain form that ``from_json`` reads."""
        return {
            "sizes": [list(size) for size in self.sizes],
            "mean": list(self.mean),
            "std": list(self.std),
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> "InputSpec":
        """Read the form that ``to_json`` gives.

        Raises:
            BadNetwork: A field is missing or of the wrong kind.
        """
        try:
            sizes = tuple((int(height), int(width)) for height, width in raw["sizes"])
            return cls(sizes, _three(raw["mean"]), _three(raw["std"]))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise BadNetwork(f"the network's input is not as it should be: {error!r}") from error


@dataclass(frozen=True)
class NetworkSpec:
    """What a network is made of, without its weights.

    Args:
        backbone: Name of a torchvision classification network, or ``timm/<name>``.
        pooling: ``mac`` (maximum), ``spoc`` (mean) or ``gem`` (generalised mean).
        gem_power: Exponent of ``gem``, at least 1; the other poolings ignore it.
        dimension: Of the linear head's output, 1..65535; None: no head, the backbone's channels.
        input: What the network takes.
        regions: (side, stride) in cells of the feature map, each in 1..128, the stride not above
            the side, largest side first: square windows that get an embedding each beside the
            whole image's (``models.regions``); none without any.

    Raises:
        BadNetwork: A figure is out of its range.
    """

    backbone: str
    pooling: str
    gem_power: float
    dimension: int | None
    input: InputSpec
    regions: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        if self.pooling not in POOLINGS:
            known = ", ".join(POOLINGS)
            raise BadNetwork(f"pooling {self.pooling!r} is unknown; choose one of {known}")
        if not (math.isfinite(self.gem_power) and 1 <= self.gem_power <= 100):
            raise BadNetwork(f"GeM power {self.gem_power} is not in 1..100")
        if self.dimension is not None and not 1 <= self.dimension <= MAX_DIMENSION:
            raise BadNetwork(f"dimension {self.dimension} is not in 1..{MAX_DIMENSION}")
        if not all(1 <= stride <= side <= MAX_CELLS for side, stride in self.regions):
            raise BadNetwork(
                f"regions {self.regions} are not pairs of side and stride in 1..{MAX_CELLS} with "
                "no stride above its side, which would leave parts of an image out"
            )
        sides = [side for side, _ in self.regions]
        if sides != sorted(sides, reverse=True):
            raise BadNetwork(f"regions {self.regions} do not name their largest side first")

    def to_json(self) -> dict[str, Any]:
        """Return the plain form that ``from_json`` reads.

        Without regions it is that of the first releases, whose digests name their networks.
        """
        regions = {"regions": [list(pair) for pair in self.regions]} if self.regions else {}
        return {
            "backbone": self.backbone,
            "pooling": self.pooling,
            "gem_power": self.gem_power,
            "dimension": self.dimension,
            "input": self.input.to_json(),
            **regions,
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> "NetworkSpec":
        """Read the form that ``to_json`` gives.

        Raises:
            BadNetwork: A field is missing or of the wrong kind.
        """
        try:
            dimension = None if raw["dimension"] is None else int(raw["dimension"])
            power = float(raw["gem_power"])
            names = str(raw["backbone"]), str(raw["pooling"])
            regions = tuple((int(side), int(stride)) for side, stride in raw.get("regions", ()))
            return cls(*names, power, dimension, InputSpec.from_json(raw["input"]), regions)
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise BadNetwork(f"the network is not described as it should be: {error!r}") from error


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
