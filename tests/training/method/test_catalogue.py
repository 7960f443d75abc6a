import subprocess
import sys

import pytest

from training.errors import BadInput
from training.method.catalogue import OBJECTIVES, figures_of


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
    ],
)
def test_what_there_is_not_is_named(name, given, message):
    with pytest.raises(BadInput, match=message):
        figures_of(name, given)


def test_names_pairs_and_batches_are_had_without_torch():
    code = (
        "import sys, training.method.catalogue, training.method.pairs, training.method.batches;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
