import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.index import Neighbours
from models.policy import HeadRule, Kernel, Policy
from models.types import Types
from moderator.decide import (
    SEVERITY,
    Actions,
    ImageDecision,
    Override,
    PostDecision,
    TypeScore,
    decide_image,
    decide_in_part,
    decide_post,
    score,
    unjudged,
)

TYPES = Types({"glock": ("pistol", "Glock 17"), "colt": ("pistol", "Colt"), "ak": ("rifle", "AK")})
POLICY = Policy(
    threshold=0.7,
    thresholds={"ak": 0.8},
    near_miss=0.1,
    lookalike_margin=0.05,
    score_slope=20.0,
    score_offset=0.0,
    neighbours=8,
)


def near(*rows: tuple[str, str, float]) -> Neighbours:
    """Return neighbours from (type, kind, similarity), best first."""
    rows = sorted(rows, key=lambda row: -row[2])
    return Neighbours(
        ids=tuple(f"{kind}/{name}/{place}" for place, (name, kind, _) in enumerate(rows)),
        types=tuple(name for name, _, _ in rows),
        kinds=tuple(kind for _, kind, _ in rows),
        similarities=np.array([row[2] for row in rows], np.float32),
    )


def firearm(name: str, similarity: float) -> tuple[str, str, float]:
    return name, "firearm", similarity


def toy(similarity: float) -> tuple[str, str, float]:
    return "toy", "lookalike", similarity


@pytest.mark.parametrize(
    ("rows", "reason", "types"),
    [
        ([], "no-match", []),
        ([toy(0.99)], "no-match", []),
        ([firearm("glock", 0.59)], "no-match", []),
        ([firearm("glock", 0.61)], "near-miss", ["glock"]),
        ([firearm("glock", 0.69)], "near-miss", ["glock"]),
        ([firearm("glock", 0.71)], "match", ["glock"]),
        # A type's own threshold is what it needs, be it nearest or not.
        ([firearm("ak", 0.78)], "near-miss", ["ak"]),
        ([firearm("ak", 0.69)], "no-match", []),
        ([firearm("ak", 0.78), firearm("glock", 0.72)], "match", ["glock", "ak"]),
        ([firearm("ak", 0.90), firearm("glock", 0.72)], "match", ["ak", "glock"]),
        ([firearm("ak", 0.81), firearm("glock", 0.58)], "match", ["ak"]),
        # The best of each type counts, and a type nobody has named is one as well.
        ([firearm("glock", 0.75), firearm("glock", 0.2)], "match", ["glock"]),
        ([firearm("new", 0.75)], "match", ["new"]),
        # A look-alike must be nearer by more than the margin than the nearest firearm.
        ([firearm("glock", 0.75), toy(0.79)], "match", ["glock"]),
        ([firearm("glock", 0.75), toy(0.81)], "lookalike", ["glock"]),
        ([firearm("glock", 0.65), toy(0.69)], "near-miss", ["glock"]),
        ([firearm("glock", 0.65), toy(0.71)], "lookalike", ["glock"]),
        ([firearm("glock", 0.72), firearm("ak", 0.79), toy(0.80)], "match", ["glock", "ak"]),
        # Kinds that are neither say nothing.
        ([("glock", "override", 0.99)], "no-match", []),
    ],
)
def test_frames(rows, reason, types):
    found = decide_image([near(*rows)], POLICY, TYPES, Actions())
    assert (found.reason, [item.type for item in found.types]) == (reason, types)
    assert found.decision == ("flag" if reason == "match" else "pass")


def obvious(rows, policy: Policy) -> str:
    """Return the reason as the design words it, the slow way."""
    guns = [row for row in rows if row[1] == "firearm"]
    reach = [s for name, _, s in guns if s >= policy.threshold_of(name)]
    band = [s for name, _, s in guns if s - policy.threshold_of(name) >= -policy.near_miss]
    if not band:
        return "no-match"
    nearest = max(s for _, _, s in guns)
    if any(s > nearest + policy.lookalike_margin for _, kind, s in rows if kind == "lookalike"):
        return "lookalike"
    return "match" if reach else "near-miss"


