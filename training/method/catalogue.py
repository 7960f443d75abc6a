"""The objectives there are and their figures, for options and help. Pure; must not know torch."""

from collections.abc import Mapping
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


def figures_of(name: str, given: Mapping[str, float | str]) -> Figures:
    """Return the figures of an objective: those given, and defaults for the others.

    Raises:
        BadInput: There is no such objective or figure, or a figure is of the wrong kind.
    """
    if name not in OBJECTIVES:
        raise BadInput(f"no objective is called {name!r}; there are {', '.join(OBJECTIVES)}")
    figures = dict(OBJECTIVES[name])
    for figure, value in given.items():
        if figure not in figures:
            known = ", ".join(figures)
            raise BadInput(f"the objective {name} has no figure {figure!r}; it has {known}")
        figures[figure] = _checked(name, figure, value)
    return figures


def _checked(name: str, figure: str, value: float | str) -> float | str:
    if figure != "mining":
        if isinstance(value, str):
            raise BadInput(f"{figure} of the objective {name} must be a number, not {value!r}")
        return float(value)
    words = _WORDS.get(name, MININGS)
    if value not in words:
        raise BadInput(f"mining of the objective {name} is one of {', '.join(words)}, not {value}")
    return value
