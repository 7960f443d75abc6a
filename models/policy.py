"""Thresholds and bands that turn similarities into decisions: plain data. Must not know torch."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from models.errors import BadRelease

MAX_NEIGHBOURS = 1000
"""Most neighbours that a policy may ask for; more is a typing error."""

LEAST_TEMPERATURE = 1e-6
"""Below it the soft rule is the hard one but for rounding."""

NEAR_RADIUS = 0.05
"""``near_radius`` of policies that do not state one."""


PART_MARGIN = 0.05
"""Chosen so that a collage or a strip of harmless photographs is hardly ever flagged where each of
them passes by itself; see ``training/results/tried.md``."""

LEVELS = ("mechanism", "family", "type")
"""How closely a firearm can be named, the surest first."""

MOST_LOGITS = 1000.0
"""Largest threshold, band or margin where they speak of a head's logits."""

YOUNGER: Mapping[str, Any] = {
    "temperature": None,
    "least_similarity": -1.0,
    "region_margin": None,
    "near_radius": NEAR_RADIUS,
    "part_margin": PART_MARGIN,
}
"""What policies written before these were known did, and what they still do without them."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """The logit of a prototype: scale * cosine similarity - offset.

    Raises:
        BadRelease: The scale is not in 1e-3..1e4, or the offset not in -1e4..1e4.
    """

    scale: float
    offset: float

    def __post_init__(self) -> None:
        _within("kernel's scale", self.scale, 1e-3, 1e4)
        _within("kernel's offset", self.offset, -1e4, 1e4)


@dataclass(frozen=True)
class HeadRule:
    """How logits of a head and prototypes join to one score, see ``models.scoring.Scorer``.

    Args:
        temperature: Of the log-sum-exp over the entries of a type and of a kind, 0.01..100.
        added: Logits of prototypes that were added to the release.
        own: Logits of the release's own; None: they count nothing, and are evidence only.
        levels: Level of ``LEVELS`` → temperature of its probabilities, 0.01..100; one that is
            left out is not told.

    Raises:
        BadRelease: A figure is out of its range, or a level is not known.
    """

    temperature: float
    added: Kernel
    own: Kernel | None = None
    levels: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "levels", dict(sorted(self.levels.items())))
        _within("head's temperature", self.temperature, 0.01, 100)
        for name, temperature in self.levels.items():
            if name not in LEVELS:
                known = ", ".join(LEVELS)
                raise BadRelease(f"the policy's head names level {name!r}, not one of {known}")
            _within(f"temperature of {name}", temperature, 0.01, 100)

    def to_json(self) -> dict[str, Any]:
        """Return the plain form that ``from_json`` reads."""
        return {
            "temperature": float(self.temperature),
            "added": _kernel_json(self.added),
            "own": None if self.own is None else _kernel_json(self.own),
            "levels": {name: {"temperature": float(t)} for name, t in self.levels.items()},
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> "HeadRule":
        """Read the form that ``to_json`` gives; what else it holds is ignored."""
        own = raw["own"]
        return cls(
            raw["temperature"],
            Kernel(raw["added"]["scale"], raw["added"]["offset"]),
            None if own is None else Kernel(own["scale"], own["offset"]),
            {name: each["temperature"] for name, each in raw["levels"].items()},
        )


def _kernel_json(kernel: Kernel) -> dict[str, float]:
    return {"scale": float(kernel.scale), "offset": float(kernel.offset)}


@dataclass(frozen=True)
class Policy:
    """How near is near enough.

    Args:
        threshold: Cosine similarity in -1..1 that a type needs, unless ``thresholds`` names it.
        thresholds: Type → its own threshold, in -1..1.
        near_miss: Width of the near-miss band below the threshold, in similarity, 0..2.
        lookalike_margin: A look-alike wins when it is nearer than the nearest firearm by more
            than this, in similarity, -2..2.
        score_slope: score = logistic(slope * (similarity - threshold) + offset); above 0.
        score_offset: See ``score_slope``.
        neighbours: How many neighbours the index is asked for, 1..1000.
        temperature: None: a type needs its threshold in the similarity of its nearest prototype.
            In 0..1 without 0, the *soft rule*: thresholds, ``near_miss`` and the score speak of
            the support by all neighbours instead (``models.scoring``), -2..2.
        least_similarity: A picture whose nearest firearm is less similar than this, in -1..1, is
            of nothing known: no match and no near-miss, whatever its support.
        region_margin: How much more similarity (or support) a region of a picture needs than the
            whole, -2..2; None: regions are not judged.
        near_radius: Cosine distance, 0..2, within which a prototype that was added to the release
            decides by itself where none is nearer; 0: none does.
        part_margin: How much more similarity (or support) a part of a picture that has a view of
            its own, as a cell of a collage has, needs than the whole, -2..2.
        head: How the release's head is judged by; None: it is not. With it, thresholds,
            ``near_miss``, the score and the margins of regions and parts speak of its score, in
            logits up to 1000, and ``temperature`` is None.

    Raises:
        BadRelease: A figure is out of its range or not finite.
    """

    threshold: float
    thresholds: Mapping[str, float] = field(default_factory=dict)
    near_miss: float = 0.0
    lookalike_margin: float = 0.0
    score_slope: float = 1.0
    score_offset: float = 0.0
    neighbours: int = 10
    temperature: float | None = None
    least_similarity: float = -1.0
    region_margin: float | None = None
    near_radius: float = NEAR_RADIUS
    part_margin: float = PART_MARGIN
    head: HeadRule | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "thresholds", dict(sorted(self.thresholds.items())))
        wide = 2 if self.head is None else MOST_LOGITS
        most = 1 if self.temperature is None and self.head is None else wide
        if self.head is not None and self.temperature is not None:
            raise BadRelease("the policy judges by a head and by the soft rule; choose one")
        _within("threshold", self.threshold, -most, most)
        for name, threshold in self.thresholds.items():
            _within(f"threshold of {name!r}", threshold, -most, most)
        _within("near_miss", self.near_miss, 0, wide)
        _within("lookalike_margin", self.lookalike_margin, -2, 2)
        _within("score_slope", self.score_slope, 1e-6, 1e6)
        _within("score_offset", self.score_offset, -1e6, 1e6)
        _within("neighbours", self.neighbours, 1, MAX_NEIGHBOURS)
        if self.neighbours != int(self.neighbours):
            raise BadRelease(f"the policy's neighbours {self.neighbours} is not a whole number")
        if self.temperature is not None:
            _within("temperature", self.temperature, LEAST_TEMPERATURE, 1)
        _within("least_similarity", self.least_similarity, -1, 1)
        if self.region_margin is not None:
            _within("region_margin", self.region_margin, -wide, wide)
        _within("near_radius", self.near_radius, 0, 2)
        _within("part_margin", self.part_margin, -wide, wide)

    def threshold_of(self, name: str) -> float:
        """Return the similarity (or support) that a type needs."""
        return self.thresholds.get(name, self.threshold)

    @property
    def by_kind(self) -> bool:
        """Whether neighbours are asked for of each kind, as what weighs kinds needs both."""
        return self.temperature is not None or self.head is not None

    @property
    def version(self) -> str:
        """The first 16 hex of the SHA-256 of its canonical JSON; equal policies have equal ones."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        """Return the plain form that ``from_json`` reads.

        What is younger than the first releases is left out where it changes nothing, so that
        equal policies have equal versions, whichever code wrote them.
        """
        return {
            "threshold": float(self.threshold),
            "thresholds": {name: float(value) for name, value in self.thresholds.items()},
            "near_miss": float(self.near_miss),
            "lookalike_margin": float(self.lookalike_margin),
            "score_slope": float(self.score_slope),
            "score_offset": float(self.score_offset),
            "neighbours": int(self.neighbours),
            **self._younger(),
            **({} if self.head is None else {"head": self.head.to_json()}),
        }

    def _younger(self) -> dict[str, float]:
        fields = {name: getattr(self, name) for name in YOUNGER}
        return {name: float(fields[name]) for name in YOUNGER if fields[name] != YOUNGER[name]}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> "Policy":
        """Read the form that ``to_json`` gives; what else it holds is ignored.

        Raises:
            BadRelease: A field is missing, of the wrong kind or out of its range.
        """
        try:
            return cls(
                threshold=raw["threshold"],
                thresholds=dict(raw["thresholds"].items()),
                near_miss=raw["near_miss"],
                lookalike_margin=raw["lookalike_margin"],
                score_slope=raw["score_slope"],
                score_offset=raw["score_offset"],
                neighbours=raw["neighbours"],
                **{name: raw.get(name, default) for name, default in YOUNGER.items()},
                head=None if raw.get("head") is None else HeadRule.from_json(raw["head"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadRelease(f"the policy is not described as it should be: {error!r}") from error


def _within(name: str, value: object, low: float, high: float) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (number and low <= value <= high):  # type: ignore[operator]
        raise BadRelease(f"the policy's {name} {value!r} is not a number in {low:g}..{high:g}")
