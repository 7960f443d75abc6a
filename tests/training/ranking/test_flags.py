import numpy as np
import pytest

from training.ranking.flags import flag_metrics, recall_at_false_flags, roc, thinned


def scores(seed, firearms=37, harmless=211, steps=None):
    """Overlapping scores; with steps they are rounded, so that many are equal."""
    chance = np.random.default_rng(seed)
    good, bad = chance.normal(0.6, 0.2, firearms), chance.normal(0.3, 0.2, harmless)
    if steps:
        good, bad = np.round(good * steps) / steps, np.round(bad * steps) / steps
    return good, bad


@pytest.mark.parametrize("steps", [None, 10])
@pytest.mark.parametrize("seed", range(4))
def test_the_curve_is_that_of_every_threshold_tried(seed, steps):
    good, bad = scores(seed, steps=steps)
    curve = roc(good, bad)
    assert set(curve.thresholds[1:]) == set(good) | set(bad)
    for threshold, false, recall in zip(
        curve.thresholds, curve.false_flags, curve.recall, strict=True
    ):
        assert recall == pytest.approx(sum(s >= threshold for s in good) / len(good))
        assert false == pytest.approx(sum(s >= threshold for s in bad) / len(bad))
    assert (curve.false_flags[0], curve.recall[0]) == (0, 0)
    assert (curve.false_flags[-1], curve.recall[-1]) == (1, 1)
    assert (np.diff(curve.thresholds) < 0).all()


@pytest.mark.parametrize("steps", [None, 10])
def test_the_area_is_the_chance_of_the_right_order(steps):
    good, bad = scores(5, steps=steps)
    wins = sum(float(a > b) + 0.5 * float(a == b) for a in good for b in bad)
    assert roc(good, bad).area == pytest.approx(wins / (len(good) * len(bad)))


@pytest.mark.parametrize("steps", [None, 10, 3])
@pytest.mark.parametrize("rate", [0.0, 0.001, 0.01, 0.05, 0.3, 1.0])
def test_recall_is_the_best_of_all_thresholds_that_keep_the_rate(rate, steps):
    good, bad = scores(6, steps=steps)
    tried = [*good, *bad, np.inf]
    kept = [t for t in tried if np.mean(bad >= t) <= rate]
    best = max(float(np.mean(good >= t)) for t in kept)
    assert recall_at_false_flags(good, bad, rate) == pytest.approx(best)


def test_lookalikes_are_counted_apart():
    good = np.array([0.9, 0.8, 0.7, 0.2])
    bad = np.concatenate([[0.85, 0.75], np.linspace(0, 0.5, 98)])
    lookalike = np.zeros(100, np.bool_)
    lookalike[[0, 1, 5, 9]] = True
    found = flag_metrics(good, bad, lookalike)
    assert (found["firearms"], found["harmless"], found["lookalikes"]) == (4, 100, 4)
    at = found["rates"]["0.01"]
    assert at["recall"] == 0.5
    assert at["false_flags"] == pytest.approx(0.01)
    assert at["false_flags_lookalikes"] == 0.25
    assert at["false_flags_others"] == 0
    assert found["rates"]["0.05"]["recall"] == 0.75
    assert found["lookalikes_alone"]["recall"] == {"0.001": 0.25, "0.01": 0.25, "0.05": 0.25}


def test_without_lookalikes_nothing_is_said_of_them():
    good, bad = scores(7)
    found = flag_metrics(good, bad, np.zeros(len(bad), np.bool_))
    assert found["lookalikes_alone"] is None
    assert found["rates"]["0.01"]["false_flags_lookalikes"] is None


def test_a_thinned_curve_keeps_its_ends_and_only_true_points():
    good, bad = scores(8, 900, 4000)
    curve = roc(good, bad)
    few = thinned(curve, 50)
    assert len(few["recall"]) <= 50
    assert set(zip(few["false_flags"], few["recall"], strict=True)) <= set(
        zip(curve.false_flags.tolist(), curve.recall.tolist(), strict=True)
    )
    assert (few["false_flags"][-1], few["recall"][-1]) == (1, 1)
    assert few["recall"][0] == recall_at_false_flags(good, bad, 0.0)


def test_one_kind_alone_has_no_curve():
    some, none = np.ones(2), np.ones(0)
    for good, bad in ((some, none), (none, some)):
        with pytest.raises(ValueError, match="needs scores"):
            roc(good, bad)
    with pytest.raises(ValueError, match="needs firearms"):
        recall_at_false_flags(none, some, 0.1)
    with pytest.raises(ValueError, match="not finite"):
        roc(np.array([np.nan]), some)
