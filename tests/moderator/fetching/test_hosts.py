"""Which hosts are down, and when they are asked again."""

import pytest

from moderator.fetching import hosts
from moderator.fetching.hosts import Hosts


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_timeouts_in_a_row_bring_a_host_down_and_an_answer_back_up(clock) -> None:
    known = Hosts(3, 5, clock)
    assert [known.timed_out("a") for _ in range(2)] == [False, False]
    known.answered("a")
    assert [known.timed_out("a") for _ in range(3)] == [False, False, True]
    assert (known.down("a"), known.down("b")) == (True, False)
    known.answered("a")
    assert not known.down("a")


def test_a_host_that_is_down_is_asked_once_in_a_while(clock) -> None:
    known = Hosts(1, 5, clock)
    assert not known.to_ask("a")
    known.timed_out("a")
    assert not known.to_ask("a")
    clock.now = 5
    assert [known.to_ask("a") for _ in range(3)] == [True, False, False]
    known.timed_out("a")
    clock.now = 10
    assert known.to_ask("a")


def test_none_is_down_where_that_is_wished(clock) -> None:
    known = Hosts(0, 5, clock)
    assert not any(known.timed_out("a") for _ in range(50))


def test_so_many_are_remembered_and_counted(clock, monkeypatch) -> None:
    monkeypatch.setattr(hosts, "MOST", 3)
    known = Hosts(1, 5, clock)
    for name in "abcde":
        known.timed_out(name)
    assert [name for name in "abcde" if known.down(name)] == ["c", "d", "e"]
    assert hosts.DOWN._value.get() == 3
