"""What is made of which photographs, and what is held out."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from training.errors import BadInput
from training.tuning.plan import held_out, learners, make_plan, plan_digest


def test_the_plan_has_what_the_settings_say(photos, short):
    plan = make_plan(photos, short(views=3, backgrounds=2, pastes=11))
    assert Counter(sample.kind for sample in plan) == {
        "view": 3 * len(photos),
        "background": 2 * sum(bool(photo.boxes) for photo in photos),
        "paste": 11,
    }
    assert len(set(plan)) == len(plan)
    for sample in plan:
        if sample.kind == "paste":
            assert photos[sample.photo].firearm and not photos[sample.scene].firearm
        if sample.kind == "background":
            assert photos[sample.photo].boxes


def test_the_plan_is_the_same_each_time_and_by_seed(photos, short):
    assert make_plan(photos, short()) == make_plan(photos, short())
    assert make_plan(photos, short()) != make_plan(photos, short(seed=1))
    assert make_plan(photos, short(hold_out=("north",))) == make_plan(photos, short())


def test_the_digest_is_of_photographs_boxes_samples_and_seed(photos, short):
    plan = make_plan(photos, short())
    moved = (replace(photos[0], boxes=photos[2].boxes), *photos[1:])
    other = (replace(photos[0], digest="0" * 64), *photos[1:])
    renamed = (replace(photos[0], name="other", source="elsewhere"), *photos[1:])
    digests = [
        plan_digest(photos, plan, 0),
        plan_digest(photos, plan, 1),
        plan_digest(photos, plan[:-1], 0),
        plan_digest(moved, plan, 0),
        plan_digest(other, plan, 0),
    ]
    assert len(set(digests)) == 5
    assert plan_digest(renamed, plan, 0) == digests[0]


def test_nothing_of_a_source_that_is_held_out_is_in_any_sample(photos, short):
    settings = short(hold_out=("north",), hold_out_harmless=("east",), pastes=200)
    plan = make_plan(photos, settings)
    kept = learners(plan, held_out(photos, settings))
    seen = {place for sample, left in zip(plan, kept, strict=True) if left
            for place in sample.photos}  # fmt: skip
    assert {photos[place].source for place in seen} == {"south", "east"}
    assert {photos[n].source for n in seen if not photos[n].firearm} == {"south"}
    # All kinds are still there, and what is left out is left out for a reason.
    assert {sample.kind for sample, left in zip(plan, kept, strict=True) if left} == {
        "view",
        "background",
        "paste",
    }
    for sample, left in zip(plan, kept, strict=True):
        shown = [photos[place] for place in sample.photos]
        reason = any(
            photo.source == "north" or (photo.source == "east" and not photo.firearm)
            for photo in shown
        )
        assert left != reason


def test_near_copies_of_what_is_held_out_are_held_out_too(photos, short):
    north = next(n for n, photo in enumerate(photos) if photo.source == "north")
    south = next(n for n, photo in enumerate(photos) if photo.source == "south")
    copied = list(photos)
    copied[south] = replace(photos[south], group=photos[north].group)
    before = held_out(photos, short(hold_out=("north",)))
    after = held_out(copied, short(hold_out=("north",)))
    assert np.flatnonzero(before != after).tolist() == [south]


def test_a_source_that_is_none_is_named(photos, short):
    with pytest.raises(BadInput, match="--hold-out nowhere"):
        held_out(photos, short(hold_out=("nowhere",)))
    harmful = [replace(p, source="shop") if p.firearm else p for p in photos]
    with pytest.raises(BadInput, match="--hold-out-harmless shop"):
        held_out(harmful, short(hold_out_harmless=("shop",)))
