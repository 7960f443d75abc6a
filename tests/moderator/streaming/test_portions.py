"""One poll hands out so many bytes, and the next one goes on where it ended."""

from collections import deque
from types import SimpleNamespace

import pytest
from kafka import OffsetAndMetadata, TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.record import MemoryRecords, MemoryRecordsBuilder

from moderator.streaming.resuming import mend_resuming
from moderator.streaming.unreadable import tolerate_unreadable

KIB = 1024


def answer(count: int, size: int) -> bytes:
    built = MemoryRecordsBuilder(magic=2, compression_type=1, batch_size=2**30)
    for n in range(count):
        built.append(timestamp=1, key=b"%d" % n, value=bytes(size))
    built.close()
    return bytes(built.buffer())


def made(most: int, **answers: bytes) -> Fetcher:
    """Return kafka-python's fetcher with answers of brokers at hand, by topic."""
    fetcher = Fetcher.__new__(Fetcher)
    keys = [TopicPartition(topic, 0) for topic in answers]
    assignment = {
        key: SimpleNamespace(position=OffsetAndMetadata(0, "", -1), highwater=None) for key in keys
    }
    fetcher.config = {"max_poll_records": 500}
    fetcher._next_in_line_exception_metadata = fetcher._next_partition_records = None
    fetcher._paused_completed_fetches, fetcher._paused_partition_records = {}, {}
    fetcher._sensors = None
    fetcher._subscriptions = SimpleNamespace(
        assignment=assignment,
        is_paused=lambda _: False,
        is_assigned=lambda _: True,
        is_fetchable=lambda _: True,
        position=lambda key: assignment[key].position,
    )
    fetcher._completed_fetches = deque(
        SimpleNamespace(topic_partition=key, fetched_offset=0, data=data)
        for key, data in zip(keys, answers.values(), strict=True)
    )
    fetcher._parse_fetched_data = lambda found: fetcher.PartitionRecords(
        0, found.topic_partition, MemoryRecords(found.data)
    )
    tolerate_unreadable(SimpleNamespace(_fetcher=fetcher), max_polled=most)
    mend_resuming(SimpleNamespace(_fetcher=fetcher))
    return fetcher


def polls(fetcher: Fetcher, max_records: int = 32) -> list[list[tuple[str, int]]]:
    """Poll until nothing comes; return (topic, offset) of each poll."""
    found = []
    while True:
        records, _ = fetcher.fetched_records(max_records)
        rows = [(key.topic, row.offset) for key, rows in records.items() for row in rows]
        if not rows:
            return found
        found.append(rows)


def test_a_poll_ends_once_it_has_so_many_bytes_and_nothing_is_lost_or_doubled() -> None:
    found = polls(made(100 * KIB, a=answer(10, 40 * KIB), b=answer(3, 10)))
    assert [len(rows) for rows in found] == [3, 3, 3, 4]
    assert [row for rows in found for row in rows] == [
        *(("a", n) for n in range(10)),
        *(("b", n) for n in range(3)),
    ]


@pytest.mark.parametrize("most", [1, 10 * KIB])
def test_one_record_is_always_handed_out(most) -> None:
    found = polls(made(most, a=answer(3, 40 * KIB)))
    assert found == [[("a", 0)], [("a", 1)], [("a", 2)]]


def test_small_records_are_counted_as_ever() -> None:
    found = polls(made(2**20, a=answer(40, 10), b=answer(5, 10)), max_records=32)
    assert [len(rows) for rows in found] == [32, 13]
