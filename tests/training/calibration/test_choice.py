import numpy as np
import pytest

from tests.training.calibration.examples import random_frames
from training.calibration.choice import choose_policy
from training.calibration.frames import evidence_of, flag_scores_of
from training.calibration.settings import PolicySettings
from training.threshold import at_false_flag_rate, at_recall, calibrate

LOOSE = {"false_flag_rate": 0.1, "near_miss_rate": 0.3, "neighbours": 7}


def rates(frames, firearm, policy):
    scores = flag_scores_of(frames, policy)[~firearm]
    return (scores >= policy.threshold).mean(), (
        scores >= policy.threshold - policy.near_miss
    ).mean()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("temperature", [None, 0.05, 0.5])
@pytest.mark.parametrize("types", [False, True])
def test_the_rates_are_kept_with_regions_on(seed, temperature, types):
    frames, firearm = random_frames(seed, 200, temperature=temperature)
    settings = PolicySettings(temperature=temperature, type_thresholds=types, **LOOSE)
    policy = choose_policy(frames, firearm, settings)
    flags, near = rates(frames, firearm, policy)
    # One more could not be allowed without breaking the rate of either wholes or regions.
    assert 0.1 - 2.5 / (~firearm).sum() <= flags <= 0.1
    assert near <= 0.3
    assert policy.region_margin is not None
    assert bool(policy.thresholds) == types


@pytest.mark.parametrize("share", [0.0, 0.2, 0.6])
def test_regions_add_no_more_than_their_share(share):
    frames, firearm = random_frames(5, 400, temperature=0.1)
    settings = PolicySettings(temperature=0.1, region_share=share, **LOOSE)
    policy = choose_policy(frames, firearm, settings)
    whole, _ = frames.scores(least=policy.least_similarity)
    every = flag_scores_of(frames, policy)
    added = (every[~firearm] >= policy.threshold) & (whole[~firearm] < policy.threshold)
    assert added.sum() <= share * int(0.1 * (~firearm).sum())
    assert (policy.region_margin is None) == (share == 0)
    if share:
        assert added.sum() >= 1


def test_without_regions_none_are_judged():
    frames, firearm = random_frames(6, temperature=0.1, regions=0)
    policy = choose_policy(frames, firearm, PolicySettings(temperature=0.1, **LOOSE))
    assert policy.region_margin is None


def test_the_hard_rule_is_chosen_by_similarities_alone():
    frames, firearm = random_frames(7, 150, regions=0, margin=0.1)
    settings = PolicySettings(lookalike_margin=0.1, **LOOSE)
    policy = choose_policy(frames, firearm, settings)
    scores, _ = frames.scores()
    threshold = at_false_flag_rate(scores[~firearm], 0.1)
    fit = calibrate(frames.nearest[firearm], frames.nearest[~firearm], threshold)
    assert policy.threshold == round(threshold, 6)
    assert policy.near_miss == round(threshold - at_false_flag_rate(scores[~firearm], 0.3), 6)
    assert (policy.score_slope, policy.score_offset) == (round(fit.slope, 6), round(fit.offset, 6))
    assert policy.least_similarity == -1
    assert policy.thresholds == {}


@pytest.mark.parametrize("temperature", [None, 0.1])
def test_without_harmless_photographs_the_recall_is_kept(temperature):
    frames, _ = random_frames(8, temperature=temperature)
    firearm = np.ones(frames.count, np.bool_)
    settings = PolicySettings(
        temperature=temperature, fallback_recall=0.5, type_thresholds=True, neighbours=7
    )
    policy = choose_policy(frames, firearm, settings)
    scores = flag_scores_of(frames, policy)
    assert (scores >= policy.threshold).mean() >= 0.5
    assert policy.threshold == round(at_recall(scores, 0.5, lowest=-2), 6)
    assert policy.near_miss == 0
    assert policy.region_margin is None


def test_open_set_rejection_leaves_out_the_least_like_firearms():
    frames, firearm = random_frames(9, 400, temperature=0.1)
    policy = choose_policy(
        frames, firearm, PolicySettings(temperature=0.1, least_quantile=0.2, **LOOSE)
    )
    nearest = frames.nearest[frames.whole]
    below = nearest[firearm] < policy.least_similarity
    assert 0.2 - 2 / firearm.sum() <= below.mean() <= 0.2
    rejected = frames.wholes().scores(least=policy.least_similarity)[0]
    assert (rejected[nearest < policy.least_similarity] == -2.0).all()
    none = choose_policy(
        frames, firearm, PolicySettings(temperature=0.1, least_quantile=0, **LOOSE)
    )
    assert none.least_similarity == -1


def test_the_prior_moves_the_score():
    frames, firearm = random_frames(10, 300, temperature=0.1)
    rare, even = (
        choose_policy(frames, firearm, PolicySettings(temperature=0.1, prior=prior, **LOOSE))
        for prior in (0.01, 0.5)
    )
    assert rare.threshold == even.threshold
    assert rare.score_offset < even.score_offset
    assert evidence_of(frames, rare).tolist() == evidence_of(frames, even).tolist()
