import numpy as np
import pytest

from models.policy import Policy
from tests.training.calibration.examples import TYPES, photo, random_frames
from training.calibration.choice import choose_policy
from training.calibration.figures import (
    lookalike_figures,
    small_figures,
    small_firearms,
    source_figures,
    type_budgets,
    types_told,
    without_regions,
)
from training.calibration.frames import flag_scores_of, offsets_of
from training.calibration.settings import PolicySettings
from training.folder import Box

TINY, HALF = Box(0.5, 0.5, 0.2, 0.3), Box(0.5, 0.5, 0.5, 0.9)
SETTINGS = PolicySettings(
    false_flag_rate=0.1, near_miss_rate=0.2, temperature=0.1, neighbours=7, type_thresholds=True
)


def example(seed=0, count=300):
    frames, firearm = random_frames(seed, count, temperature=0.1)
    guns, others = (*TYPES, "rare"), ("toy_gun_obvious", "room")
    photos = [
        photo(
            guns[n % 5] if gun else others[n % 2],
            firearm=bool(gun), source=f"s{n % 3}" if n % 7 else None, number=n,
            boxes=((TINY,) if n % 2 else (HALF,)) if gun and n % 3 else (),
        )
        for n, gun in enumerate(firearm)
    ]  # fmt: skip
    return frames, firearm, photos, choose_policy(frames, firearm, SETTINGS)


def test_small_firearms_are_those_whose_boxes_cover_little():
    photos = [
        photo(boxes=(TINY,)),
        photo(boxes=(HALF,)),
        photo(boxes=(TINY, TINY)),
        photo(),
        photo("drill", firearm=False, boxes=(TINY,)),
    ]
    assert small_firearms(photos).tolist() == [True, False, False, False, False]


def test_small_firearms_are_counted_with_and_without_regions():
    frames, firearm, photos, policy = example()
    alone = without_regions(frames, firearm, SETTINGS)
    found = small_figures(frames, photos, policy, alone)
    small = small_firearms(photos)
    assert found["photographs"] == small.sum() > 0
    whole, _ = frames.scores(offsets_of(alone), least=alone.least_similarity)
    expected = (whole[small] >= alone.threshold).mean()
    assert found["without_regions"]["recall"] == round(float(expected), 4)
    flagged = flag_scores_of(frames, policy) >= policy.threshold
    assert found["with_regions"]["recall"] == round(float(flagged[small].mean()), 4)
    assert found["with_regions"]["false_flags"] <= 0.1
    assert found["without_regions"]["false_flags"] <= 0.1
    assert set(found["with_regions"]["recall_at_false_flags"]) == {"0.001", "0.01", "0.05"}
    assert small_figures(frames, [photo()] * len(photos), policy, alone) is None
    plain = small_figures(frames.wholes(), photos, alone, alone)
    assert "with_regions" not in plain


def test_sources_are_told_apart_as_a_loop_would():
    frames, _, photos, policy = example(1)
    scores = flag_scores_of(frames, policy)
    right, _ = types_told(frames, photos, policy, dict.fromkeys(TYPES, "f"), ())
    found = source_figures(photos, scores, right, policy)
    assert set(found) == {"s0", "s1", "s2", "(unknown source)"}
    for source, figures in found.items():
        own = [n for n, p in enumerate(photos) if (p.source or "(unknown source)") == source]
        guns = [n for n in own if photos[n].firearm]
        recall = sum(scores[n] >= policy.threshold for n in guns) / len(guns)
        told = [right[n] for n in guns if n in right]
        assert figures["firearms"] == len(guns)
        assert figures["harmless"] == len(own) - len(guns)
        assert figures["recall"] == pytest.approx(recall, abs=1e-4)
        assert figures["type_right"] == pytest.approx(sum(told) / len(told), abs=1e-4)


def test_types_are_told_of_those_that_can_be():
    frames, firearm, photos, policy = example(2)
    families = {"ak": "rifle", "glock": "pistol", "m1911": "pistol", "revolver": "revolver"}
    right, shares = types_told(frames, photos, policy, families, ("revolver",))
    asked = [n for n, p in enumerate(photos) if firearm[n] and p.name in ("ak", "glock", "m1911")]
    assert [*right] == asked
    assert shares["queries"] == len(asked)
    assert shares["type_right"] == round(sum(right.values()) / len(asked), 4)
    assert shares["family_right"] > shares["type_right"] > 0


def test_a_family_is_asked_of_types_whose_family_is_known():
    frames, firearm, photos, policy = example(2)
    nothing = dict.fromkeys(TYPES)
    right, shares = types_told(frames, photos, policy, nothing, ())
    assert (
        shares["queries"]
        == len(right)
        == sum(gun and p.name in TYPES for gun, p in zip(firearm, photos, strict=True))
    )
    assert shares["family_right"] is None
    alone = {**nothing, "ak": "rifle"}
    aks = [n for n in right if photos[n].name == "ak"]
    found = types_told(frames, photos, policy, alone, ())[1]
    assert found["family_right"] == round(sum(right[n] for n in aks) / len(aks), 4)


def test_lookalikes_are_counted_apart():
    photos = [photo("toy_gun_obvious", firearm=False)] * 2 + [photo("room", firearm=False)] * 98
    scores = np.array([0.9, 0.2, 0.8] + [0.1] * 97)
    found = lookalike_figures(photos, scores, Policy(0.5, near_miss=0.3))
    assert found == {
        "photographs": 2,
        "flagged": 0.5,
        "near_misses_too": 1.0,
        "at_false_flags": {"0.001": 0.0, "0.01": 0.5, "0.05": 1.0},
    }
    assert lookalike_figures([photo()], np.array([0.9]), Policy(0.5)) is None


def test_budgets_of_types_add_up():
    frames, firearm, _, policy = example(3)
    found = type_budgets(frames, ~firearm, policy, SETTINGS)
    assert set(found) == set(policy.thresholds) == set(TYPES)
    flagged = (flag_scores_of(frames, policy) >= policy.threshold)[~firearm].sum()
    assert sum(each["flagged"] for each in found.values()) == flagged
    best = frames.best_types(offsets_of(policy), policy.region_margin)
    assert sum(each["harmless"] for each in found.values()) == (best[~firearm] >= 0).sum()
    plain = Policy(policy.threshold, temperature=0.1, neighbours=7)
    assert type_budgets(frames, ~firearm, plain, SETTINGS) == {}
