import subprocess
import sys

import pytest

from training.errors import BadInput
from training.method.catalogue import OBJECTIVES, RANGES, figures_of


def test_what_is_not_given_has_its_default():
    given = figures_of("contrastive-double", {"negative_margin": 1, "mining": "hard"})
    assert given == {"positive_margin": 0.8, "negative_margin": 1.0, "mining": "hard"}
    assert OBJECTIVES["contrastive-double"]["negative_margin"] == 1.2


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("circle", {}, "no objective is called 'circle'; there are contrastive-single"),
        ("arcface", {"mining": "hard"}, "arcface has no figure 'mining'; it has margin, scale"),
        ("arcface", {"scale": "large"}, "scale of the objective arcface must be a number"),
        ("triplet", {"mining": "balanced"}, "one of semihard, hard, all, not balanced"),
        ("contrastive-single", {"mining": 1.0}, "one of all, balanced, hard, not 1.0"),
        ("contrastive-single", {"margin": 0.0}, "margin .* is 0; it must be above 0 and at most 2"),
        ("contrastive-single", {"margin": float("nan")}, "margin .* is nan; it must be above 0"),
        ("contrastive-double", {"positive_margin": -0.1}, "is -0.1; it must be in 0..2"),
        ("contrastive-double", {"negative_margin": 2.5}, "is 2.5; it must be in 0..2"),
        (
            "contrastive-double",
            {"positive_margin": 1.3},
            "positive_margin .* is 1.3 and negative_margin 1.2; the first must not be above",
        ),
        ("triplet", {"margin": 3.0}, "margin of the objective triplet is 3; it must be above 0"),
        ("arcface", {"margin": 100.0}, r"margin .* arcface is 100; it must be in 0\.\.90"),
        ("cosface", {"scale": 0.0}, "scale .* cosface is 0; it must be above 0"),
        ("proxy-anchor", {"alpha": float("inf")}, "alpha .* is inf; it must be above 0"),
        ("multi-similarity", {"beta": -1.0}, "beta .* is -1; it must be above 0"),
        ("multi-similarity", {"base": float("nan")}, "base .* is nan; it must be finite"),
    ],
)
def test_what_there_is_not_is_named(name, given, message):
    with pytest.raises(BadInput, match=message):
        figures_of(name, given)


def test_every_figure_has_a_range_and_its_default_is_in_it():
    for name, figures in OBJECTIVES.items():
        assert set(RANGES[name]) == set(figures) - {"mining"}
        assert figures_of(name, figures) == dict(figures)


def test_names_pairs_and_batches_are_had_without_torch():
    code = (
        "import sys, training.method.catalogue, training.method.pairs, training.method.batches;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
