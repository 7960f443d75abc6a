"""The plan of a chaos run is given by its seed, and holds what was asked for."""

from collections import Counter

import pytest

from tests.chaos.plan import KINDS, OTHERS, Amounts, others, plan


def test_a_seed_gives_one_plan_and_another_seed_another() -> None:
    amounts = Amounts(10, 4, 6, others(7))
    assert plan(amounts, 1, 6.0) == plan(amounts, 1, 6.0)
    assert plan(amounts, 1, 6.0) != plan(amounts, 2, 6.0)


@pytest.mark.parametrize("seed", range(5))
def test_a_plan_holds_what_was_asked_for(seed) -> None:
    faults = plan(Amounts(20, 5, 7, others(14)), seed, 6.0)
    kinds = Counter(each.kind for each in faults)
    assert kinds.keys() <= KINDS.keys()
    assert kinds["kill"] == 20
    assert (kinds["broker-kill"], kinds["broker-stop"]) == (3, 2)
    assert (kinds["join"], kinds["leave"]) == (4, 3)
    assert all(kinds[kind] == 2 for kind in OTHERS)
    assert sum(each.aimed for each in faults) == 17
    assert all(each.seconds > 6 for each in faults if each.kind == "freeze")


def test_nobody_leaves_who_has_not_joined() -> None:
    there = 0
    for each in plan(Amounts(3, 2, 9), 3, 6.0):
        there += {"join": 1, "leave": -1}.get(each.kind, 0)
        assert there in (0, 1)


def test_kinds_can_be_left_out() -> None:
    assert "disk-full" not in others(30, frozenset({"disk-full"}))
    assert others(0) == ()
