"""What a release is to be made of: plain data. Must not know torch, or how anything is made."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.spec import IMAGENET_MEAN, IMAGENET_STD
from training.errors import BadInput


@dataclass(frozen=True)
class Recipe:
    """Photographs, network and figures of a release.

    Args:
        images: Folder of ``<type>/<photographs>`` of firearms.
        lookalikes: Folder of ``<kind>/<photographs>`` of look-alikes and harmless things; None:
            the threshold follows ``fallback_recall`` instead of a false-flag rate.
        groups: Table of groups and sources, see ``training.folder``.
        types: Table of families and names, see ``training.naming``.
        backbone: See ``models.spec.NetworkSpec``.
        weights: A file, or a name that ``models.weights`` knows; None: random.
        pooling: ``mac``, ``spoc`` or ``gem``.
        gem_power: Exponent of ``gem``.
        dimension: Of a linear head, see ``training.head``; None: no head.
        sizes: Input sizes (height, width) in pixels.
        mean: Of the input, see ``models.spec.InputSpec``.
        std: Likewise.
        half_weights: Round matrices and filters to float16, which halves the release.
        per_type: Prototypes of each type; None: all.
        per_kind: Prototypes of each kind of look-alike; None: all.
        clear_margin: Firearms become prototypes only where they are nearer to another firearm
            than to any look-alike by this; None: all may.
        threshold_sources: See ``training.splits``.
        test_sources: Likewise.
        share: Likewise.
        seed: Of splits and of choosing prototypes.
        false_flag_rate: Share of harmless photographs that may be flagged, in 0..1.
        near_miss_rate: Share that may be flagged or near misses; at least ``false_flag_rate``.
        fallback_recall: Share of firearms to flag where there is nothing harmless, in 0..1.
        lookalike_margin: See ``models.policy.Policy``.
        neighbours: Likewise.
        coarse_prefix: Types whose name begins so say "a firearm" but not which.
        notes: Sentences for the report.

    Raises:
        BadInput: A figure is out of its range.
    """

    images: Path
    lookalikes: Path | None = None
    groups: Path | None = None
    types: Path | None = None
    backbone: str = "mobilenet_v2"
    weights: str | None = None
    pooling: str = "gem"
    gem_power: float = 3.0
    dimension: int | None = None
    sizes: tuple[tuple[int, int], ...] = ((224, 224),)
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    half_weights: bool = False
    per_type: int | None = None
    per_kind: int | None = None
    clear_margin: float | None = None
    threshold_sources: tuple[str, ...] = ()
    test_sources: tuple[str, ...] = ()
    share: float = 0.25
    seed: int = 0
    false_flag_rate: float = 0.01
    near_miss_rate: float = 0.05
    fallback_recall: float = 0.95
    lookalike_margin: float = 0.0
    neighbours: int = 30
    coarse_prefix: str = "coarse_"
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        for name in ("share", "false_flag_rate", "near_miss_rate", "fallback_recall"):
            value = getattr(self, name)
            if not 0 < value < 1:
                option = name.replace("_", "-")
                raise BadInput(f"--{option} {value} is not between 0 and 1")
        if self.near_miss_rate < self.false_flag_rate:
            raise BadInput(
                f"--near-miss-rate {self.near_miss_rate} is below --false-flag-rate "
                f"{self.false_flag_rate}; near misses include what is flagged"
            )
        if (self.threshold_sources or self.test_sources) and self.groups is None:
            raise BadInput("sources can only be held out with --groups, the table that names them")

    def to_json(self) -> dict[str, Any]:
        """Return the figures, without places of this machine, for a report."""
        plain: Mapping[str, Any] = vars(self)
        left_out = ("images", "lookalikes", "groups", "types", "weights", "notes")
        return {name: value for name, value in plain.items() if name not in left_out}