similarities = st.floats(-1, 1, width=32)
any_rows = st.lists(
    st.tuples(
        st.sampled_from(["glock", "colt", "ak", "toy"]),
        st.sampled_from(["firearm", "lookalike", "override"]),
        similarities,
    ),
    max_size=8,
)
policies = st.builds(
    Policy,
    threshold=st.floats(-1, 1),
    thresholds=st.dictionaries(st.sampled_from(["glock", "ak"]), st.floats(-1, 1)),
    near_miss=st.floats(0, 2),
    lookalike_margin=st.floats(-2, 2),
    score_slope=st.floats(1e-6, 1e6),
    score_offset=st.floats(-1e6, 1e6),
    neighbours=st.just(8),
)


@given(any_rows, policies, st.integers(1, 3), st.integers(1, 5))
def test_any_frame_is_decided_as_the_obvious_way_has_it(rows, policy, max_types, max_evidence):
    actions = Actions(max_types=max_types, max_evidence=max_evidence)
    found = decide_image([near(*rows)], policy, TYPES, actions)
    assert found.reason == obvious(rows, policy)
    assert found.decision == actions.of(found.reason)
    assert bool(found.types) == (found.reason != "no-match")
    scores = [item.score for item in found.types]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= value <= 1 for value in scores)
    assert len(found.types) <= max_types
    assert len({item.type for item in found.types}) == len(found.types)
    assert len(found.evidence) == min(len(rows), max_evidence)
    assert all(-1 <= item.similarity <= 1 for item in found.evidence)


@given(any_rows, policies, similarities)
def test_a_nearer_firearm_never_turns_a_match_into_less(rows, policy, similarity):
    before = decide_image([near(*rows)], policy, TYPES, Actions())
    rows = [*rows, firearm("glock", similarity)]
    after = decide_image([near(*rows)], policy, TYPES, Actions())
    if before.reason == "match":
        assert after.reason == "match"


def test_types_that_are_surely_there_are_ranked_by_how_sure_though_scores_are_equal():
    policy = Policy(threshold=0.5, thresholds={"ak": 0.9}, score_slope=1e6)
    rows = near(firearm("ak", 0.96), firearm("glock", 0.8), firearm("colt", 0.9))
    found = decide_image([rows], policy, TYPES, Actions())
    assert [(item.type, item.score) for item in found.types] == [
        ("colt", 1.0),
        ("glock", 1.0),
        ("ak", 1.0),
    ]
    assert [item.type for item in decide_post([found], 5).types] == ["colt", "glock", "ak"]


def test_types_have_their_family_and_name_and_evidence_is_the_neighbours():
    found = decide_image([near(firearm("glock", 0.7), toy(0.5))], POLICY, TYPES, Actions())
    assert (found.types[0].family, found.types[0].name) == ("pistol", "Glock 17")
    assert [(e.id, e.type, e.kind) for e in found.evidence] == [
        ("firearm/glock/0", "glock", "firearm"),
        ("lookalike/toy/1", "toy", "lookalike"),
    ]
    assert [e.similarity for e in found.evidence] == pytest.approx([0.7, 0.5], abs=1e-5)


@given(st.floats(-2, 2), st.floats(-2, 2), policies)
def test_scores_rise_with_similarity_and_lie_in_0_to_1(first, second, policy):
    low, high = sorted([first, second])
    assert 0 <= score(low, policy) <= score(high, policy) <= 1


def test_a_score_is_a_logistic_of_the_excess():
    assert score(0.0, POLICY) == 0.5
    assert score(0.1, POLICY) == pytest.approx(1 / (1 + math.exp(-2)))


def test_an_image_is_as_bad_as_its_worst_frame_the_first_of_equals():
    harmless, missed, gun = near(), near(firearm("glock", 0.65)), near(firearm("colt", 0.9))
    weaker = near(firearm("colt", 0.71))

    def decided(*frames):
        found = decide_image(frames, POLICY, TYPES, Actions())
        return found.reason, found.view

    assert decided(harmless, missed, gun) == ("match", 2)
    assert decided(weaker, gun) == ("match", 1)
    assert decided(gun, harmless, gun) == ("match", 0)
    assert decided(harmless, missed) == ("near-miss", 1)
    assert decided(harmless, harmless) == ("no-match", 0)
    with pytest.raises(ValueError, match="without views"):
        decided()


