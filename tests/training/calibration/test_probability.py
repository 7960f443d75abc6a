import numpy as np
import pytest

from models.policy import Policy
from moderator.decide import score
from tests.training.calibration.examples import photo
from training.calibration.choice import with_score
from training.calibration.probability import crossed, measure, prior_weights, probabilities


def drawn(seed, count=4000, shift=0.0):
    """Return evidence whose chance of a firearm is logistic(8 * evidence - 1) at a prior of 1/2."""
    chance = np.random.default_rng(seed)
    evidence = chance.normal(0.1, 0.4, count) + shift
    firearm = chance.random(count) < 1 / (1 + np.exp(-(8 * (evidence - shift) - 1)))
    return evidence, firearm


def test_scores_are_those_of_serving():
    policy = Policy(0.3, score_slope=7.0, score_offset=-0.5)
    evidence = np.linspace(-20, 20, 41)
    expected = [score(value - 0.3, policy) for value in evidence]
    assert probabilities(policy, evidence).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("prior", [None, 0.5, 0.02])
def test_a_fitted_score_is_the_probability_on_other_photographs(prior):
    evidence, firearm = drawn(0)
    share = float(firearm.mean()) if prior is None else prior
    policy = with_score(Policy(0.1), evidence, firearm, share)
    others, truth = drawn(1)
    found = measure(probabilities(policy, others), truth, share)
    assert found["firearms"] == truth.sum()
    assert found["equal-width"]["error"] <= 0.03
    assert found["equal-count"]["error"] <= 0.03
    wrong = measure(probabilities(policy, others) ** 3, truth, share)
    assert wrong["equal-width"]["error"] > 2 * found["equal-width"]["error"]


def test_weights_give_firearms_the_prior():
    firearm = np.array([True, False, False, True, False])
    weights = prior_weights(firearm, 0.1)
    assert weights.sum() == pytest.approx(1)
    assert weights[firearm].sum() == pytest.approx(0.1)


def test_one_kind_cannot_be_measured():
    assert measure(np.array([0.5]), np.array([True]), 0.5) is None
    assert measure(np.array([0.5]), np.array([False]), 0.5) is None


def photos_of(firearm, sources):
    return [
        photo("glock" if gun else "drill", firearm=bool(gun), source=f"s{n % sources}", number=n)
        for n, gun in enumerate(firearm)
    ]


def test_halves_are_scored_by_what_the_other_half_taught():
    evidence, firearm = drawn(2)
    photos = photos_of(firearm, 8)
    found = crossed(Policy(0.1), evidence, photos, 0.5)
    assert found["firearms"] + found["harmless"] == len(photos)
    assert found["equal-count"]["error"] <= 0.03


def test_halves_that_differ_show_in_the_error():
    evidence, firearm = drawn(3)
    photos = photos_of(firearm, 8)
    # Half the sources say 0.6 more of everything; scores of the other half cannot know.
    moved = evidence + np.array([0.6 * (int(p.source[1:]) % 2) for p in photos])
    assert crossed(Policy(0.1), moved, photos, 0.5)["equal-count"]["error"] > 0.1


def test_a_half_of_one_kind_is_not_measured():
    firearm = np.array([True, True, False, False])
    photos = [
        photo(firearm=bool(gun), source=f"s{n}", group=f"g{n // 2}", number=n)
        for n, gun in enumerate(firearm)
    ]
    lone = [photos[0], photos[2]]
    assert crossed(Policy(0.1), np.array([0.9, 0.1]), lone, 0.5) is None
