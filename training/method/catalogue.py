"""The objectives there are and their figures, for options and help. Pure; must not know torch."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from training.errors import BadInput

Figures = dict[str, float | str]

MININGS = ("all", "balanced", "hard")
"""Which pairs of a batch count; see ``training.method.objectives.ContrastiveObjective``."""

TRIPLETS = ("semihard", "hard", "all")
"""Which triplets of a batch count, of those that cost anything."""

OBJECTIVES: Mapping[str, Mapping[str, float | str]] = MappingProxyType(
    {
        # The paper states no margin for its one-stage single margin; 1.1 is read from its curves.
        "contrastive-single": {"margin": 1.1, "mining": "all"},
        "contrastive-double": {"positive_margin": 0.8, "negative_margin": 1.2, "mining": "all"},
        "triplet": {"margin": 0.2, "mining": "semihard"},
        "multi-similarity": {"alpha": 2.0, "beta": 50.0, "base": 0.5, "epsilon": 0.1},
        "arcface": {"margin": 28.6, "scale": 64.0},
        "cosface": {"margin": 0.35, "scale": 64.0},
        "proxy-anchor": {"margin": 0.1, "alpha": 32.0},
    }
)
"""Name → figure → default. ArcFace's margin is in degrees.

Sources of the defaults: FaceNet (CVPR 2015), Multi-Similarity (CVPR 2019), ArcFace (CVPR 2019,
0.5 rad), CosFace (CVPR 2018), Proxy Anchor (CVPR 2020).
"""

_WORDS = {"triplet": TRIPLETS}

FARTHEST = 2.0
"""The largest distance of L2-normalised embeddings."""


@dataclass(frozen=True)
class Range:
    """What a figure may be: finite, from ``low`` (or above it) to ``high``."""

    low: float = -math.inf
    high: float = math.inf
    above: bool = False

    def __contains__(self, value: float) -> bool:
        inside = self.low < value if self.above else self.low <= value
        return math.isfinite(value) and inside and value <= self.high

    def __str__(self) -> str:
        if self.above:
            most = f" and at most {self.high:g}" if math.isfinite(self.high) else ""
            return f"above {self.low:g}{most}"
        return f"in {self.low:g}..{self.high:g}" if math.isfinite(self.low) else "finite"


_POSITIVE = Range(0, above=True)
_MARGIN = Range(0, FARTHEST, above=True)
_FROM_ZERO = Range(0, FARTHEST)

RANGES: Mapping[str, Mapping[str, Range]] = MappingProxyType(
    {
        "contrastive-single": {"margin": _MARGIN},
        "contrastive-double": {"positive_margin": _FROM_ZERO, "negative_margin": _FROM_ZERO},
        "triplet": {"margin": _MARGIN},
        "multi-similarity": {
            "alpha": _POSITIVE,
            "beta": _POSITIVE,
            "base": Range(),
            "epsilon": _POSITIVE,
        },
        "arcface": {"margin": Range(0, 90), "scale": _POSITIVE},
        # A cosine's range is 2 wide.
        "cosface": {"margin": Range(0, 2), "scale": _POSITIVE},
        "proxy-anchor": {"margin": Range(0, 2), "alpha": _POSITIVE},
    }
)
"""Name → figure → what it may be; ``mining`` is a word."""


def figures_of(name: str, given: Mapping[str, float | str]) -> Figures:
    """Return the figures of an objective: those given, and defaults for the others.

    Raises:
        BadInput: There is no such objective or figure, or a figure is of the wrong kind or out of
            its range.
    """
    if name not in OBJECTIVES:
        raise BadInput(f"no objective is called {name!r}; there are {', '.join(OBJECTIVES)}")
    figures = dict(OBJECTIVES[name])
    for figure, value in given.items():
        if figure not in figures:
            known = ", ".join(figures)
            raise BadInput(f"the objective {name} has no figure {figure!r}; it has {known}")
        figures[figure] = _checked(name, figure, value)
    _check_order(name, figures)
    return figures


def _checked(name: str, figure: str, value: float | str) -> float | str:
    if figure != "mining":
        if isinstance(value, str):
            raise BadInput(f"{figure} of the objective {name} must be a number, not {value!r}")
        if value not in RANGES[name][figure]:
            raise BadInput(
                f"{figure} of the objective {name} is {value:g}; it must be {RANGES[name][figure]}"
            )
        return float(value)
    words = _WORDS.get(name, MININGS)
    if value not in words:
        raise BadInput(f"mining of the objective {name} is one of {', '.join(words)}, not {value}")
    return value


def _check_order(name: str, figures: Figures) -> None:
    """Refuse a positive margin above the negative one."""
    if "positive_margin" not in figures:
        return
    first, second = float(figures["positive_margin"]), float(figures["negative_margin"])
    if first > second:
        raise BadInput(
            f"positive_margin of the objective {name} is {first:g} and negative_margin "
            f"{second:g}; the first must not be above the second"
        )