def test_an_override_that_passes_wins_over_a_match():
    frames = [near(firearm("glock", 0.9))]
    found = decide_image(frames, POLICY, TYPES, Actions(), Override("v1", ""))
    assert (found.decision, found.reason, found.types, found.view) == ("pass", "override", (), 0)
    assert found.evidence[0].id == "v1"
    assert (found.evidence[0].kind, found.evidence[0].similarity) == ("override", 1.0)
    assert found.evidence[1].type == "glock"


def test_an_override_that_flags_wins_over_no_match_and_names_its_type():
    found = decide_image([near()], POLICY, TYPES, Actions(), Override("v1", "ak"))
    assert (found.decision, found.reason) == ("flag", "override")
    assert found.types == (TypeScore("ak", "rifle", "AK", 1.0),)


def test_an_override_counts_among_the_capped_evidence():
    frames = [near(*(firearm("glock", 0.9 - step / 100) for step in range(8)))]
    actions = Actions(max_evidence=3)
    found = decide_image(frames, POLICY, TYPES, actions, Override("v1", "ak"))
    assert [item.id for item in found.evidence] == ["v1", "firearm/glock/0", "firearm/glock/1"]


@pytest.mark.parametrize("reason", ["undecodable", "unreachable", "malformed"])
def test_what_cannot_be_judged_is_flagged_unless_its_setting_says_pass(reason):
    assert unjudged(reason, "why", Actions()) == ImageDecision("flag", reason, cause="why")
    assert unjudged(reason, "why", Actions(**{reason: "pass"})).decision == "pass"
    others = {"undecodable", "unreachable", "malformed"} - {reason}
    for other in others:
        assert unjudged(other, "why", Actions(**{reason: "pass"})).decision == "flag"


def test_near_misses_are_flagged_where_the_setting_says_so():
    frame = near(firearm("glock", 0.65))
    assert decide_image([frame], POLICY, TYPES, Actions(near_miss="flag")).decision == "flag"


def made(reason: str, actions: Actions, *scores: tuple[str, float]) -> ImageDecision:
    types = tuple(TypeScore(name, "family", name, value) for name, value in scores)
    cause = "why" if reason in {"undecodable", "unreachable", "malformed"} else None
    return ImageDecision(actions.of(reason), reason, types, cause=cause)


def test_a_post_is_as_bad_as_its_worst_image_in_every_order():
    """Firearm > unjudgeable > near-miss > pass (design section 3)."""
    order = [["match"], ["undecodable", "unreachable", "malformed"], ["near-miss"]]
    order += [["lookalike", "no-match"]]
    for worse, better in product(range(4), range(4)):
        for first, second in product(order[worse], order[better]):
            if worse < better:
                images = [made(first, Actions()), made(second, Actions())]
                assert decide_post(images, 5).reason == first
                assert decide_post(images[::-1], 5).reason == first


def test_a_flag_is_never_hidden_behind_an_image_that_a_setting_lets_pass():
    actions = Actions(undecodable="pass", near_miss="flag")
    for images in (["undecodable", "near-miss"], ["near-miss", "undecodable"]):
        found = decide_post([made(reason, actions) for reason in images], 5)
        assert (found.decision, found.reason) == ("flag", "near-miss")


def test_an_override_that_flags_is_as_bad_as_a_match_and_one_that_passes_is_not():
    flag = ImageDecision("flag", "override", (TypeScore("ak", "rifle", "AK", 1.0),))
    pass_ = ImageDecision("pass", "override")
    broken = made("undecodable", Actions())
    assert decide_post([broken, flag], 5).reason == "override"
    assert decide_post([pass_, broken], 5).reason == "undecodable"
    assert decide_post([pass_, made("near-miss", Actions())], 5).reason == "near-miss"
    assert decide_post([pass_], 5).decision == "pass"


def test_the_first_of_equally_bad_images_is_the_worst_and_its_cause_is_the_posts():
    images = [made("no-match", Actions()), made("undecodable", Actions())]
    found = decide_post([*images, *images], 5)
    assert (found.worst, found.cause) == (1, "why")
    strong = made("match", Actions(), ("ak", 0.9))
    weak = made("match", Actions(), ("colt", 0.6))
    assert decide_post([weak, strong, strong], 5).worst == 1


def test_a_post_without_images_passes_and_says_so():
    assert decide_post([], 5) == PostDecision("pass", "no-images")


