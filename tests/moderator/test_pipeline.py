"""The pipeline: order, bounds, overlap, draining and failure, with steps that are watched."""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from moderator.errors import Unavailable
from moderator.pipeline import Bounds, Pipeline
from moderator.records import Partition, Post, Record, parse_post
from moderator.streaming.epochs import Epochs
from moderator.streaming.inbox import Inbox
from moderator.watchdog import Watchdog

POSTS = Partition("posts", 0)
OTHER = Partition("posts", 1)


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


@dataclass(eq=False)
class Batch:
    posts: Sequence[Post]
    steps: list[str] = field(default_factory=list)


class Examiner:
    """Notes what each step gets; a step named in ``held`` waits until it is let go."""

    def __init__(self) -> None:
        self.held: dict[str, threading.Event] = {}
        self.seen: dict[str, list[Batch]] = {n: [] for n in ("open", "prepare", "embed", "judge")}
        self.dropped: list[Batch] = []
        self.fault: dict[str, Exception] = {}

    def _step(self, name: str, batch: Batch) -> None:
        self.seen[name].append(batch)
        batch.steps.append(name)
        if name in self.held:
            assert self.held[name].wait(10)
        if name in self.fault:
            raise self.fault[name]

    def open(self, posts: Sequence[Post]) -> Batch:
        batch = Batch(posts)
        self._step("open", batch)
        return batch

    def prepare(self, batch: Batch) -> None:
        self._step("prepare", batch)

    def embed(self, batch: Batch) -> None:
        self._step("embed", batch)

    def judge(self, batch: Batch) -> Sequence[Post]:
        self._step("judge", batch)
        return batch.posts

    def drop(self, batch: Batch) -> None:
        self.dropped.append(batch)


class Publisher:
    def __init__(self) -> None:
        self.offsets: list[int] = []
        self.go = threading.Event()
        self.go.set()
        self.stopped = threading.Event()

    def publish(self, posts: Sequence[Post]) -> int:
        while not self.go.wait(0.01):
            if self.stopped.is_set():
                return 0
        self.offsets += [post.record.offset for post in posts]
        return len(posts)

    def stop(self) -> None:
        self.stopped.set()


@dataclass(eq=False)
class Rig:
    inbox: Inbox
    epochs: Epochs
    examiner: Examiner
    publisher: Publisher
    pipeline: Pipeline

    def read(self, count: int, *, size: int = 10, partition: Partition = POSTS) -> None:
        epoch = self.epochs.snapshot()[partition]
        self.inbox.put(
            Record(*partition, n, 0, None, b"x" * size, (("content-type", b"image/png"),), epoch)
            for n in range(count)
        )


@pytest.fixture
def make() -> Iterator[Callable[..., Rig]]:
    rigs: list[Rig] = []

    def _make(**bounds: float) -> Rig:
        given = {
            "max_batch": 4,
            "max_wait": 0.02,
            "batches_in_flight": 3,
            "bytes_in_flight": 10_000,
            "max_post_bytes": 10_000,
            "max_images_per_post": 4,
        } | bounds
        inbox, epochs = Inbox(1000, 10**6), Epochs()
        epochs.assign([POSTS, OTHER])
        examiner, publisher = Examiner(), Publisher()
        pipeline = Pipeline(
            inbox,
            epochs,
            examiner,
            publisher,
            bounds=Bounds(**given),
            watchdog=Watchdog(30),
        )
        rigs.append(Rig(inbox, epochs, examiner, publisher, pipeline))
        pipeline.start()
        return rigs[-1]

    yield _make
    for rig in rigs:
        for event in rig.examiner.held.values():
            event.set()
        rig.publisher.go.set()
        rig.inbox.close()
        rig.pipeline.drain(10)


def test_posts_are_published_in_the_order_in_which_they_were_read(make) -> None:
    rig = make()
    rig.read(50)
    until(lambda: len(rig.publisher.offsets) == 50)
    assert rig.publisher.offsets == list(range(50))
    assert rig.epochs.begun([POSTS]) == 0


def test_a_batch_closes_on_images_and_on_time(make) -> None:
    rig = make(max_batch=4, max_wait=0.05)
    rig.read(6)
    until(lambda: len(rig.publisher.offsets) == 6)
    assert [len(batch.posts) for batch in rig.examiner.seen["open"]] == [4, 2]


