"""How near a finding is to another: less of a change than that leaves it as it is."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.index import Neighbours
from models.policy import HeadRule, Kernel, Policy
from moderator.rules import SCORE_UNIT, find

POLICY = Policy(0.7, thresholds={"m4": 0.6}, near_miss=0.1, lookalike_margin=0.05,
                least_similarity=0.3)  # fmt: skip

rows = st.tuples(
    st.sampled_from(["glock", "m4", "ak"]),
    st.sampled_from(["firearm", "lookalike"]),
    st.floats(0.2, 0.9),
    st.floats(-0.45, 0.45),
    st.booleans(),
)
NEAR = replace(POLICY, near_radius=0.3)


def near(found: list[tuple[str, str, float]], added: list[bool] | None = None) -> Neighbours:
    types, kinds, similarities = zip(*found, strict=True) if found else ((), (), ())
    ids = tuple(map(str, range(len(found))))
    new = frozenset(name for name, its in zip(ids, added or (), strict=False) if its)
    return Neighbours(ids, types, kinds, np.array(similarities, np.float32), new)


@given(st.lists(rows, max_size=6))
def test_less_of_a_change_leaves_a_finding_as_it_is(found) -> None:
    added = [row[4] for row in found]
    before = find(near([row[:3] for row in found], added), NEAR, 0.0)
    # Float32 rounds what is moved, hence a little less.
    most = max(0.0, min(before.closest, 1.0) - 1e-6)
    moved = [(name, kind, at + by * most) for name, kind, at, by, _ in found]
    after = find(near(moved, added), NEAR, 0.0)
    assert after.reason == before.reason
    assert sorted(after.reached, key=after.reached.get) == sorted(
        before.reached, key=before.reached.get
    )


@pytest.mark.parametrize(
    ("rows", "closest"),
    [
        ([("glock", "firearm", 0.705)], 0.005),
        ([("glock", "firearm", 0.602)], 0.002),
        ([("glock", "firearm", 0.301)], 0.001),
        ([("glock", "firearm", 0.8), ("toy", "lookalike", 0.849)], 0.001),
        ([("glock", "firearm", 0.8), ("ak", "firearm", 0.801)], 0.001),
        ([], float("inf")),
    ],
)
def test_how_near_it_is(rows, closest) -> None:
    assert find(near(rows), POLICY, 0.0).closest == pytest.approx(closest, abs=1e-6)


BY_HEAD = replace(NEAR, head=HeadRule(1.0, Kernel(20.0, 10.0)))
moves = st.tuples(st.sampled_from(["glock", "m4", "ak"]), st.floats(-3, 3), st.floats(-0.45, 0.45))


@given(
    st.lists(rows, max_size=6), st.lists(moves, min_size=1, max_size=3, unique_by=lambda m: m[0])
)
def test_less_of_a_change_leaves_a_finding_by_a_head_as_it_is(found, said) -> None:
    """A similarity changes by so much, and a score by that times its unit."""
    added = [row[4] for row in found]
    before = find(
        near([row[:3] for row in found], added), BY_HEAD, 0.0, {name: at for name, at, _ in said}
    )
    most = max(0.0, min(before.closest, 1.0) - 1e-6)
    moved = [(name, kind, at + by * most) for name, kind, at, by, _ in found]
    scores = {name: at + by * most * SCORE_UNIT for name, at, by in said}
    after = find(near(moved, added), BY_HEAD, 0.0, scores)
    assert after.reason == before.reason
    assert sorted(after.reached, key=after.reached.get) == sorted(
        before.reached, key=before.reached.get
    )


def test_how_near_an_added_lookalike_is_to_counting_beside_a_head() -> None:
    rows = [("glock", "firearm", 0.8), ("toy", "lookalike", 0.797), ("ak", "lookalike", 0.799)]
    for radius in (0.0, 0.05):
        policy = replace(BY_HEAD, near_radius=radius)
        found = find(near(rows, [False, True, False]), policy, 0.0, {"glock": 3.0})
        assert found.closest == pytest.approx(0.002, abs=1e-6)