def test_the_types_of_a_post_are_the_best_of_all_images_it_is_flagged_for():
    images = [
        made("match", Actions(), ("ak", 0.6), ("colt", 0.55)),
        made("match", Actions(), ("glock", 0.9), ("ak", 0.8)),
        made("near-miss", Actions(), ("toy", 0.4)),
        made("undecodable", Actions()),
    ]
    found = decide_post(images, 5)
    assert [(t.type, t.score) for t in found.types] == [("glock", 0.9), ("ak", 0.8), ("colt", 0.55)]
    assert [t.type for t in decide_post(images, 2).types] == ["glock", "ak"]
    assert [t.type for t in decide_post(images[2:3], 5).types] == ["toy"]


@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(SEVERITY)), st.floats(0, 1)), min_size=1, max_size=6
    ).filter(lambda rows: all(reason != "deleted" for reason, _ in rows)),
    st.sampled_from(["flag", "pass"]),
    st.sampled_from(["flag", "pass"]),
)
def test_a_post_is_flagged_exactly_when_an_image_is(rows, undecodable, near_miss):
    actions = Actions(undecodable=undecodable, near_miss=near_miss)
    images = [made(reason, actions, ("ak", value)) for reason, value in rows]
    found = decide_post(images, 5)
    assert (found.decision == "flag") == any(image.decision == "flag" for image in images)
    assert found.reason == images[found.worst].reason
    same = [image for image in images if image.decision == found.decision]
    assert SEVERITY[found.reason] == max(SEVERITY[image.reason] for image in same)


REGIONAL = replace(POLICY, region_margin=0.05)


def test_a_region_needs_the_margin_more_than_the_whole() -> None:
    gun, none = near(firearm("glock", 0.73)), near()
    whole = decide_image([gun, none], REGIONAL, TYPES, Actions(), rows=[2])
    assert (whole.reason, whole.view, whole.region) == ("match", 0, 0)
    part = decide_image([none, gun], REGIONAL, TYPES, Actions(), rows=[2])
    assert (part.reason, part.view, part.region) == ("near-miss", 0, 1)
    nearer = near(firearm("glock", 0.76))
    part = decide_image([none, none, nearer], REGIONAL, TYPES, Actions(), rows=[3])
    assert (part.reason, part.region) == ("match", 2)
    assert part.types[0].score == round(score(0.01, REGIONAL), 4)
    assert part.evidence[0].similarity == pytest.approx(0.76, abs=1e-5)


def test_regions_of_later_frames_are_counted_within_them() -> None:
    none, gun = near(), near(firearm("ak", 0.95))
    found = decide_image([none, none, none, none, gun], REGIONAL, TYPES, Actions(), rows=[3, 2])
    assert (found.reason, found.view, found.region) == ("match", 1, 1)
    found = decide_image([none, none, none], REGIONAL, TYPES, Actions(), rows=[1, 2])
    assert (found.reason, found.view, found.region) == ("no-match", 0, 0)


def test_rows_that_are_not_as_many_as_the_neighbours_are_refused() -> None:
    with pytest.raises(ValueError, match="2 neighbours for an image of 3 rows"):
        decide_image([near(), near()], REGIONAL, TYPES, Actions(), rows=[3])


@given(st.lists(any_rows, min_size=1, max_size=5), policies)
def test_regions_never_make_an_image_better_and_without_a_margin_count_as_frames(rows, policy):
    lists = [near(*its) for its in rows]
    policy = replace(policy, region_margin=0.0)
    whole = decide_image(lists[:1], policy, TYPES, Actions())
    parts = decide_image(lists, policy, TYPES, Actions(), rows=[len(lists)])
    assert SEVERITY[parts.reason] >= SEVERITY[whole.reason]
    frames = decide_image(lists, policy, TYPES, Actions())
    assert parts == replace(frames, view=0, region=frames.view)


PARTED = replace(REGIONAL, part_margin=0.02)


def test_a_part_needs_its_margin_more_than_the_whole_and_its_regions_are_not_judged() -> None:
    none, gun = near(), near(firearm("glock", 0.71))

    def decided(*views):
        parts = [False, True]
        return decide_image(views, PARTED, TYPES, Actions(), rows=[2, 2], parts=parts)

    assert (decided(gun, none, none, none).reason, decided(none, none, gun, none).reason) == (
        "match",
        "near-miss",
    )
    surer = near(firearm("glock", 0.73))
    found = decided(none, none, surer, none)
    assert (found.reason, found.view, found.region) == ("match", 1, 0)
    assert found.types[0].score == round(score(0.01, PARTED), 4)
    sure = near(firearm("glock", 0.99))
    assert decided(none, none, none, sure).reason == "no-match"
    assert decided(none, sure, none, none).reason == "match"


