import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.policy import MOST_LOGITS, HeadRule, Kernel
from training.calibration.settings import PolicySettings
from training.calibration.thresholds import (
    ceiling,
    least_similarity,
    region_margin,
    type_offsets,
    whole_rate,
)
from training.threshold import at_false_flag_rate


@pytest.mark.parametrize("quantile", [0.01, 0.1, 0.5])
def test_all_but_a_share_of_firearms_reach_the_least_similarity(quantile):
    nearest = np.random.default_rng(0).uniform(-1, 1, 137)
    least = least_similarity(nearest, quantile)
    below = int((nearest < least).sum())
    assert below <= quantile * len(nearest)
    assert (nearest <= least).sum() == below + 1
    assert below + 1 > quantile * (len(nearest) - 1)


def test_no_quantile_is_no_limit():
    assert least_similarity(np.array([0.5]), 0) == -1


def test_a_threshold_is_at_most_what_a_similarity_a_support_or_a_logit_can_be():
    rule = HeadRule(1.0, Kernel(40.0, 26.0))
    settings = PolicySettings(), PolicySettings(temperature=0.1), PolicySettings(head=rule)
    assert [ceiling(each) for each in settings] == [1.0, 2.0, MOST_LOGITS]


def test_offsets_are_those_of_a_loop_over_types():
    chance = np.random.default_rng(1)
    best, scores = chance.integers(-1, 4, 500), chance.normal(0.3, 0.2, 500)
    scores[best == 2] += 0.4
    found = type_offsets(best, scores, "abcd", rate=0.05, shrinkage=3.0)
    common = at_false_flag_rate(scores, 0.05, highest=2.0)
    assert set(found) == set("abcd")
    for code, name in enumerate("abcd"):
        own = sorted((s for s, b in zip(scores, best, strict=True) if b == code), reverse=True)
        allowed = int(0.05 * len(own))
        threshold = (own[allowed - 1] + own[allowed]) / 2
        weight = 0.05 * len(own) / (0.05 * len(own) + 3)
        assert found[name] == pytest.approx(weight * (threshold - common))
    assert found["c"] > 0 > min(found.values())


def test_a_type_with_few_harmless_ones_is_near_the_common_threshold():
    chance = np.random.default_rng(2)
    scores = np.concatenate([chance.normal(0, 0.1, 1000), [0.9, 0.8]])
    best = np.array([0] * 1000 + [1] * 2)
    shrunk = type_offsets(best, scores, "ab", rate=0.01, shrinkage=4.0)
    own = type_offsets(best, scores, "ab", rate=0.01, shrinkage=0.0)
    assert own["b"] > 0.5
    assert 0 < shrunk["b"] < 0.01
    assert abs(shrunk["a"]) <= abs(own["a"])


def test_without_shrinkage_each_type_keeps_its_share():
    chance = np.random.default_rng(3)
    best, scores = chance.integers(0, 5, 900), chance.normal(0, 0.3, 900)
    offsets = type_offsets(best, scores, "abcde", rate=0.03, shrinkage=0.0)
    common = at_false_flag_rate(scores, 0.03, highest=2.0)
    for code, name in enumerate("abcde"):
        flagged = scores[best == code] >= common + offsets[name]
        assert flagged.sum() == int(0.03 * (best == code).sum())


@given(st.integers(1, 5000), st.floats(0.001, 0.5), st.floats(0, 0.99))
def test_wholes_and_regions_share_what_is_allowed(harmless, rate, share):
    alone, added = whole_rate(harmless, rate, share)
    allowed = int(rate * harmless + 1e-9)
    assert added <= share * allowed + 1e-6
    assert round(alone * harmless) + added == allowed


@given(st.integers(0, 20), st.integers(0, 2**32 - 1))
def test_regions_add_as_many_flags_as_they_may_and_no_lower_margin_would(added, seed):
    chance = np.random.default_rng(seed)
    whole, regions = chance.normal(0, 0.3, 80), chance.normal(0.2, 0.3, 80)
    margin = region_margin(whole, regions, 0.4, added)
    passed = whole < 0.4
    more = int((regions[passed] - margin >= 0.4).sum())
    assert 0 <= margin <= 2
    assert more <= added
    if margin > 0 and added < passed.sum():
        lower = [m for m in regions[passed] - 0.4 if m < margin]
        assert not lower or (regions[passed] - max(lower) >= 0.4).sum() > added


def test_where_every_harmless_one_is_flagged_already_regions_need_no_more():
    assert region_margin(np.ones(3), np.ones(3), 0.5, 1) == 0.0
