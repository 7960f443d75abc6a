import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.threshold import (
    at_false_flag_rate,
    at_recall,
    calibrate,
)

similarities = st.lists(
    st.one_of(st.floats(-1, 1), st.sampled_from([0.25, 0.5, 0.5001])), min_size=1, max_size=50
).map(lambda values: np.array(values, np.float64))
rates = st.floats(0.001, 0.999)


@given(similarities, rates)
def test_the_threshold_keeps_the_rate_and_no_lower_one_between_scores_would(scores, rate):
    threshold = at_false_flag_rate(scores, rate)
    assert threshold <= 1
    scores = scores[scores < 1] if threshold == 1 else scores
    assert np.count_nonzero(scores >= threshold) <= rate * len(scores) + 1e-6
    lower = [value for value in scores if value < threshold]
    if lower:
        assert np.count_nonzero(scores >= max(lower)) > rate * len(scores) - 1e-6


@given(similarities, rates)
def test_the_recall_is_reached_and_no_higher_score_would_do(scores, recall):
    threshold = at_recall(scores, recall)
    assert np.count_nonzero(scores >= threshold) >= recall * len(scores) - 1e-6
    lowest = scores[scores >= threshold].min()
    assert np.count_nonzero(scores > lowest) < recall * len(scores)


def test_rounding_a_threshold_changes_nothing():
    scores = np.array([0.81156851, 0.81156849, 0.7, 0.5])
    for recall, kept in ((0.75, 3), (1.0, 4)):
        threshold = round(at_recall(scores, recall), 6)
        assert np.count_nonzero(scores >= threshold) == kept
    assert np.count_nonzero(scores >= round(at_false_flag_rate(scores, 0.5), 6)) == 2


def test_a_threshold_lies_between_two_scores():
    scores = np.arange(100) / 100
    assert at_false_flag_rate(scores, 0.02) == pytest.approx(0.975)
    assert at_false_flag_rate(scores, 0.001) == pytest.approx(0.9901)


def test_nothing_gives_no_threshold():
    with pytest.raises(ValueError, match="harmless"):
        at_false_flag_rate(np.zeros(0), 0.1)
    with pytest.raises(ValueError, match="firearms"):
        at_recall(np.zeros(0), 0.1)


def test_supports_may_be_above_one_and_below_minus_one():
    assert at_false_flag_rate(np.array([1.5, 1.4]), 0.1) == 1
    assert at_false_flag_rate(np.array([1.5, 1.4]), 0.1, highest=2) == pytest.approx(1.5001)
    assert at_recall(np.array([-1.5]), 1.0) == -1
    assert at_recall(np.array([-1.5]), 1.0, lowest=-2) == pytest.approx(-1.5001)


@pytest.mark.parametrize("prior", [0.01, 0.3])
def test_the_prior_is_the_mean_score_of_what_is_judged(prior):
    random = np.random.default_rng(1)
    firearms, harmless = random.normal(0.7, 0.1, 400), random.normal(0.5, 0.1, 700)
    fit = calibrate(firearms, harmless, 0.6, prior=prior)

    def chance(values):
        return (1 / (1 + np.exp(-(fit.slope * (values - 0.6) + fit.offset)))).mean()

    # A property of the best logistic with an offset: it says as much as there is.
    mean = prior * chance(firearms) + (1 - prior) * chance(harmless)
    assert mean == pytest.approx(prior, abs=1e-3)


def loss(slope, offset, firearms, harmless, threshold):
    def chance(values):
        return 1 / (1 + np.exp(-(slope * (values - threshold) + offset)))

    return -np.log(chance(firearms)).mean() / 2 - np.log(1 - chance(harmless)).mean() / 2


def test_the_score_is_the_fit_that_a_search_finds():
    random = np.random.default_rng(0)
    firearms, harmless = random.normal(0.7, 0.1, 300), random.normal(0.5, 0.1, 900)
    fit = calibrate(firearms, harmless, 0.6)
    best = loss(fit.slope, fit.offset, firearms, harmless, 0.6)
    for slope in np.linspace(0.7, 1.3, 13) * fit.slope:
        for offset in np.linspace(-0.5, 0.5, 11) + fit.offset:
            assert best <= loss(slope, offset, firearms, harmless, 0.6) + 1e-3


@pytest.mark.parametrize(
    ("firearms", "harmless"),
    [
        ([0.9, 0.95], [0.1, 0.2]),
        ([0.1, 0.2], [0.9, 0.95]),
        ([0.5], [0.5]),
        ([0.5, 0.6], []),
    ],
)
def test_the_score_is_finite_and_rising_whatever_comes(firearms, harmless):
    fit = calibrate(np.array(firearms), np.array(harmless, np.float64), 0.5)
    assert np.isfinite([fit.slope, fit.offset]).all()
    assert fit.slope > 0
