"""A report says what is wrong: what is lost or doubled, late, grown, or proves nothing."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.chaos.crew import Life, Sample
from tests.chaos.driver import lived
from tests.chaos.ledger import counted
from tests.chaos.report import DRIFT, KillReport, LifeReport, Report, as_json, as_markdown

KILL = KillReport("m1", aimed=True, inside=True, partitions=2, recovery=7.0, disturbed=False)
WANTED = {("posts", 0, 0), ("posts", 0, 1)}
GOOD = Report(
    seed=5,
    network="cheap",
    members=3,
    partitions=6,
    posts=2,
    seconds=60.0,
    faults={"kill": 2},
    skipped=[],
    kills=[KILL, replace(KILL, inside=False)],
    rebalances=4,
    read_again=3,
    uncommitted=2,
    session=6.0,
    transaction=5.0,
    cleanup=5.0,
    counts={"decisions": counted(WANTED, WANTED)},
    incomplete=[],
    stuck=[],
    standstill=7.0,
    broker_down=[5.0],
    drains=[1.0],
    member_faults=[],
    lives=[LifeReport("m0", 600.0, 300.0, 0.01, 0)],
    aborted=2,
)


def test_a_good_run_has_no_failures_and_says_what_it_was() -> None:
    assert GOOD.failures() == []
    text = as_markdown(GOOD)
    assert text.startswith("# Chaos, seed 5: passed")
    assert "1 of 2 (50%)" in text
    assert "cleanup.interval.ms" in text
    assert json.loads(as_json(GOOD))["inside"] == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"counts": {"decisions": counted(WANTED, [])}}, "2 lost"),
        ({"counts": {"decisions": counted(WANTED, [*WANTED, *WANTED])}}, "2 doubled"),
        ({"kills": [KILL, *[replace(KILL, inside=False)] * 2]}, "inconclusive: only 1 of 3"),
        ({"kills": [replace(KILL, recovery=16.1)]}, "more than 16 s"),
        ({"kills": [replace(KILL, recovery=None)]}, "never went on"),
        ({"incomplete": [3]}, "partitions [3]"),
        ({"stuck": ["after join: partition 3 stood still"]}, "partition 3 stood still"),
        ({"rebalances": 0}, "never rebalanced"),
        ({"member_faults": ["m2 ended by itself, code 1"]}, "m2 ended by itself"),
        ({"lives": [LifeReport("m0", 600.0, 300.0, 0.06, 0)]}, "grew by 6.0%"),
    ],
)
def test_what_is_wrong_is_said(change, said) -> None:
    wrong = replace(GOOD, **change)
    (line,) = wrong.failures()
    assert said in line
    assert "FAILED" in as_markdown(wrong)
    assert line in as_markdown(wrong)


def test_memory_that_fills_up_and_stays_is_no_leak_and_one_that_goes_on_growing_is() -> None:
    def drift(memory: Callable[[float], float]) -> float:
        life = Life(None, "m0", 0.0)
        life.samples = [Sample(t, round(memory(t)), 40) for t in range(700)]
        return lived(life).memory_drift

    filled = drift(lambda t: 660e6 + 45e6 * min(1, t / 300))
    leaking = drift(lambda t: 660e6 + 90e3 * t)
    assert filled < DRIFT < leaking
