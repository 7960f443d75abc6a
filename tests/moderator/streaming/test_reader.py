"""Reading: back pressure, rebalances and rewinding lose nothing and take nothing twice.

The consumer here is a small model of a log with committed offsets, driven turn by turn; the real
broker is met in test_worker.
"""

import asyncio
import threading
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from kafka import OffsetAndMetadata, TopicPartition
from kafka.errors import (
    FencedInstanceIdError,
    KafkaConnectionError,
    KafkaTimeoutError,
    LogTruncationError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    RebalanceInProgressError,
    TopicAuthorizationFailedError,
)
from kafka.structs import MemberState

from moderator.errors import BadSettings, Unavailable
from moderator.records import Partition, Record
from moderator.streaming import positions
from moderator.streaming import reader as module
from moderator.streaming.epochs import Epochs
from moderator.streaming.inbox import Inbox
from moderator.streaming.reader import Reader, Reading

POSTS = Partition("posts", 0)
OTHER = Partition("posts", 1)


@dataclass
class Row:
    """A record as the client hands it out."""

    topic: str
    partition: int
    offset: int
    timestamp: int = 5
    key: bytes | None = b"k"
    value: bytes | None = b"v"
    headers: Iterable[tuple[str, bytes | None]] = ()


class Consumer:
    """A log per partition, read from a position, with committed offsets."""

    def __init__(self) -> None:
        self.first: dict[Partition, int] = defaultdict(int)
        self.last: dict[Partition, int] = defaultdict(int)
        self.where: dict[Partition, int] = {}
        self.stands: dict[Partition, int] = {}
        self.told: dict[Partition, str] = {}
        self.stopped: set[Any] = set()
        self.listener: Any = None
        self.faults: list[Exception] = []
        self.closed = False
        self.state = MemberState.STABLE
        self.member = "m-1"
        self.unstable: set[Partition] = set()
        self.commit_faults: list[Exception] = []
        self.polls = 0

    def subscribe(self, topics, *, listener) -> None:
        self.listener = listener

    def poll(self, timeout_ms, max_records):
        self.polls += 1
        if self.faults:
            raise self.faults.pop(0)
        found = {}
        for key, at in list(self.where.items()):
            if TopicPartition(*key) in self.stopped:
                continue
            if at < self.first[key]:
                raise OffsetOutOfRangeError({TopicPartition(*key): at})
            rows = [Row(*key, n) for n in range(at, min(self.last[key], at + max_records))]
            if rows:
                found[TopicPartition(*key)] = rows
                self.where[key] = rows[-1].offset + 1
        return found

    def partitions_for_topic(self, topic):
        return {0, 1}

    def assignment(self):
        return {TopicPartition(*key) for key in self.where}

    def pause(self, *partitions) -> None:
        for each in partitions:
            if Partition(*each) not in self.where:
                raise KeyError(each)
        self.stopped |= set(partitions)

    def resume(self, *partitions) -> None:
        self.stopped -= set(partitions)

    def paused(self):
        return set(self.stopped)

    def seek(self, partition, offset) -> None:
        if Partition(*partition) not in self.where:
            raise ValueError("unassigned")
        self.where[Partition(*partition)] = offset

    def position(self, partition, timeout_ms):
        return self.where[Partition(*partition)]

    def highwater(self, partition):
        return self.last[Partition(*partition)]

    def committed(self, partition, metadata, timeout_ms):
        key = Partition(*partition)
        if key in self.unstable:
            raise KafkaTimeoutError("unstable offset")
        if key not in self.stands:
            return None
        return OffsetAndMetadata(self.stands[key], self.told.get(key, ""), -1)

    def beginning_offsets(self, partitions, timeout_ms):
        return {each: self.first[Partition(*each)] for each in partitions}

    def end_offsets(self, partitions, timeout_ms):
        return {each: self.last[Partition(*each)] for each in partitions}

    def commit(self, offsets, timeout_ms) -> None:
        if self.commit_faults:
            raise self.commit_faults.pop(0)
        self.stands |= {Partition(*key): found.offset for key, found in offsets.items()}
        self.told |= {Partition(*key): found.metadata for key, found in offsets.items()}

    def group_metadata(self):
        return SimpleNamespace(state=self.state, member_id=self.member)

    def close(self, autocommit, timeout_ms) -> None:
        self.closed = True