@pytest.mark.parametrize("parts", [[], [True, False, False]])
def test_parts_that_are_not_as_many_as_the_views_are_refused(parts) -> None:
    with pytest.raises(ValueError, match=f"{len(parts)} parts for an image of 2 views"):
        decide_image([near(), near()], PARTED, TYPES, Actions(), parts=parts)


def test_what_is_said_of_a_picture_is_said_of_the_whole() -> None:
    rows = [near(), near(firearm("glock", 0.9))]
    found = decide_image(rows, REGIONAL, TYPES, Actions(), Override("v1", "ak"), rows=[2])
    assert (found.reason, found.view, found.region) == ("override", 0, 0)
    lists = [near(), near(), near(firearm("glock", 0.9)), near(firearm("glock", 0.99))]
    parts = [False, False, False, True]
    found = decide_image(lists, PARTED, TYPES, Actions(), Override("v1", ""), parts=parts)
    # A part's embedding would be none of the region that the decision names: the whole.
    assert (found.view, found.region) == (2, 0)


def test_the_soft_rule_scores_by_support() -> None:
    policy = Policy(0.1, score_slope=10.0, score_offset=0.5, temperature=1e-6, near_miss=0.05)
    found = decide_image([near(firearm("ak", 0.8), toy(0.6))], policy, TYPES, Actions())
    assert found.reason == "match"
    assert found.types[0].score == pytest.approx(1 / (1 + math.exp(-(10 * 0.1 + 0.5))), abs=1e-3)


ACTIONS = Actions()


def test_what_has_frames_out_of_reach_is_a_match_or_unjudged() -> None:
    def decided(*rows, actions=ACTIONS, override=None):
        found = decide_image([near(*rows)], POLICY, TYPES, actions, override)
        part = decide_in_part(found, actions)
        return part.decision, part.reason, part.cause

    assert decided(firearm("glock", 0.9)) == ("flag", "match", None)
    assert decided() == ("flag", "undecodable", "reach")
    assert decided(actions=Actions(undecodable="pass")) == ("pass", "undecodable", "reach")
    assert decided(firearm("glock", 0.65)) == ("flag", "undecodable", "reach")
    flagging = Actions(near_miss="flag")
    assert decided(firearm("glock", 0.65), actions=flagging)[1] == "near-miss"
    assert decided(override=Override("v1", "")) == ("pass", "override", None)


@pytest.mark.parametrize(
    ("similarity", "kind", "answer"),
    [(1.0, "lookalike", ("pass", "lookalike")), (0.98, "lookalike", ("flag", "match")),
     (1.0, "firearm", ("flag", "match"))],
)  # fmt: skip
def test_regions_add_nothing_to_a_copy_of_a_look_alike_that_was_added(similarity, kind, answer):
    policy = Policy(0.6, region_margin=0.1)
    whole = Neighbours(
        ("said", "gun"), ("toy", "glock"), (kind, "firearm"),
        np.array([similarity, 0.85], np.float32), frozenset({"said"}),
    )  # fmt: skip
    region = Neighbours(("gun",), ("glock",), ("firearm",), np.array([0.9], np.float32))
    types = Types({"glock": ("pistol", "Glock 17")})
    found = decide_image([whole, region, region], policy, types, Actions(), rows=[3])
    assert (found.decision, found.reason) == answer
    # Another frame is judged as ever.
    found = decide_image([whole, region], policy, types, Actions(), rows=[1, 1])
    assert (found.decision, found.reason) == ("flag", "match")


# --- names by level

LEVELLED = Types(
    {"glock": ("pistol", "Glock 17"), "colt": ("pistol", "Colt"), "ak": ("rifle", "AK"),
     "gun": ("gun", "A gun")},
    {"glock": "automatic", "colt": "revolver", "ak": "automatic"},
)  # fmt: skip
HEADED = Policy(
    0.0,
    head=HeadRule(1.0, Kernel(40.0, 20.0), levels={"mechanism": 2.0, "family": 1.0, "type": 0.5}),
)
SCORES = {"glock": 3.0, "colt": 2.0, "ak": 1.0, "gun": 4.0}


