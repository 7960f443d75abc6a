import numpy as np
import pytest

from training.ranking import distances
from training.ranking.distances import distance_histograms


@pytest.mark.parametrize("block", [3, 7, 1000])
def test_histograms_are_those_of_a_double_loop(block, monkeypatch):
    monkeypatch.setattr(distances, "BLOCK", block)
    chance = np.random.default_rng(block)
    rows = chance.normal(size=(29, 4)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    types = [f"t{chance.integers(3)}" for _ in range(29)]
    groups = [f"g{chance.integers(20)}" for _ in range(29)]
    found = distance_histograms(rows, types, groups, bins=11)
    pairs = {"same": [], "other": []}
    for a in range(29):
        for b in range(a):
            if groups[a] != groups[b]:
                distance = float(np.linalg.norm(rows[a].astype(float) - rows[b]))
                pairs["same" if types[a] == types[b] else "other"].append(distance)
    for kind, expected in pairs.items():
        assert found[kind]["pairs"] == len(expected)
        assert found[kind]["counts"] == np.histogram(expected, found["edges"])[0].tolist()
        assert found[kind]["mean"] == pytest.approx(np.mean(expected), abs=1e-6)


def test_without_pairs_there_is_no_mean():
    rows = np.eye(2, dtype=np.float32)
    found = distance_histograms(rows, ["a", "a"], ["g", "g"])
    assert found["same"]["mean"] is None
    assert found["other"]["pairs"] == 0
    with pytest.raises(ValueError, match="2 rows, 1 types"):
        distance_histograms(rows, ["a"], ["g", "g"])