class Loop:
    """The client's event loop, with a coordinator that is there or not."""

    def __init__(self, consumer: Consumer) -> None:
        self.consumer = consumer
        self.there = True

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)

    async def commit(self, offsets) -> None:
        self.consumer.commit(offsets, 0)

    def reachable(self) -> bool:
        return self.there


class Ids:
    """The ids of topics as the metadata say; asked anew, they say what is so by then."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}
        self.true: dict[str, str] = {}

    def __call__(self, topic: str) -> str:
        return self.known.get(topic, "")

    def ask(self) -> None:
        self.known |= self.true


def at(offset: int, topic_id: str = "") -> OffsetAndMetadata:
    return OffsetAndMetadata(offset, topic_id, -1)


class Rig:
    def __init__(self, *, start_from: str = "earliest", most: int = 100) -> None:
        self.consumer = Consumer()
        self.epochs = Epochs()
        self.inbox = Inbox(most, 10**9)
        reading = Reading("posts", start_from, 10, drain_timeout=5)
        self.loop = Loop(self.consumer)
        self.ids = Ids()
        self.reader = Reader(
            self.consumer, reading, self.inbox, self.epochs, self.loop, topic_ids=self.ids
        )
        self.reader._positions.know({0, 1})
        self.consumer.subscribe(["posts"], listener=self.reader.listener)

    def assign(self, *partitions: Partition, tell: bool = True) -> None:
        for partition in partitions:
            self.consumer.where[partition] = self.consumer.stands.get(partition, 0)
        if tell:
            asyncio.run(self.consumer.listener.on_partitions_assigned(partitions))

    def revoke(self, *partitions: Partition, lost: bool = False) -> None:
        for partition in partitions:
            self.consumer.where.pop(partition)
        listener = self.consumer.listener
        asyncio.run((listener.on_partitions_lost if lost else listener.on_partitions_revoked)(
            partitions
        ))  # fmt: skip

    def turn(self, times: int = 1) -> None:
        for _ in range(times):
            self.reader._turn()

    def taken(self) -> list[Record]:
        found = []
        while (record := self.inbox.take(0)) is not None:
            found.append(record)
        return found

    def live(self) -> list[int]:
        return [record.offset for record in self.taken() if self.epochs.live(record)]


@pytest.fixture(autouse=True)
def quick(monkeypatch) -> None:
    monkeypatch.setattr(module, "POLL", 0.001)


def test_a_partition_is_read_from_where_the_group_stands() -> None:
    rig = Rig()
    rig.consumer.last[POSTS], rig.consumer.stands[POSTS] = 20, 7
    rig.assign(POSTS)
    rig.turn(3)
    assert rig.live() == list(range(7, 20))


def test_records_handed_out_before_the_assignment_is_told_are_read_again() -> None:
    rig = Rig()
    rig.consumer.last[POSTS], rig.consumer.stands[POSTS] = 20, 7
    rig.assign(POSTS, tell=False)
    rig.turn()
    assert rig.consumer.where[POSTS] == 17
    assert rig.taken() == []
    rig.assign(POSTS)
    rig.consumer.where[POSTS] = 17
    rig.turn(3)
    assert rig.live() == list(range(7, 20))


@pytest.mark.parametrize(("start_from", "first"), [("earliest", 3), ("latest", 9)])
def test_a_new_group_starts_where_it_is_told_and_says_so_at_once(start_from, first) -> None:
    rig = Rig(start_from=start_from)
    rig.consumer.first[POSTS], rig.consumer.last[POSTS] = 3, 9
    rig.assign(POSTS)
    rig.turn(2)
    rig.consumer.last[POSTS] = 12
    rig.turn()
    assert rig.live() == list(range(first, 12))
    assert rig.consumer.stands[POSTS] == first


def test_a_partition_that_the_client_finds_without_an_offset_is_begun() -> None:
    rig = Rig()
    rig.assign(POSTS)
    rig.turn()
    rig.consumer.last[POSTS] = 2
    rig.consumer.faults = [NoOffsetForPartitionError([TopicPartition(*POSTS)])]
    rig.turn(2)
    assert rig.live() == [0, 1]


def test_a_full_inbox_pauses_reading_until_it_is_half_empty() -> None:
    rig = Rig(most=20)
    rig.consumer.last[POSTS] = 100
    rig.assign(POSTS)
    rig.turn(5)
    assert rig.consumer.paused() == {TopicPartition(*POSTS)}
    read = [rig.inbox.take(0).offset for _ in range(9)]
    rig.turn()
    assert rig.consumer.paused()
    read += [rig.inbox.take(0).offset for _ in range(2)]
    rig.turn()
    assert not rig.consumer.paused()
    read += rig.live()
    assert read == list(range(len(read)))


def test_a_partition_newly_assigned_is_paused_too() -> None:
    rig = Rig(most=5)
    rig.consumer.last[POSTS] = rig.consumer.last[OTHER] = 50
    rig.assign(POSTS)
    rig.turn(3)
    rig.assign(OTHER)
    rig.turn(3)
    assert rig.consumer.paused() == {TopicPartition(*POSTS), TopicPartition(*OTHER)}


def test_rewinding_makes_what_was_read_stale_and_reads_it_again() -> None:
    rig = Rig()
    rig.consumer.last[POSTS] = 8
    rig.assign(POSTS)
    rig.turn(2)
    rig.consumer.stands[POSTS] = 3
    rig.epochs.rewind()
    rig.turn(2)
    assert rig.live() == [3, 4, 5, 6, 7]


def test_vanished_offsets_are_counted_and_reading_goes_on_at_the_oldest_left(caplog) -> None:
    rig = Rig()
    lost = positions.OFFSETS_LOST.labels("posts", "0")
    before = lost._value.get()
    rig.consumer.first[POSTS], rig.consumer.last[POSTS] = 6, 9
    rig.consumer.stands[POSTS] = 2
    rig.assign(POSTS)
    rig.turn(3)
    assert rig.live() == [6, 7, 8]
    assert lost._value.get() - before == 4
    assert "posts-0: offsets 2 to 5 are gone (4 lost)" in caplog.text


def test_a_gap_that_is_met_again_before_anything_is_committed_counts_once() -> None:
    rig = Rig()
    lost = positions.OFFSETS_LOST.labels("posts", "0")
    before = lost._value.get()
    rig.consumer.first[POSTS], rig.consumer.last[POSTS] = 6, 9
    rig.consumer.stands[POSTS] = 2
    rig.assign(POSTS)
    rig.turn(3)
    rig.epochs.rewind([POSTS])
    rig.turn(3)
    assert lost._value.get() - before == 4
    rig.consumer.first[POSTS], rig.consumer.last[POSTS] = 8, 9
    rig.epochs.rewind([POSTS])
    rig.turn(3)
    assert lost._value.get() - before == 6


def test_a_revoked_partition_is_given_up_only_when_what_was_begun_is_done() -> None:
    rig = Rig()
    rig.consumer.last[POSTS] = 4
    rig.assign(POSTS)
    rig.turn(2)
    begun = rig.taken()[:2]
    assert all(rig.epochs.begin(record) for record in begun)
    was_live = []

    def finish() -> None:
        was_live.extend(rig.epochs.live(record) for record in begun)
        rig.epochs.end(begun)

    timer = threading.Timer(0.2, finish)
    timer.start()
    rig.revoke(POSTS)
    assert was_live == [True, True]
    assert not rig.epochs.live(begun[0])


def test_a_lost_partition_is_given_up_at_once() -> None:
    rig = Rig()
    rig.consumer.last[POSTS] = 4
    rig.assign(POSTS)
    rig.turn(2)
    record = rig.taken()[0]
    assert rig.epochs.begin(record)
    rig.revoke(POSTS, lost=True)
    assert not rig.epochs.live(record)


def test_offsets_are_committed_only_for_partitions_still_owned() -> None:
    rig = Rig()
    rig.assign(POSTS, OTHER)
    rig.turn()
    rig.revoke(OTHER)
    rig.reader.commit({POSTS: at(5), OTHER: at(6)})
    rig.turn()
    assert rig.consumer.stands == {POSTS: 5, OTHER: 0}


def test_the_world_failing_is_waited_for_and_a_taken_name_is_not(caplog) -> None:
    rig = Rig()
    rig.consumer.last[POSTS] = 2
    rig.assign(POSTS)
    rig.turn()
    rig.consumer.faults = [KafkaConnectionError("away")]
    rig.turn(2)
    assert rig.live() == [0, 1]
    rig.consumer.faults = [FencedInstanceIdError()]
    with pytest.raises(Unavailable, match="group_instance_id"):
        rig.reader.run(threading.Event())
    assert rig.consumer.closed


def test_a_stopped_reader_takes_nothing_more_but_stays_until_all_is_finished() -> None:
    rig = Rig()
    rig.consumer.last[POSTS] = 4
    rig.assign(POSTS)
    finished = threading.Event()
    rig.reader.stop()
    thread = threading.Thread(target=rig.reader.run, args=(finished,))
    thread.start()
    rig.reader.commit({POSTS: at(3)})
    thread.join(0.2)
    assert thread.is_alive()
    assert rig.taken() == []
    finished.set()
    thread.join(5)
    assert rig.consumer.closed
    assert rig.consumer.stands[POSTS] == 3


def test_a_member_has_joined_once_its_group_is_stable_and_can_be_reached() -> None:
    rig = Rig()
    assert not rig.reader.joined
    rig.turn()
    assert rig.reader.joined
    rig.consumer.state = MemberState.REBALANCING
    assert not rig.reader.joined
    rig.consumer.state, rig.loop.there = MemberState.STABLE, False
    rig.reader._report_due = 0
    rig.turn()
    assert not rig.reader.joined


def test_a_partition_without_a_stable_offset_holds_up_no_other_and_no_poll() -> None:
    rig = Rig()
    rig.consumer.last[POSTS] = rig.consumer.last[OTHER] = 4
    rig.consumer.unstable = {POSTS}
    rig.assign(POSTS, OTHER)
    rig.turn(5)
    assert rig.consumer.polls == 5
    assert {record.partition for record in rig.taken()} == {1}
    rig.consumer.unstable, rig.consumer.stands[POSTS] = set(), 2
    rig.turn(3)
    assert rig.live() == [2, 3]


def test_a_start_is_committed_before_anything_is_read_and_never_after() -> None:
    rig = Rig()
    rig.consumer.last[POSTS] = 5
    rig.consumer.commit_faults = [RebalanceInProgressError()]
    rig.assign(POSTS)
    rig.turn()
    assert rig.taken() == []
    rig.turn(2)
    assert rig.live() == [0, 1, 2, 3, 4]
    rig.consumer.stands[POSTS] = 5
    rig.turn(3)
    assert rig.consumer.stands[POSTS] == 5


def test_a_partition_added_later_is_read_from_its_beginning_whatever_the_group() -> None:
    rig = Rig(start_from="latest")
    rig.reader._positions.know({0})
    rig.consumer.last[POSTS] = rig.consumer.last[OTHER] = 3
    rig.assign(POSTS, OTHER)
    rig.turn(3)
    assert [(r.partition, r.offset) for r in rig.taken()] == [(1, 0), (1, 1), (1, 2)]


def remade(rig: Rig, records: int, *, noticed: bool = True) -> None:
    """Have the posts topic deleted and made anew, and records written to its first partition."""
    rig.consumer.first.clear()
    rig.consumer.last.clear()
    rig.consumer.last[POSTS] = records
    rig.ids.true["posts"] = "new"
    if noticed:
        rig.ids.ask()


def running(start_from: str = "latest", **given: Any) -> Rig:
    """Return a member that has read and committed 40 records of a topic."""
    rig = Rig(start_from=start_from, **given)
    rig.ids.known["posts"] = rig.ids.true["posts"] = "old"
    rig.reader._positions.know({0, 1})
    rig.assign(POSTS)
    rig.turn(2)
    rig.consumer.last[POSTS] = 40
    rig.turn(6)
    assert rig.live() == list(range(40))
    rig.consumer.commit({TopicPartition(*POSTS): at(40, "old")}, 0)
    return rig


def anew() -> float:
    return positions.MADE_ANEW.labels("posts")._value.get()


@pytest.mark.parametrize("start_from", ["latest", "earliest"])
@pytest.mark.parametrize("kept", ["forgotten by the group", "still of the old topic"])
def test_a_topic_made_anew_is_read_from_its_beginning_and_that_is_said(
    start_from, kept, caplog
) -> None:
    rig, before = running(start_from), anew()
    if kept == "forgotten by the group":
        rig.consumer.stands.clear()
    # More than were in the old one: by the offsets alone nothing would be amiss.
    remade(rig, 60)
    rig.turn(10)
    assert rig.live() == list(range(60))
    assert rig.consumer.told[POSTS] == "new"
    assert anew() - before == 1
    assert "posts was deleted and made anew" in caplog.text


def test_a_topic_made_anew_that_is_reassigned_is_read_from_its_beginning() -> None:
    rig = running()
    rig.revoke(POSTS)
    rig.ids.known.clear()
    rig.consumer.stands.clear()
    remade(rig, 30)
    rig.assign(POSTS, OTHER)
    rig.turn(8)
    rig.consumer.last[OTHER] = 3
    rig.turn(2)
    read = [(record.partition, record.offset) for record in rig.taken()]
    assert sorted(read) == [(0, n) for n in range(30)] + [(1, n) for n in range(3)]


def test_an_offset_out_of_range_of_a_topic_made_anew_is_no_gap(monkeypatch) -> None:
    rig = running()
    lost = positions.OFFSETS_LOST.labels("posts", "0")
    before = lost._value.get()
    remade(rig, 5, noticed=False)
    rig.consumer.faults = [OffsetOutOfRangeError({TopicPartition(*POSTS): 40})]
    rig.turn(6)
    assert rig.live() == [0, 1, 2, 3, 4]
    assert lost._value.get() == before


def test_a_gap_in_a_topic_that_is_the_same_is_a_gap_a_little_later(monkeypatch) -> None:
    monkeypatch.setattr(positions, "GAP", 0.0)
    rig = running()
    lost = positions.OFFSETS_LOST.labels("posts", "0")
    before = lost._value.get()
    rig.consumer.first[POSTS], rig.consumer.last[POSTS] = 50, 52
    rig.turn(3)
    assert rig.live() == [50, 51]
    assert lost._value.get() - before == 10


def test_a_batch_of_the_deleted_topic_that_is_committed_late_moves_nothing() -> None:
    rig = running()
    remade(rig, 60)
    rig.turn(2)
    # What another thread had begun before the new topic was noticed.
    rig.consumer.commit({TopicPartition(*POSTS): at(55, "old")}, 0)
    rig.epochs.rewind()
    rig.taken()
    rig.turn(10)
    assert rig.live() == list(range(60))


def test_what_was_read_of_a_deleted_topic_is_published_no_more() -> None:
    rig = running()
    rig.consumer.last[POSTS] = 45
    rig.turn()
    begun = rig.taken()
    assert rig.epochs.topic_ids()[POSTS] == "old"
    remade(rig, 60)
    rig.turn()
    assert not any(rig.epochs.live(record) for record in begun)


def test_who_hears_late_of_a_new_topic_does_not_begin_it_again(monkeypatch) -> None:
    """Another member has read of it already; our metadata are the old ones."""
    rig = running()
    remade(rig, 60, noticed=False)
    rig.revoke(POSTS)
    rig.consumer.stands[POSTS], rig.consumer.told[POSTS] = 50, "new"
    rig.assign(POSTS)
    rig.turn(5)
    assert rig.live() == list(range(50, 60))


def test_an_offset_of_a_topic_never_seen_here_is_doubted_first_and_then_the_old_ones(
    monkeypatch,
) -> None:
    rig = Rig(start_from="latest")
    rig.ids.known["posts"] = rig.ids.true["posts"] = "new"
    rig.reader._positions.know({0, 1})
    rig.consumer.last[POSTS] = 5
    rig.consumer.stands[POSTS], rig.consumer.told[POSTS] = 3, "of before this member started"
    rig.assign(POSTS)
    rig.turn(3)
    assert rig.taken() == []
    monkeypatch.setattr(positions, "DOUBT", 0.0)
    rig.turn(2)
    assert rig.live() == [0, 1, 2, 3, 4]


def test_metadata_of_a_broker_that_lags_behind_take_nothing_back() -> None:
    rig = running()
    remade(rig, 60)
    rig.turn(10)
    assert rig.live() == list(range(60))
    rig.consumer.commit({TopicPartition(*POSTS): at(60, "new")}, 0)
    rig.ids.known["posts"] = "old"
    rig.epochs.rewind()
    rig.consumer.last[POSTS] = 63
    rig.turn(3)
    assert rig.live() == [60, 61, 62]
    assert rig.consumer.told[POSTS] == "new"


def test_offsets_of_other_programs_are_believed() -> None:
    rig = Rig(start_from="latest")
    rig.ids.known["posts"] = "new"
    rig.consumer.last[POSTS], rig.consumer.stands[POSTS] = 5, 3
    rig.assign(POSTS)
    rig.turn(3)
    assert rig.live() == [3, 4]


def test_after_a_truncation_reading_goes_on_where_the_log_is_as_it_was_read() -> None:
    rig = Rig()
    rig.consumer.last[POSTS] = rig.consumer.stands[POSTS] = 500
    rig.assign(POSTS)
    rig.turn(2)
    rig.consumer.last[POSTS] = 475
    left = {TopicPartition(*POSTS): SimpleNamespace(offset=470)}
    rig.consumer.faults = [LogTruncationError(left)]
    rig.turn(2)
    assert rig.live() == [470, 471, 472, 473, 474]


def test_a_new_id_in_the_group_makes_everything_be_read_again() -> None:
    rig = Rig()
    rig.consumer.last[POSTS] = 4
    rig.assign(POSTS)
    rig.turn(3)
    assert len(rig.taken()) == 4
    rig.consumer.member, rig.consumer.stands[POSTS] = "", 2
    rig.turn()
    assert rig.taken() == []
    rig.consumer.member = "m-2"
    rig.turn(2)
    assert rig.live() == [2, 3]


def test_what_is_published_of_a_revoked_partition_is_committed_before_it_goes() -> None:
    rig = Rig()
    rig.assign(POSTS)
    rig.turn(2)
    rig.reader.commit({POSTS: at(7), OTHER: at(9)})
    rig.revoke(POSTS)
    assert rig.consumer.stands[POSTS] == 7
    assert OTHER not in rig.consumer.stands


def test_while_a_rebalance_is_under_way_pausing_what_the_client_let_go_of_does_no_harm() -> None:
    rig = Rig(most=5)
    rig.consumer.last[POSTS] = rig.consumer.last[OTHER] = 50
    rig.assign(POSTS, OTHER)
    rig.turn()
    rig.consumer.where.pop(OTHER)
    rig.turn(4)
    assert rig.consumer.paused() == {TopicPartition(*POSTS)}


def test_a_user_who_never_could_read_is_told_and_one_who_could_waits() -> None:
    denied = TopicAuthorizationFailedError("posts")
    rig = Rig()
    rig.consumer.faults = [denied]
    with pytest.raises(BadSettings, match="moderator check"):
        rig.turn()
    rig = Rig()
    rig.consumer.last[POSTS] = 1
    rig.assign(POSTS)
    rig.turn(2)
    rig.consumer.faults = [denied]
    rig.turn(2)
    assert rig.live() == [0]


def test_headers_without_a_value_are_empty_and_the_rest_is_taken_over() -> None:
    row = Row("posts", 1, 7, headers=[("a", None), ("b", b"x")])
    record = module.as_record(row, 3)
    assert record == Record("posts", 1, 7, 5, b"k", b"v", (("a", b""), ("b", b"x")), 3)


def test_the_inbox_is_full_by_count_or_by_what_records_weigh() -> None:
    inbox = Inbox(10, 100_000)
    large = Record("posts", 0, 0, 0, None, b"x" * 60_000)
    inbox.put([large])
    assert inbox.fullness == large.weight / 100_000 > 0.6
    inbox.put([Record("posts", 0, n, 0, None, b"") for n in range(8)])
    assert inbox.fullness == 0.9
    inbox.take(0)
    assert inbox.fullness == 0.8
    inbox.close()
    assert inbox.take(None) is None


@pytest.mark.parametrize(
    ("key", "headers"),
    [(b"k" * 60_000, ()), (b"k", (("h", b"x" * 60_000),)), (b"k", (("h", b""),))],
)
def test_keys_and_headers_weigh_as_values_do(key, headers) -> None:
    inbox = Inbox(1000, 100_000)
    record = Record("posts", 0, 0, 0, key, b"x", headers)
    inbox.put([record] * 2)
    assert record.weight >= len(key) + sum(len(name) + len(value) for name, value in headers) + 1
    assert inbox.fullness == 2 * record.weight / 100_000
    inbox.take(0)
    inbox.take(0)
    assert inbox.fullness == 0
