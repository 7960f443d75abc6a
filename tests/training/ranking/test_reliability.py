import numpy as np
import pytest

from training.ranking.reliability import balanced_weights, reliability


def slow_error(scores, truth, weights, bin_of, bins):
    """A loop over the bins, and within each over all scores."""
    error = 0.0
    for number in range(bins):
        mass = said = true = 0.0
        for score, right, weight in zip(scores, truth, weights, strict=True):
            if bin_of(score) == number:
                mass += weight
                said += weight * score
                true += weight * right
        if mass:
            error += mass / sum(weights) * abs(said / mass - true / mass)
    return error


def example(seed, steps=None, size=301):
    chance = np.random.default_rng(seed)
    scores = chance.random(size) ** 2
    if steps:
        scores = np.round(scores * steps) / steps
    return scores, chance.random(size) < scores**1.5, chance.random(size) + 0.1


@pytest.mark.parametrize("steps", [None, 7])
@pytest.mark.parametrize("bins", [1, 4, 15])
@pytest.mark.parametrize("weighted", [False, True])
def test_equal_width_errors_are_those_of_a_loop(bins, steps, weighted):
    scores, truth, weights = example(bins, steps)
    weights = weights if weighted else np.ones(len(scores))
    expected = slow_error(scores, truth, weights, lambda s: min(int(s * bins), bins - 1), bins)
    found = reliability(scores, truth, weights=weights if weighted else None, bins=bins)
    assert found.error == pytest.approx(expected, abs=1e-12)
    assert found.share.sum() == pytest.approx(1)


@pytest.mark.parametrize("steps", [None, 7])
@pytest.mark.parametrize("bins", [1, 4, 15])
def test_equal_count_errors_are_those_of_a_loop(bins, steps):
    scores, truth, weights = example(bins + 1, steps)
    ranked = sorted(scores)
    edges = [ranked[len(ranked) * n // bins] for n in range(1, bins)]
    expected = slow_error(scores, truth, weights, lambda s: sum(s >= edge for edge in edges), bins)
    found = reliability(scores, truth, weights=weights, bins=bins, binning="equal-count")
    assert found.error == pytest.approx(expected, abs=1e-12)


def test_equal_counts_are_equal_where_scores_differ():
    scores, truth, _ = example(9, size=150)
    found = reliability(scores, truth, binning="equal-count")
    np.testing.assert_allclose(found.share, 1 / 15)
    ranked = np.sort(scores).reshape(15, 10)
    np.testing.assert_allclose(found.said, ranked.mean(axis=1))


def test_the_order_of_scores_does_not_matter():
    scores, truth, weights = example(11, steps=5)
    mixed = np.random.default_rng(0).permutation(len(scores))
    for binning in ("equal-width", "equal-count"):
        one = reliability(scores, truth, weights=weights, binning=binning)
        other = reliability(scores[mixed], truth[mixed], weights=weights[mixed], binning=binning)
        np.testing.assert_allclose(one.true, other.true)


def test_honest_scores_have_little_error_and_sure_wrong_ones_much():
    chance = np.random.default_rng(1)
    scores = chance.random(20_000)
    assert reliability(scores, chance.random(20_000) < scores).error < 0.02
    assert reliability(np.ones(3), np.zeros(3, np.bool_)).error == 1


def test_balanced_weights_give_each_kind_one_half():
    truth = np.array([True, False, False, False])
    weights = balanced_weights(truth)
    assert weights[truth].sum() == weights[~truth].sum() == 0.5
    found = reliability(np.full(4, 0.5), truth, weights=weights)
    assert found.error == pytest.approx(0)


def test_the_plain_form_can_be_drawn():
    scores, truth, _ = example(2)
    plain = reliability(scores, truth).to_json()
    gaps = zip(plain["share"], plain["said"], plain["true"], strict=True)
    assert plain["error"] == pytest.approx(sum(w * abs(s - t) for w, s, t in gaps))


@pytest.mark.parametrize(
    ("scores", "truth", "options", "said"),
    [
        ([], [], {}, "at least one"),
        ([0.5], [True, False], {}, "1 scores, 2 truths"),
        ([1.1], [True], {}, r"0\.\.1"),
        ([np.nan], [True], {}, r"0\.\.1"),
        ([0.5], [True], {"weights": np.zeros(1)}, "above 0"),
        ([0.5], [True], {"bins": 0}, "one bin"),
    ],
)
def test_what_cannot_be_is_refused(scores, truth, options, said):
    with pytest.raises(ValueError, match=said):
        reliability(np.array(scores, np.float64), np.array(truth, np.bool_), **options)
