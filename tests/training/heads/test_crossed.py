"""Heads of folds, frames made of their logits, and types that notes tell."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.head import Head, HeadClass
from models.index import Neighbours
from models.policy import HeadRule, Kernel
from models.scoring import Scorer
from training.calibration.choice import choose_policy
from training.calibration.frames import flag_scores_of, look_by_head
from training.calibration.settings import PolicySettings
from training.folder import Photo
from training.heads.crossed import ABSENT, Lesson, crossed, mean_loss
from training.heads.folds import Fold
from training.starter import moved

CLASSES = (
    HeadClass("glock", "firearm"),
    HeadClass("python", "firearm"),
    HeadClass("drill", "lookalike"),
    HeadClass("food", "lookalike"),
)
RULE = HeadRule(temperature=1.0, added=Kernel(20.0, 10.0))
NOBODY = Neighbours((), (), (), np.zeros(0, np.float32))


def _photo(place, name, source, note=""):
    firearm = name in ("glock", "python", "semi_auto_pistol_other", "lone")
    return Photo(Path("p"), name, firearm, f"{place}", f"{place}", source, note=note)


def _lesson():
    """Four classes of well parted features, in three sources; ``lone`` is of one source only."""
    chance = np.random.default_rng(2)
    names = ["glock", "python", "drill", "food"]
    photos, pooled = [], []
    for place in range(96):
        name = names[place % 4]
        photos.append(_photo(place, name, f"s{place // 4 % 3}"))
        centre = np.eye(8)[place % 4] * 4 + 1
        pooled.append((centre + chance.normal(size=(3, 8)) * 0.2).astype(np.float16))
    photos.append(_photo(96, "lone", "s0"))
    pooled.append(np.ones((3, 8), np.float16))
    return Lesson.of(photos, pooled)


def test_a_fold_judges_what_it_did_not_learn_from():
    lesson = _lesson()
    sources = np.array([photo.source for photo in lesson.photos])
    dealt = [Fold(f"s{n}", False, sources == f"s{n}", sources != f"s{n}") for n in range(3)]
    steps = []
    said = crossed(lesson, dealt, 10.0, 0.5, steps.append)
    assert steps == [1, 1, 1]
    assert sorted(said) == list(range(97))
    assert all(rows.shape == (3, 5) for rows in said.values())
    right = [said[n][0].argmax() == lesson.labels[n] for n in range(96)]
    assert all(right)
    # The one type that only the tested source has is never named, and not counted as a loss.
    lone = [each.name for each in lesson.classes].index("lone")
    assert said[96][0, lone] == ABSENT
    assert mean_loss(lesson, said) < 0.7


def test_of_a_large_source_only_firearms_are_judged():
    lesson = _lesson()
    sources = np.array([photo.source for photo in lesson.photos])
    said = crossed(lesson, [Fold("s0", True, sources == "s0", sources != "s0")], 10.0, 0.5)
    assert said
    assert all(lesson.photos[place].firearm for place in said)


def test_frames_of_a_head_have_the_scores_that_serving_gives():
    head = Head(np.zeros((4, 3), np.float32), np.zeros(4, np.float32), CLASSES)
    logits = [np.random.default_rng(n).normal(size=(2, 4)).astype(np.float32) * 5 for n in range(9)]
    rule = replace(RULE, temperature=0.7)
    frames = look_by_head(logits, np.zeros(18), CLASSES, 0.7)
    whole, regions = frames.scores()
    for place, rows in enumerate(logits):
        served = Scorer(head, rule).scores(rows, [NOBODY] * len(rows))
        assert whole[place] == pytest.approx(max(served[0].values()), abs=1e-5)
        assert regions[place] == pytest.approx(max(served[1].values()), abs=1e-5)
        own = {
            frames.types[code]: value
            for row, code, value in zip(frames.row, frames.code, frames.value, strict=True)
            if row == 2 * place
        }
        assert own == pytest.approx(served[0], abs=1e-5)


def test_a_policy_by_a_head_keeps_the_false_flags_and_speaks_of_logits():
    chance = np.random.default_rng(0)
    firearm = np.arange(1400) < 400
    shift = np.where(firearm, 6.0, -6.0)[:, None, None] * np.array([1, 1, -1, -1]) / 2
    logits = list((chance.normal(size=(1400, 2, 4)) * 3 + shift).astype(np.float32))
    frames = look_by_head(logits, np.ones(2800), CLASSES, 1.0)
    settings = PolicySettings(head=RULE, part_margin=1.5)
    policy = choose_policy(frames, firearm, settings)
    scores = flag_scores_of(frames, policy)
    assert (scores[~firearm] >= policy.threshold).mean() <= 0.01
    assert (scores[firearm] >= policy.threshold).mean() > 0.5
    assert policy.near_miss > 0
    assert policy.part_margin == 1.5
    assert policy.region_margin is not None
    assert policy.head == RULE


def test_notes_move_photographs_to_types_that_came_later():
    photos = [
        _photo(1, "semi_auto_pistol_other", "a", note="model: Desert Eagle (app database)"),
        _photo(2, "semi_auto_pistol_other", "a", note="makarov"),
        _photo(3, "drill", "a", note="desert eagle"),
    ]
    assert [photo.name for photo in moved(photos)] == [
        "desert_eagle", "semi_auto_pistol_other", "drill",
    ]  # fmt: skip
