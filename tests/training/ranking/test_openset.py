from pathlib import Path

import numpy as np
import pytest

from training.folder import Photo
from training.ranking import openset
from training.ranking.openset import breakdown, calibration, halves, nearest


def unit(chance, count):
    rows = chance.normal(size=(count, 5)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("block", [4, 100])
def test_the_nearest_is_that_of_a_loop_without_near_copies(block, monkeypatch):
    monkeypatch.setattr(openset, "BLOCK", block)
    chance = np.random.default_rng(0)
    rows, known = unit(chance, 11), unit(chance, 7)
    groups = [f"g{n % 4}" for n in range(11)]
    theirs = [f"g{n % 5}" for n in range(7)]
    found = nearest(rows, groups, known, theirs)
    for n in range(11):
        expected = max(float(rows[n] @ known[m]) for m in range(7) if groups[n] != theirs[m])
        assert found[n] == pytest.approx(expected, abs=1e-6)


def test_nothing_but_near_copies_is_as_far_as_can_be():
    rows = unit(np.random.default_rng(1), 2)
    assert nearest(rows, ["a", "b"], rows[:1], ["a"])[0] == -1
    assert (nearest(rows, ["a", "b"], rows[:0], []) == -1).all()
    assert len(nearest(rows[:0], [], rows, ["a", "b"])) == 0


def photo(n, group, source):
    return Photo(Path(f"{n}.jpg"), "room", False, f"d{n}", group, source)


def test_halves_keep_sources_together():
    chance = np.random.default_rng(2)
    some = [photo(n, f"g{n}", f"s{chance.integers(9)}") for n in range(200)]
    first = halves(some)
    assert 80 <= first.sum() <= 120
    sides = [{p.source for p, f in zip(some, first, strict=True) if f == side} for side in (0, 1)]
    assert not sides[0] & sides[1]
    backwards = halves(some[::-1])[::-1]
    assert (backwards == first).all()


@pytest.mark.parametrize("sources", [[None], ["a", "b", "c"]])
def test_with_few_or_unknown_sources_groups_part(sources):
    some = [photo(n, f"g{n // 3}", sources[n % len(sources)]) for n in range(60)]
    first = halves(some)
    assert first.sum() == 30
    for n in range(0, 60, 3):
        assert first[n] == first[n + 1] == first[n + 2]


def test_one_photograph_alone_is_no_half():
    assert halves([photo(0, "g", None)]).tolist() == [False]


def test_calibration_is_honest_where_scores_are_alike_and_not_where_they_moved():
    chance = np.random.default_rng(3)

    def kinds(shift=0.0):
        return (
            np.clip(chance.normal(0.7 + shift, 0.1, 3000), -1, 1),
            np.clip(chance.normal(0.5 + shift, 0.1, 5000), -1, 1),
        )

    found = calibration(kinds(), kinds())
    assert found["equal-width"]["error"] < 0.03
    assert found["equal-count"]["error"] < 0.03
    assert found["held_out"] == {"firearms": 3000, "harmless": 5000}
    assert calibration(kinds(), kinds(-0.15))["equal-width"]["error"] > 0.15


def test_the_score_of_calibration_is_the_logistic_it_tells_of():
    chance = np.random.default_rng(4)
    fit = chance.normal(0.7, 0.1, 50), chance.normal(0.5, 0.1, 70)
    found = calibration(fit, (np.array([0.9]), np.array([0.1])))
    logits = found["slope"] * (np.array([0.1, 0.9]) - found["centre"]) + found["offset"]
    said = found["equal-width"]["said"]
    np.testing.assert_allclose(said, 1 / (1 + np.exp(-logits)), rtol=1e-9)


def test_what_is_flagged_is_told_by_source_and_name():
    some = [photo(n, f"g{n}", ["a", None][n % 2]) for n in range(4)]
    found = breakdown(some, np.array([0.9, 0.5, 0.1, 0.6]), 0.5)
    assert found["by_source"]["a"] == {"photographs": 2, "flagged": 1, "share": 0.5}
    assert found["by_source"]["(unknown source)"]["flagged"] == 1
    assert found["by_name"]["room"]["share"] == 0.5
