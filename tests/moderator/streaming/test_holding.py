"""Holding partitions until their next record is due."""

import time

import pytest
from kafka import TopicPartition

from moderator.records import Partition, Record
from moderator.streaming.holding import Holding

RETRIES, OTHERS = Partition("retry", 0), Partition("retry", 1)


class Consumer:
    def __init__(self) -> None:
        self.sought: list[tuple[TopicPartition, int]] = []

    def seek(self, partition, offset) -> None:
        if partition.partition == 9:
            raise ValueError("Unassigned partition")
        self.sought.append((partition, offset))


class Rig:
    def __init__(self) -> None:
        self.now = 100.0
        self.consumer = Consumer()
        self.holding = Holding(self.consumer, lambda record: max(0, record.timestamp - self.now))

    def due(self, partition: Partition, *times: float) -> list[int]:
        records = [Record(*partition, n, at, None, b"") for n, at in enumerate(times, 5)]
        return [record.offset for record in self.holding.due(records)]


@pytest.fixture
def rig(monkeypatch) -> Rig:
    rig = Rig()
    monkeypatch.setattr(time, "monotonic", lambda: rig.now)
    return rig


def test_what_comes_before_the_first_that_is_not_due_goes_through(rig) -> None:
    assert rig.due(RETRIES, 90, 100, 110, 95) == [5, 6]
    assert rig.consumer.sought == [(TopicPartition("retry", 0), 7)]
    assert rig.holding.held(set()) == {RETRIES}
    rig.now = 110.5
    assert rig.holding.held(set()) == set()


def test_partitions_do_not_hold_up_one_another(rig) -> None:
    assert rig.due(RETRIES, 150) == []
    assert rig.due(OTHERS, 100, 100) == [5, 6]
    assert rig.holding.held(set()) == {RETRIES}


def test_what_was_waited_for_once_is_due_whatever_its_time_says(rig) -> None:
    rig.holding._wait = lambda record: 10.0
    assert rig.due(RETRIES, 0) == []
    rig.now += 10.1
    assert rig.due(RETRIES, 0) == [5]


def test_what_is_read_from_another_place_is_not_held(rig) -> None:
    assert rig.due(RETRIES, 150) == []
    assert rig.holding.held({RETRIES}) == set()


def test_a_partition_that_is_gone_is_not_held(rig) -> None:
    assert rig.due(Partition("retry", 9), 100, 150) == [5]
    assert rig.holding.held(set()) == set()
