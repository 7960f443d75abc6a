"""What a release is to be made of: plain data. Must not know torch, or how anything is made."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from models.spec import IMAGENET_MEAN, IMAGENET_STD
from training.calibration.settings import PolicySettings
from training.errors import BadInput
from training.selection import SELECTIONS

SIZES = ((224, 224),)
"""Input sizes of a network that is not a run's, where no others are given."""

OF_NETWORK = ("backbone", "weights", "pooling", "gem_power", "dimension", "mean", "std")
"""Fields that make a network, and that a run's network brings with it."""


@dataclass(frozen=True)
class Recipe:
    """Photographs, network and figures of a release.

    Args:
        images: Folder of ``<type>/<photographs>`` of firearms.
        lookalikes: Folder of ``<kind>/<photographs>`` of look-alikes and harmless things; None:
            the threshold follows ``fallback_recall`` instead of a false-flag rate.
        groups: Table of groups and sources, see ``training.folder``.
        types: Table of families and names, see ``training.naming``.
        run: Directory of a trained run or of a release, whose network is taken as it is, but for
            ``sizes`` and ``regions`` where they are given; None: one is made as follows.
        backbone: See ``models.spec.NetworkSpec``.
        weights: A file, or a name that ``models.weights`` knows; None: random.
        pooling: ``mac``, ``spoc`` or ``gem``.
        gem_power: Exponent of ``gem``.
        dimension: Of a linear head, see ``training.head``; None: no head.
        sizes: Input sizes (height, width) in pixels; None: 224 x 224, or the run's.
        regions: See ``models.spec.NetworkSpec``; None: none, or the run's.
        mean: Of the input, see ``models.spec.InputSpec``.
        std: Likewise.
        half_weights: Round matrices and filters to float16, which halves the release.
        per_type: Prototypes of each type; None: all.
        per_kind: Prototypes of each kind of look-alike; None: all.
        selection: How they are chosen, one of ``training.selection.SELECTIONS``.
        clear_margin: Firearms become prototypes only where they are nearer to another firearm
            than to any look-alike by this; None: all may.
        threshold_sources: See ``training.splits``.
        test_sources: Likewise.
        share: Likewise.
        seed: Of splits and of choosing prototypes.
        false_flag_rate: See ``training.calibration.settings.PolicySettings``, as the following.
        near_miss_rate: Likewise.
        fallback_recall: Likewise.
        lookalike_margin: Likewise.
        neighbours: Likewise.
        temperature: Likewise.
        least_quantile: Likewise.
        type_thresholds: Likewise.
        shrinkage: Likewise.
        region_share: Likewise.
        prior: Likewise.
        coarse_prefix: Types whose name begins so say "a firearm" but not which.
        notes: Sentences for the report.

    Raises:
        BadInput: A figure is out of its range.
    """

    images: Path
    lookalikes: Path | None = None
    groups: Path | None = None
    types: Path | None = None
    run: Path | None = None
    backbone: str = "mobilenet_v2"
    weights: str | None = None
    pooling: str = "gem"
    gem_power: float = 3.0
    dimension: int | None = None
    sizes: tuple[tuple[int, int], ...] | None = None
    regions: tuple[tuple[int, int], ...] | None = None
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    half_weights: bool = False
    per_type: int | None = None
    per_kind: int | None = None
    selection: str = "medoids"
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
    temperature: float | None = None
    least_quantile: float = 0.005
    type_thresholds: bool = False
    shrinkage: float = 4.0
    region_share: float = 0.2
    prior: float = 0.5
    coarse_prefix: str = "coarse_"
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise BadInput(f"--share {self.share} is not between 0 and 1")
        if self.selection not in SELECTIONS:
            raise BadInput(f"--selection {self.selection} is not one of {', '.join(SELECTIONS)}")
        if (self.threshold_sources or self.test_sources) and self.groups is None:
            raise BadInput("sources can only be held out with --groups, the table that names them")
        if self.run is not None and (changed := self._changed(OF_NETWORK)):
            option = changed[0].replace("_", "-")
            raise BadInput(f"--run brings its own network; leave out --{option}")
        _ = self.policy

    @property
    def policy(self) -> PolicySettings:
        """What the policy is to be like.

        Raises:
            BadInput: A figure is out of its range.
        """
        return PolicySettings(
            **{field.name: getattr(self, field.name) for field in fields(PolicySettings)}
        )

    def _changed(self, names: Iterable[str]) -> list[str]:
        defaults = {field.name: field.default for field in fields(self)}
        return [name for name in names if getattr(self, name) != defaults[name]]

    def to_json(self) -> dict[str, Any]:
        """Return the figures, without places of this machine, for a report."""
        plain: Mapping[str, Any] = {**vars(self), "sizes": self.sizes or SIZES}
        left_out = {"images", "lookalikes", "groups", "types", "run", "weights", "notes"}
        if self.run is not None:
            # They are the run's own, which the report tells of apart.
            left_out |= {*OF_NETWORK, "sizes", "regions"}
        return {name: value for name, value in plain.items() if name not in left_out}
