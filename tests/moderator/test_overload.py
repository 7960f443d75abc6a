"""The level of overload: what it may do at all, whatever the ages, and what it must do in time."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderator.overload import SILENCE, Level, Objective, Shedding, age_of
from moderator.records import Post, Record
from moderator.shedding import Load

OBJECTIVE = Objective(age=10.0, step=4.0, recovered=0.5, recovery=20.0)
LOW = OBJECTIVE.age * OBJECTIVE.recovered

AGES = st.one_of(
    st.floats(0, 40), st.sampled_from([0.0, LOW, OBJECTIVE.age]), st.floats(OBJECTIVE.age, 1e7)
)
STEPS = st.lists(st.tuples(st.floats(0, 15), AGES), max_size=120)


def run(steps: list[tuple[float, float]], objective: Objective = OBJECTIVE):
    """Yield time, age, and the level before and after each observation."""
    shedding, now = Shedding(objective), 100.0
    for pause, age in steps:
        now += pause
        before = shedding.level(now)
        yield now, age, before, shedding.observe(age, now)
        assert shedding.level(now) in Level


@given(STEPS)
def test_it_moves_one_level_at_a_time_and_only_for_its_reason(steps) -> None:
    for _, age, before, after in run(steps):
        assert abs(after - before) <= 1
        if after > before:
            assert age > OBJECTIVE.age
        if after < before:
            assert age < LOW


@given(STEPS)
def test_two_rises_are_a_step_apart(steps) -> None:
    rises = [now for now, _, before, after in run(steps) if after > before]
    assert all(later - earlier >= OBJECTIVE.step for earlier, later in pairwise(rises))


@given(STEPS)
def test_it_falls_only_after_a_whole_recovery_below_the_share(steps) -> None:
    seen: list[tuple[float, float]] = []
    fell = 0.0
    for now, age, before, after in run(steps):
        if after < before:
            since = now - OBJECTIVE.recovery
            assert all(earlier < LOW for at, earlier in seen if at > since)
            assert seen
            assert now - fell >= OBJECTIVE.recovery
            fell = now
        seen.append((now, age))


@given(STEPS, st.floats(OBJECTIVE.age + 0.01, 1e6), st.floats(0.05, 4))
def test_lasting_lateness_leaves_out_all_there_is_and_lasting_freshness_nothing(
    steps, late, pause
) -> None:
    count = int(2 * (OBJECTIVE.step + pause) / pause) + 3
    *_, (_, _, _, high) = run([*steps, *[(pause, late)] * count])
    assert high is Level.ONE_FRAME
    calm = int(2 * (OBJECTIVE.recovery + pause) / pause) + 3
    *_, (_, _, _, low) = run([*steps, *[(pause, late)] * count, *[(pause, 0.0)] * calm])
    assert low is Level.WHOLE


@given(STEPS)
def test_without_an_objective_nothing_is_ever_left_out(steps) -> None:
    never = Objective(age=0.0, step=4.0, recovered=0.5, recovery=20.0)
    assert all(after is Level.WHOLE for _, _, _, after in run(steps, never))


def test_at_the_edge_it_does_not_swing() -> None:
    ages = [(0.5, OBJECTIVE.age + (0.1 if n % 2 else -0.1)) for n in range(400)]
    levels = [after for _, _, _, after in run(ages)]
    assert levels == sorted(levels)


def test_where_no_posts_come_any_more_a_level_is_taken_back_for_each_recovery() -> None:
    shedding, quiet = Shedding(OBJECTIVE), max(SILENCE, OBJECTIVE.recovery)
    assert shedding.observe(60, 0) is Level.NO_REGIONS
    assert shedding.observe(60, OBJECTIVE.step) is Level.ONE_FRAME
    last = OBJECTIVE.step
    assert shedding.level(last + quiet) is Level.ONE_FRAME
    assert shedding.level(last + quiet + 1) is Level.NO_REGIONS
    assert shedding.level(last + 2 * quiet + 1) is Level.WHOLE
    # Looked at seldom, as by a scrape, it is the same.
    assert shedding.observe(60, 1000) is Level.NO_REGIONS
    assert shedding.observe(60, 1000 + OBJECTIVE.step) is Level.ONE_FRAME
    assert shedding.level(1000 + OBJECTIVE.step + 2 * quiet + 1) is Level.WHOLE


def test_a_backlog_is_known_when_its_first_batch_is_begun() -> None:
    shedding = Shedding(OBJECTIVE)
    assert shedding.begun(60, 0) is Level.NO_REGIONS
    assert shedding.begun(60, OBJECTIVE.step) is Level.ONE_FRAME


def test_young_posts_that_are_begun_say_nothing() -> None:
    shedding = Shedding(OBJECTIVE)
    shedding.observe(60, 0)
    for now in range(1, 1 + 10 * int(OBJECTIVE.recovery)):
        shedding.observe(LOW + 1, now)
        assert shedding.begun(0, now) is Level.NO_REGIONS


def test_changes_of_the_level_are_logged_and_nothing_else(caplog) -> None:
    caplog.set_level("INFO")
    clock = [0.0]
    load = Load(OBJECTIVE, lambda: clock[0])
    post = Post(Record("posts", 0, 0, 1_000, b"p", b"x"), "p")
    for _ in range(3):
        load.begun([post], 61_000)
    assert [record.getMessage() for record in caplog.records] == [
        "posts are late: shed level 1, regions are left out"
    ]
    clock[0] = 1_000.0
    assert load.level is Level.WHOLE
    assert caplog.records[-1].getMessage().startswith("posts are in time again: shed level 0")
    assert len(caplog.records) == 2


@pytest.mark.parametrize(
    ("level", "regions", "frames"), [(0, True, True), (1, False, True), (2, False, False)]
)
def test_regions_go_before_frames(level, regions, frames) -> None:
    assert (Level(level).regions, Level(level).frames) == (regions, frames)


@pytest.mark.parametrize(
    ("timestamps", "age"),
    [
        ([], None),
        ([-1], None),
        ([9_000], 1.0),
        ([20_000], 0.0),
        ([9_000, 8_000], 1.0),
        ([-1, 0, 9_000, 9_500], 1.0),
        ([0, 9_000, 9_100, 9_200, 0], 1.0),
    ],
)
def test_the_age_of_a_batch_is_that_of_most_of_its_posts(timestamps, age) -> None:
    assert age_of(timestamps, 10_000) == age
