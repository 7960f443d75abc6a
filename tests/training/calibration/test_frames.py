"""What training says of photographs is what serving will decide of them."""

import numpy as np
import pytest

from models.policy import Policy
from models.scoring import type_supports
from moderator.rules import find
from tests.training.calibration.examples import (
    KINDS,
    TYPES,
    random_described,
    random_frames,
    random_index,
)
from training.calibration.frames import (
    evidence_of,
    flag_scores_of,
    look,
    offsets_of,
)

POLICIES = {
    "hard": Policy(0.5, neighbours=7, lookalike_margin=0.05, near_miss=0.1),
    "hard-types": Policy(0.5, {"ak": 0.3, "glock": 0.7}, near_miss=0.1, neighbours=7),
    "hard-regions": Policy(0.4, {"ak": 0.6}, near_miss=0.1, neighbours=7, region_margin=0.2),
    "soft": Policy(0.1, near_miss=0.1, neighbours=7, temperature=0.05),
    "soft-all": Policy(
        0.0, {"ak": -0.2, "revolver": 0.3}, near_miss=0.2, neighbours=9, temperature=0.2,
        least_similarity=0.4, region_margin=0.1, lookalike_margin=0.02,
    ),
}  # fmt: skip


def seen(policy, seed=0, count=150):
    chance = np.random.default_rng(seed)
    index, described = random_index(chance), random_described(chance, count)
    frames = look(
        index,
        described,
        neighbours=policy.neighbours,
        temperature=policy.temperature,
        lookalike_margin=policy.lookalike_margin,
    )
    return index, described, frames


def served(index, rows, policy):
    """Return the reasons that serving gives for a photograph and its regions."""
    judged = rows if policy.region_margin is not None else rows[:1]
    margins = [0.0] + [policy.region_margin or 0.0] * (len(judged) - 1)
    query = index.query if policy.temperature is None else index.query_kinds
    found = query(judged, policy.neighbours)
    return {find(near, policy, by).reason for near, by in zip(found, margins, strict=True)}


@pytest.mark.parametrize("name", POLICIES)
def test_what_reaches_the_threshold_is_what_serving_matches(name):
    policy = POLICIES[name]
    index, described, frames = seen(policy)
    scores = flag_scores_of(frames, policy)
    flagged = scores >= policy.threshold
    near = scores >= policy.threshold - policy.near_miss
    reasons = [served(index, rows, policy) for rows in described]
    assert flagged.tolist() == ["match" in each for each in reasons]
    assert near.tolist() == [bool(each & {"match", "near-miss"}) for each in reasons]
    assert 0 < flagged.sum() < near.sum() < len(near)


@pytest.mark.parametrize("name", POLICIES)
def test_the_evidence_is_the_best_of_all_types_and_frames(name):
    policy = POLICIES[name]
    index, described, frames = seen(policy, seed=1)
    found = evidence_of(frames, policy)
    offsets = offsets_of(policy)
    best = frames.best_types(offsets, policy.region_margin)
    for n, rows in enumerate(described):
        judged = rows if policy.region_margin is not None else rows[:1]
        values = {}
        query = index.query if policy.temperature is None else index.query_kinds
        for place, near in enumerate(query(judged, policy.neighbours)):
            firearm = np.array([kind == "firearm" for kind in near.kinds])
            if policy.temperature is None:
                its = {}
                for kind, name_, s in zip(near.kinds, near.types, near.similarities, strict=True):
                    if kind == "firearm":
                        its[name_] = max(its.get(name_, -1.0), float(s))
            else:
                its = type_supports(near.similarities, firearm, near.types, policy.temperature)
            for name_, value in its.items():
                less = value - offsets.get(name_, 0.0) - (policy.region_margin or 0) * (place > 0)
                values[name_] = max(values.get(name_, -9.0), less)
        if values:
            assert found[n] == pytest.approx(max(values.values()), abs=1e-9)
            assert frames.types[best[n]] == max(values, key=values.get)
        else:
            assert best[n] == -1


def test_wholes_are_the_photographs_without_their_regions():
    policy = POLICIES["soft-all"]
    index, described, frames = seen(policy)
    alone = look(
        index, [rows[:1] for rows in described], neighbours=9, temperature=0.2,
        lookalike_margin=0.02,
    )  # fmt: skip
    wholes = frames.wholes()
    assert frames.has_regions
    assert not wholes.has_regions
    assert np.array_equal(wholes.nearest, alone.nearest)
    for found, expected in zip(wholes.scores(), alone.scores(), strict=True):
        assert np.allclose(found, expected)
    assert np.allclose(wholes.scores()[0], frames.scores()[0])


def test_regions_count_only_where_they_are_judged():
    frames, _ = random_frames(3, temperature=0.1)
    whole, regions = frames.scores()
    open_policy = Policy(0.0, neighbours=7, temperature=0.1)
    assert np.array_equal(flag_scores_of(frames, open_policy), whole)
    with_regions = Policy(0.0, neighbours=7, temperature=0.1, region_margin=0.0)
    assert np.array_equal(flag_scores_of(frames, with_regions), np.maximum(whole, regions))


def test_nothing_seen_gives_nothing():
    chance = np.random.default_rng(0)
    frames = look(random_index(chance), [], neighbours=3, temperature=0.1, lookalike_margin=0.0)
    assert frames.count == 0
    assert len(frames.scores()[0]) == len(frames.best_types()) == 0


def test_types_are_those_of_neighbours_and_lookalikes_have_no_value():
    frames, _ = random_frames(4)
    named = {frames.types[code] for code in frames.code}
    assert named <= set(TYPES)
    assert not named & set(KINDS)
