import numpy as np
import pytest

from training.ranking.precision import (
    average_precision,
    first_hit,
    mean_average_precision,
    recall_at,
)


def slow_average_precision(relevant, rule):
    """The evaluation's own loop over ranks; the standard rule adds whole rectangles."""
    total, hits, old_recall, old_precision, found = sum(relevant), 0, 0.0, 1.0, 0.0
    for rank, right in enumerate(relevant, start=1):
        hits += right
        recall, precision = hits / total, hits / rank
        height = precision if rule == "standard" else (old_precision + precision) / 2
        found += (recall - old_recall) * height
        old_recall, old_precision = recall, precision
    return found


def marks(seed, length=23):
    chance = np.random.default_rng(seed)
    relevant = chance.random(length) < chance.random()
    relevant[chance.integers(length)] = True
    return relevant


@pytest.mark.parametrize("rule", ["trapezoid", "standard"])
@pytest.mark.parametrize("length", [1, 2, 23, 151])
@pytest.mark.parametrize("seed", range(8))
def test_average_precision_is_what_a_loop_finds(seed, length, rule):
    relevant = marks(seed, length)
    expected = slow_average_precision(relevant.tolist(), rule)
    assert average_precision(relevant, rule=rule) == pytest.approx(expected, abs=1e-12)


def test_the_standard_rule_is_scikit_learns():
    from sklearn.metrics import average_precision_score

    for seed in range(10):
        relevant = marks(seed)
        falling = -np.arange(len(relevant))
        expected = average_precision_score(relevant, falling)
        assert average_precision(relevant, rule="standard") == pytest.approx(expected)


def test_trapezoids_never_give_more_than_the_standard_rule():
    for seed in range(20):
        relevant = marks(seed)
        assert average_precision(relevant) <= average_precision(relevant, rule="standard")


@pytest.mark.parametrize("rule", ["trapezoid", "standard"])
def test_nothing_relevant_has_no_precision_and_everything_has_all(rule):
    assert average_precision(np.zeros(4, np.bool_), rule=rule) == 0
    assert average_precision(np.zeros(0, np.bool_), rule=rule) == 0
    assert average_precision(np.ones(4, np.bool_), rule=rule) == 1


def test_the_mean_is_over_queries():
    rankings = [marks(seed, 5 + seed) for seed in range(7)]
    expected = sum(slow_average_precision(each.tolist(), "trapezoid") for each in rankings) / 7
    assert mean_average_precision(rankings) == pytest.approx(expected)


def test_recall_is_the_share_of_queries_with_a_hit():
    chance = np.random.default_rng(3)
    rankings = [chance.random(chance.integers(1, 40)) < 0.1 for _ in range(31)]
    found = recall_at(rankings)
    for k, share in found.items():
        hits = 0
        for ranking in rankings:
            hits += any(ranking[place] for place in range(min(k, len(ranking))))
        assert share == pytest.approx(hits / 31)
    assert list(found) == [1, 2, 4, 8, 16, 32]
    assert 0 < found[1] < found[32] < 1


def test_the_first_hit_has_its_rank():
    assert first_hit(np.array([False, False, True, True])) == 3
    assert first_hit(np.zeros(3, np.bool_)) == np.inf


def test_wrong_asks_are_refused():
    with pytest.raises(ValueError, match="unknown"):
        average_precision(np.ones(1, np.bool_), rule="median")
    with pytest.raises(ValueError, match="at least one query"):
        mean_average_precision([])
    with pytest.raises(ValueError, match="at least one query"):
        recall_at([])
    with pytest.raises(ValueError, match="1 or more"):
        recall_at([np.ones(1, np.bool_)], [0, 1])
