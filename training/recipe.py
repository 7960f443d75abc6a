"""What a release is to be made of: plain data. Must not know torch, or how anything is made."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
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
        policy: What its policy is to be like.
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
    policy: PolicySettings = field(default_factory=PolicySettings)
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

    def _changed(self, names: Iterable[str]) -> list[str]:
        defaults = {field.name: field.default for field in fields(self)}
        return [name for name in names if getattr(self, name) != defaults[name]]

    def to_json(self) -> dict[str, Any]:
        """Return the figures, without places of this machine, for a report."""
        figures = {"sizes": self.sizes or SIZES, **asdict(self.policy)}
        plain: Mapping[str, Any] = {**vars(self), **figures}
        left_out = {"images", "lookalikes", "groups", "types", "run", "weights", "policy", "notes"}
        if self.run is not None:
            # They are the run's own, which the report tells of apart.
            left_out |= {*OF_NETWORK, "sizes", "regions"}
        return {name: value for name, value in plain.items() if name not in left_out}