def test_batches_overlap_and_so_many_are_in_flight_at_most(make) -> None:
    rig = make(max_batch=1, batches_in_flight=3)
    rig.publisher.go.clear()
    rig.examiner.held["judge"] = threading.Event()
    rig.read(10)
    until(lambda: len(rig.examiner.seen["embed"]) == 3)
    time.sleep(0.1)
    # The first is being judged while those behind it are embedded; the fourth is not begun.
    assert len(rig.examiner.seen["open"]) == 3
    assert [batch.steps[-1] for batch in rig.examiner.seen["open"]] == ["judge", "embed", "embed"]
    rig.examiner.held["judge"].set()
    rig.publisher.go.set()
    until(lambda: len(rig.publisher.offsets) == 10)


def test_the_bytes_in_flight_are_bounded_too(make) -> None:
    rig = make(max_batch=1, batches_in_flight=10, bytes_in_flight=4000)
    rig.publisher.go.clear()
    rig.read(5, size=1000)
    until(lambda: len(rig.examiner.seen["judge"]) == 2)
    time.sleep(0.1)
    assert len(rig.examiner.seen["open"]) == 2
    rig.publisher.go.set()
    until(lambda: len(rig.publisher.offsets) == 5)


def test_keys_headers_and_decoded_images_count_as_bytes_in_flight() -> None:
    plain = parse_post(Record("posts", 0, 0, 0, None, b"{}"), max_bytes=10**6, max_images=4)
    assert plain.weight < 1000
    headers = (("h", bytes(5000)),)
    heavy = Record("posts", 0, 0, 0, bytes(3000), b"{}", headers)
    assert parse_post(heavy, max_bytes=10**6, max_images=4).weight > 8000
    image = base64.b64encode(bytes(3000)).decode()
    value = json.dumps({"images": [{"data": image}, {"data": image}]}).encode()
    inline = parse_post(Record("posts", 0, 0, 0, None, value), max_bytes=10**6, max_images=4)
    assert inline.weight > len(value) + 6000


def test_a_post_larger_than_all_room_goes_alone(make) -> None:
    rig = make(max_batch=4, bytes_in_flight=500)
    rig.read(3, size=2000)
    until(lambda: len(rig.publisher.offsets) == 3)
    assert [len(batch.posts) for batch in rig.examiner.seen["open"]] == [1, 1, 1]


def test_what_is_stale_when_its_batch_begins_is_never_examined(make) -> None:
    rig = make(max_batch=1, batches_in_flight=1)
    rig.publisher.go.clear()
    rig.read(2)
    until(lambda: len(rig.examiner.seen["judge"]) == 1)
    rig.epochs.rewind()
    rig.publisher.go.set()
    rig.read(1, partition=OTHER)
    until(lambda: len(rig.publisher.offsets) == 2)
    assert len(rig.examiner.seen["open"]) == 2
    assert rig.epochs.begun([POSTS, OTHER]) == 0


def test_of_partitions_that_are_closing_nothing_more_is_begun(make) -> None:
    rig = make()
    rig.epochs.close([POSTS])
    rig.read(3)
    rig.read(2, partition=OTHER)
    until(lambda: len(rig.publisher.offsets) == 2)
    assert all(p.record.partition == 1 for b in rig.examiner.seen["open"] for p in b.posts)


def test_draining_publishes_what_was_begun_and_begins_nothing_more(make) -> None:
    rig = make(max_batch=2, batches_in_flight=2)
    rig.examiner.held["embed"] = threading.Event()
    rig.read(40)
    until(lambda: len(rig.examiner.seen["prepare"]) == 2)
    rig.inbox.close()
    threading.Timer(0.1, rig.examiner.held["embed"].set).start()
    assert rig.pipeline.drain(10)
    begun = len(rig.publisher.offsets)
    assert 4 <= begun < 40
    assert rig.publisher.offsets == list(range(begun))
    assert rig.epochs.begun([POSTS]) == 0


def test_draining_that_takes_too_long_says_so_and_stops_the_publisher(make) -> None:
    rig = make(max_batch=1)
    rig.publisher.go.clear()
    rig.read(2)
    until(lambda: len(rig.examiner.seen["judge"]) == 2)
    assert not rig.pipeline.drain(0.1)
    assert rig.publisher.stopped.is_set()


@pytest.mark.parametrize("step", ["open", "prepare", "embed", "judge"])
def test_a_step_that_fails_stops_everything_and_publishes_nothing_of_it(make, step) -> None:
    rig = make(max_batch=1)
    rig.examiner.fault[step] = Unavailable("the network is gone")
    rig.read(5)
    assert rig.pipeline.failed.wait(10)
    assert isinstance(rig.pipeline.failure, Unavailable)
    assert not rig.pipeline.drain(10)
    assert rig.publisher.offsets == []
    # What was open when it failed is given back: slots, fetches.
    failed = rig.examiner.seen[step][:1]
    assert len(rig.examiner.dropped) == len(rig.examiner.seen["open"]) - len(failed)