def shares(temperature: float) -> dict[str, float]:
    """Return the softmax over the types that name a model."""
    weights = {n: math.exp(SCORES[n] / temperature) for n in ("glock", "colt", "ak")}
    return {name: weight / sum(weights.values()) for name, weight in weights.items()}


def headed(policy: Policy = HEADED, scores=SCORES, override=None, **actions):
    rows = [near(firearm("ak", 0.6))]
    return decide_image(rows, policy, LEVELLED, Actions(**actions), override, scores=[scores])


def test_a_firearm_is_named_at_each_level_by_its_own_temperature() -> None:
    found = headed()
    coarse, fine, family = shares(2.0), shares(0.5), shares(1.0)
    assert [(each.name, each.score) for each in found.mechanisms] == [
        ("automatic", pytest.approx(coarse["glock"] + coarse["ak"], abs=1e-4)),
        ("revolver", pytest.approx(coarse["colt"], abs=1e-4)),
    ]
    assert [(each.name, each.score) for each in found.families] == [
        ("pistol", pytest.approx(family["glock"] + family["colt"], abs=1e-4)),
        ("rifle", pytest.approx(family["ak"], abs=1e-4)),
    ]
    assert [each.type for each in found.types] == ["gun", "glock", "colt", "ak"]
    assert [each.probability for each in found.types] == [
        None, *(pytest.approx(fine[name], abs=1e-4) for name in ("glock", "colt", "ak")),
    ]  # fmt: skip


def test_only_the_levels_of_the_policy_are_told() -> None:
    rule = replace(HEADED.head, levels={"family": 1.0})
    found = headed(replace(HEADED, head=rule))
    assert (found.mechanisms, {each.probability for each in found.types}) == ((), {None})
    assert found.families
    assert not headed(replace(HEADED, head=replace(rule, levels={}))).families


def test_levels_are_capped_as_types_are_and_absent_without_types() -> None:
    found = headed(max_types=1)
    assert [len(each) for each in (found.types, found.mechanisms, found.families)] == [1, 1, 1]
    passed = headed(replace(HEADED, threshold=9.0))
    assert (passed.types, passed.mechanisms, passed.families) == ((), (), ())


@pytest.mark.parametrize("said", ["", "colt"])
def test_a_moderators_word_leaves_nothing_of_what_the_head_said(said) -> None:
    found = headed(override=Override("review/1", said))
    assert (found.mechanisms, found.families) == ((), ())
    assert [each.probability for each in found.types] == [None] * bool(said)


def test_a_posts_levels_are_the_best_of_the_images_that_it_is_decided_for() -> None:
    one, other = headed(), headed(scores={**SCORES, "colt": 9.0})
    passed = headed(replace(HEADED, threshold=99.0))
    found = decide_post([one, passed, other], 5)
    best = {each.name: each.score for each in one.mechanisms}
    for each in other.mechanisms:
        best[each.name] = max(best[each.name], each.score)
    assert {each.name: each.score for each in found.mechanisms} == best
    assert [each.name for each in found.mechanisms] == ["revolver", "automatic"]
    assert [each.name for each in found.families] == ["pistol", "rifle"]
    assert len(decide_post([one, other], 1).mechanisms) == 1


def test_scores_are_of_as_many_rows_as_neighbours() -> None:
    with pytest.raises(ValueError, match="2 scores for an image of 1 rows"):
        decide_image([near()], HEADED, LEVELLED, Actions(), scores=[SCORES, SCORES])


def test_regions_and_parts_need_their_margins_of_the_score() -> None:
    policy = replace(HEADED, threshold=3.5, region_margin=2.0, part_margin=1.0)
    views, low = [near(firearm("ak", 0.6))] * 3, {"glock": 0.0}

    def reason(scores, rows, parts) -> str:
        return decide_image(
            views, policy, LEVELLED, Actions(), rows=rows, parts=parts, scores=scores
        ).reason

    for by, expected in ((1.9, "no-match"), (2.1, "match")):
        assert reason([low, low, {"ak": 3.5 + by}], [3], [False]) == expected
    for by, expected in ((0.9, "no-match"), (1.1, "match")):
        assert reason([low, low, {"ak": 3.5 + by}], [1, 1, 1], [False, False, True]) == expected
