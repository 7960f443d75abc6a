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

YOUNGER: Mapping[str, Any] = {
    "temperature": None,
    "least_similarity": -1.0,
    "region_margin": None,
    "near_radius": NEAR_RADIUS,
    "part_margin": PART_MARGIN,
}
"""What policies written before these were known did, and what they still do without them."""


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

    def __post_init__(self) -> None:
        object.__setattr__(self, "thresholds", dict(sorted(self.thresholds.items())))
        most = 1 if self.temperature is None else 2
        _within("threshold", self.threshold, -most, most)
        for name, threshold in self.thresholds.items():
            _within(f"threshold of {name!r}", threshold, -most, most)
        _within("near_miss", self.near_miss, 0, 2)
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
            _within("region_margin", self.region_margin, -2, 2)
        _within("near_radius", self.near_radius, 0, 2)
        _within("part_margin", self.part_margin, -2, 2)

    def threshold_of(self, name: str) -> float:
        """Return the similarity (or support) that a type needs."""
        return self.thresholds.get(name, self.threshold)

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
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadRelease(f"the policy is not described as it should be: {error!r}") from error


def _within(name: str, value: object, low: float, high: float) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (number and low <= value <= high):  # type: ignore[operator]
        raise BadRelease(f"the policy's {name} {value!r} is not a number in {low:g}..{high:g}")
