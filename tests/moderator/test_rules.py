"""The rules against the design's words, put the slow way."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from models.index import Neighbours, PrototypeIndex
from models.policy import HeadRule, Kernel, Policy
from models.prototypes import Prototypes
from moderator.rules import SCORE_UNIT, find, neighbours_for

SOFT = Policy(
    threshold=0.05, near_miss=0.1, lookalike_margin=0.02, neighbours=8, temperature=0.05,
    least_similarity=0.4,
)  # fmt: skip


def near(*rows: tuple[str, str, float]) -> Neighbours:
    """Return neighbours from (type, kind, similarity), best first; of the release."""
    return beside([], *rows)


def beside(added: list[tuple[str, str, float]], *rows: tuple[str, str, float]) -> Neighbours:
    """Return neighbours of the release, and others that the overlay added."""
    marked = [(*row, True) for row in added] + [(*row, False) for row in rows]
    rows = sorted(marked, key=lambda row: -row[2])
    return Neighbours(
        ids=tuple(str(place) for place in range(len(rows))),
        types=tuple(name for name, _, _, _ in rows),
        kinds=tuple(kind for _, kind, _, _ in rows),
        similarities=np.array([row[2] for row in rows], np.float32),
        added=frozenset(str(place) for place, row in enumerate(rows) if row[3]),
    )


def soft(values, t: float) -> float:
    """Return t log of the sum of exp(s / t), with the largest taken out so that it is finite."""
    most = max(values)
    return most + t * math.log(sum(math.exp((value - most) / t) for value in values))


def obvious(rows, policy: Policy, margin: float) -> tuple[str, dict[str, float]]:
    """Return the reason of the soft rule, and by how much each type is above its threshold."""
    guns = [(name, s) for name, kind, s in rows if kind == "firearm"]
    others = [s for _, kind, s in rows if kind == "lookalike"]
    if not guns or max(s for _, s in guns) < policy.least_similarity:
        return "no-match", {}
    t, least = policy.temperature, -1.0
    whole = soft([s for _, s in guns] + [least], t) - soft([*others, least], t)
    own = {name: soft([s for its, s in guns if its == name], t) for name, _ in guns}
    above = {
        name: whole - (max(own.values()) - its) - policy.threshold_of(name) - margin
        for name, its in own.items()
    }
    reached = {name: by for name, by in above.items() if by >= -policy.near_miss}
    if reached:
        return ("match" if max(reached.values()) >= 0 else "near-miss"), reached
    nearer = max(others, default=-math.inf) > max(s for _, s in guns) + policy.lookalike_margin
    return ("lookalike" if nearer else "no-match"), {}


any_rows = st.lists(
    st.tuples(
        st.sampled_from(["glock", "colt", "ak"]),
        st.sampled_from(["firearm", "firearm", "lookalike", "override"]),
        st.floats(-1, 1, width=32),
    ),
    max_size=8,
)
policies = st.builds(
    Policy,
    threshold=st.floats(-2, 2),
    thresholds=st.dictionaries(st.sampled_from(["glock", "ak"]), st.floats(-1, 1)),
    near_miss=st.floats(0, 2),
    lookalike_margin=st.floats(-2, 2),
    temperature=st.floats(0.01, 1),
    least_similarity=st.floats(-1, 1),
)


@given(any_rows, policies, st.floats(0, 1))
def test_the_soft_rule_is_that_of_the_slow_way(rows, policy, margin) -> None:
    found = find(near(*rows), policy, margin)
    reason, reached = obvious(rows, policy, margin)
    # What lies at an edge but for rounding may fall to either side of it.
    for by in (*reached.values(), *found.reached.values()):
        assume(min(abs(by), abs(by + policy.near_miss)) > 1e-6)
    assert found.reason == reason
    assert found.reached == pytest.approx(reached, abs=1e-6)


def firearm(name: str, similarity: float) -> tuple[str, str, float]:
    return name, "firearm", similarity


def toy(similarity: float) -> tuple[str, str, float]:
    return "toy", "lookalike", similarity


@pytest.mark.parametrize(
    ("rows", "reason", "types"),
    [
        ([], "no-match", []),
        ([toy(0.9)], "no-match", []),
        # Alone, a firearm is as far above the look-alikes as the opposite direction is below it.
        ([firearm("glock", 0.8), firearm("colt", 0.6)], "match", ["glock", "colt"]),
        ([firearm("glock", 0.8), toy(0.6)], "match", ["glock"]),
        ([firearm("glock", 0.8), toy(0.79), toy(0.5)], "near-miss", ["glock"]),
        # A look-alike that is nearer says why nothing is reached.
        ([firearm("glock", 0.6), toy(0.9), toy(0.5)], "lookalike", []),
        ([firearm("glock", 0.6), toy(0.75), toy(0.75), firearm("ak", 0.5)], "lookalike", []),
        # Many look-alikes outweigh one firearm that is as near.
        ([firearm("glock", 0.8), *[toy(0.8)] * 40, toy(0.1)], "no-match", []),
        # What is of nothing known is neither, whatever its support.
        ([firearm("glock", 0.39), toy(-0.9)], "no-match", []),
        ([firearm("glock", 0.39), toy(0.9), toy(0.0)], "no-match", []),
        ([firearm("glock", 0.41), toy(-0.9)], "match", ["glock"]),
    ],
)
def test_the_soft_rule(rows, reason, types) -> None:
    found = find(near(*rows), SOFT, 0.0)
    assert (found.reason, list(found.reached)) == (reason, types)


def test_a_margin_is_asked_above_every_threshold() -> None:
    for policy in (SOFT, Policy(0.5, {"glock": 0.6}, near_miss=0.1)):
        rows = near(firearm("glock", 0.8), toy(0.6))
        free, held = find(rows, policy, 0.0), find(rows, policy, 0.05)
        assert held.reached["glock"] == pytest.approx(free.reached["glock"] - 0.05, abs=1e-9)
        assert find(rows, policy, 1.0).reason == "no-match"


def test_the_least_similarity_holds_for_the_hard_rule_too() -> None:
    policy = Policy(0.2, near_miss=0.1, least_similarity=0.5)
    assert find(near(firearm("glock", 0.49)), policy, 0.0).reason == "no-match"
    assert find(near(firearm("glock", 0.51)), policy, 0.0).reason == "match"


HARD = Policy(0.6, {"colt": 0.99}, near_miss=0.1, lookalike_margin=0.1)
GUNS = [firearm("glock", 0.85)] * 30


@pytest.mark.parametrize("policy", [SOFT, HARD])
@pytest.mark.parametrize(
    ("added", "others", "reason", "types"),
    [
        # One look-alike at the picture turns it, however many firearms surround it.
        ([toy(1.0)], GUNS, "lookalike", None),
        ([toy(0.96)], GUNS, "lookalike", None),
        ([toy(0.9996)], [firearm("glock", 1.0)], "lookalike", None),
        # It says nothing of what is farther away, or nearer to what the release knows.
        ([toy(0.94)], [firearm("glock", 0.93)] * 30, "match", ["glock"]),
        ([toy(0.96)], [firearm("glock", 0.98)] * 30, "match", ["glock"]),
        # A firearm among look-alikes, of a type that the release knows, or not.
        ([firearm("glock", 0.97)], [toy(0.9)] * 30, "match", ["glock"]),
        ([firearm("new", 0.97)], [toy(0.9)] * 30, "match", ["new"]),
        ([firearm("new", 0.97)], [], "match", ["new"]),
        ([firearm("colt", 0.97)], [toy(0.9)] * 30, "match", ["colt"]),
        ([firearm("new", 0.97)], GUNS, "match", ["new", "glock"]),
        # Of two the nearer; where they are equally near, the firearm.
        ([firearm("new", 0.97), toy(0.98)], GUNS, "lookalike", None),
        ([firearm("new", 0.98), toy(0.97)], GUNS, "match", ["new", "glock"]),
        ([firearm("new", 0.98), toy(0.98)], GUNS, "match", ["new", "glock"]),
    ],
)
def test_an_added_prototype_decides_near_itself(policy, added, others, reason, types) -> None:
    found = find(beside(added, *others), policy, 0.0)
    assert found.reason == reason
    if types is not None:
        ordered = sorted(found.reached, key=lambda name: -found.reached[name])
        assert ordered[: len(types)] == types
        assert found.reached[types[0]] >= 0


@given(any_rows, policies, st.floats(0, 1))
def test_prototypes_of_the_release_alone_never_decide_by_the_near_rule(rows, policy, margin):
    assert find(near(*rows), policy, margin) == find(
        near(*rows), dataclasses.replace(policy, near_radius=0.0), margin
    )


@given(any_rows, any_rows, policies, st.floats(0, 1))
def test_what_is_added_farther_than_the_radius_has_no_weight_of_its_own(rows, added, policy, by):
    far = [(name, kind, min(s, 0.9)) for name, kind, s in added]
    policy = dataclasses.replace(policy, near_radius=0.05)
    assert find(beside(far, *rows), policy, by) == find(near(*far, *rows), policy, by)


# --- by a head

HEADED = Policy(
    2.0, {"ak": 4.0}, near_miss=1.0, lookalike_margin=0.02, neighbours=8, least_similarity=0.4,
    near_radius=0.05, head=HeadRule(1.0, Kernel(40.0, 20.0)),
)  # fmt: skip


@pytest.mark.parametrize(
    ("scores", "rows", "reason", "types"),
    [
        ({"glock": 2.1, "ak": 1.0}, [firearm("colt", 0.5)], "match", ["glock"]),
        ({"glock": 2.1, "ak": 3.1}, [firearm("colt", 0.5)], "match", ["glock", "ak"]),
        ({"glock": 1.1, "ak": 1.0}, [firearm("colt", 0.5)], "near-miss", ["glock"]),
        ({"glock": 0.9}, [firearm("colt", 0.5)], "no-match", []),
        # The index is evidence, and says why nothing is reached; a flag it does not take back.
        ({"glock": 0.9}, [firearm("colt", 0.5), toy(0.53)], "lookalike", []),
        ({"glock": 0.9}, [firearm("colt", 0.5), toy(0.51)], "no-match", []),
        ({"glock": 2.1}, [firearm("colt", 0.5), toy(0.9)], "match", ["glock"]),
        # What is of nothing known is neither, whatever the head says.
        ({"glock": 99.0}, [firearm("colt", 0.39)], "no-match", []),
        ({"glock": 99.0}, [firearm("colt", 0.39), toy(0.9)], "no-match", []),
    ],
)
def test_the_rule_of_a_head(scores, rows, reason, types) -> None:
    found = find(near(*rows), HEADED, 0.0, scores)
    assert (found.reason, list(found.reached)) == (reason, types)
    assert find(near(*rows), HEADED, 200.0, scores).reached == {}


def test_a_head_needs_no_prototypes_unless_a_least_similarity_is_asked() -> None:
    free = dataclasses.replace(HEADED, least_similarity=-1.0)
    for rows in (near(), near(toy(0.9))):
        found = find(rows, free, 0.0, {"glock": 2.1})
        assert (found.reason, found.closest) == ("match", pytest.approx(0.1 / SCORE_UNIT))
        assert find(rows, HEADED, 0.0, {"glock": 2.1}).reason == "no-match"


@pytest.mark.parametrize(
    ("added", "reason", "first"),
    [(toy(0.96), "lookalike", None), (firearm("new", 0.96), "match", "new"),
     (toy(0.94), "match", "glock"), (firearm("ak", 0.96), "match", "ak")],
)  # fmt: skip
def test_what_is_added_decides_near_itself_whatever_the_head_says(added, reason, first) -> None:
    found = find(beside([added], *GUNS), HEADED, 0.0, {"glock": 900.0, "ak": -900.0})
    assert found.reason == reason
    assert first is None or max(found.reached, key=found.reached.get) == first


def test_scores_are_needed_where_a_policy_judges_by_a_head_and_only_there() -> None:
    for policy, scores in ((HEADED, None), (SOFT, {"glock": 1.0}), (HARD, {})):
        with pytest.raises(ValueError, match="scores are needed"):
            find(near(firearm("glock", 0.9)), policy, 0.0, scores)


@given(any_rows, policies, st.dictionaries(st.sampled_from(["glock", "ak"]), st.floats(-9, 9),
                                           min_size=1), st.floats(0, 1))  # fmt: skip
def test_with_a_head_only_scores_reach_and_only_look_alikes_explain(rows, policy, scores, margin):
    policy = dataclasses.replace(policy, temperature=None, head=HEADED.head)
    found = find(near(*rows), policy, margin, scores)
    nearest = max((s for _, kind, s in rows if kind == "firearm"), default=-1.0)
    others = max((s for _, kind, s in rows if kind == "lookalike"), default=-math.inf)
    assume(abs(others - nearest - policy.lookalike_margin) > 1e-6)
    if nearest < policy.least_similarity:
        assert (found.reason, found.reached) == ("no-match", {})
        return
    excess = {name: by - policy.threshold_of(name) - margin for name, by in scores.items()}
    assert found.reached == {name: by for name, by in excess.items() if by >= -policy.near_miss}
    if found.reached:
        assert found.reason == ("match" if max(found.reached.values()) >= 0 else "near-miss")
    else:
        nearer = others > nearest + policy.lookalike_margin
        assert found.reason == ("lookalike" if nearer else "no-match")


def test_what_is_added_is_not_crowded_out_beside_a_head_and_only_there() -> None:
    rows = np.zeros((5, 3), np.float32)
    rows[:, 0] = 1
    rows[4] = 0.6, 0.8, 0
    own = Prototypes(rows[:4], tuple("abcd"), ("glock",) * 4, ("firearm",) * 4)
    added = Prototypes(rows[4:], ("new",), ("new",), ("firearm",))
    index = PrototypeIndex.build(own).with_changes(added, ())
    for policy, ids in ((SOFT, "abc"), (HARD, "abc"), (HEADED, "abc new")):
        (found,) = neighbours_for(dataclasses.replace(policy, neighbours=3), index, rows[:1])
        assert found.ids == (*ids[:3], *ids.split()[1:])
        assert found.added == set(ids.split()[1:])
