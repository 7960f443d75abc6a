"""Run batches of posts through the stages, each on a thread of its own, in the order of reading.

A batch is gathered, prepared (fetch, cache, decode begun), embedded, judged and published; while
one is published, those behind it are read, decoded and embedded. What is in flight is bounded, so
back pressure reaches the inbox and from there the reader. Knows nothing of Kafka.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from prometheus_client import Gauge

from moderator.batching import Batching
from moderator.decisions import Decided
from moderator.records import Post, Record, parse_post
from moderator.retries import Retries
from moderator.streaming.epochs import Epochs
from moderator.streaming.inbox import Inbox
from moderator.watchdog import Watchdog

logger = logging.getLogger(__name__)

QUEUED = Gauge("moderator_queue_batches", "Batches that wait for a stage.", ["stage"])
IN_FLIGHT = Gauge("moderator_batches_in_flight", "Batches begun and not yet published.")

REFERENCED = 2**20
"""Bytes that an image by reference is taken to have until it is there."""

IDLE = 0.2
"""Longest wait for a record in seconds; how soon stopping is noticed."""


class Publishing(Protocol):
    """The part of a publisher that the pipeline uses."""

    def publish(self, decided: Sequence[Decided]) -> int:
        """Publish what is still this member's; return how many posts that were."""
        ...

    def stop(self) -> None:
        """Give up at the next failure."""
        ...


class Keeping(Protocol):
    """The part of a keeper of evidence that the pipeline uses."""

    def keep(self, decided: Sequence[Decided], data: Mapping[str, bytes]) -> Sequence[Decided]:
        """Return the posts with where safe copies of their images lie; never fails."""
        ...


class Examining(Protocol):
    """The part of an examiner that the pipeline uses; what a batch is, is its own to know."""

    # ruff: noqa: D102
    def open(self, posts: Sequence[Post]) -> Any: ...
    def prepare(self, batch: Any) -> None: ...
    def embed(self, batch: Any) -> None: ...
    def judge(self, batch: Any) -> Sequence[Decided]: ...
    def drop(self, batch: Any) -> None: ...
    def take_data(self, batch: Any) -> dict[str, bytes]: ...


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a batch, a post and all batches together may be; images, seconds and bytes."""

    max_batch: int
    max_wait: float
    batches_in_flight: int
    bytes_in_flight: int
    max_post_bytes: int
    max_images_per_post: int


@dataclass(eq=False, slots=True)
class _Flight:
    """A batch on its way; ``records`` are those that were begun for it."""

    batch: Any
    records: Sequence[Record]
    size: int
    decided: Sequence[Decided] = ()


class Pipeline:
    """Takes records from the inbox to published decisions.

    Args:
        inbox: Where records come from.
        epochs: Say which records are still this member's.
        examiner: Takes batches to decisions, a step at a time.
        publisher: Takes decisions out.
        bounds: How large and how many.
        watchdog: Is told of every piece of work.
        retries: Sends posts round again whose images cannot be fetched; None: none are.
        keeper: Keeps safe copies of images before their posts are published; None: nobody does.
    """

    def __init__(
        self,
        inbox: Inbox,
        epochs: Epochs,
        examiner: Examining,
        publisher: Publishing,
        *,
        bounds: Bounds,
        watchdog: Watchdog,
        retries: Retries | None = None,
        keeper: Keeping | None = None,
    ) -> None:
        self._inbox = inbox
        self._epochs = epochs
        self._examiner = examiner
        self._publisher = publisher
        self._bounds = bounds
        self._watchdog = watchdog
        self._retries = retries
        self._room = _Room(bounds.batches_in_flight, bounds.bytes_in_flight)
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self.failure: BaseException | None = None
        self.failed = threading.Event()
        steps: list[tuple[str, Callable[[_Flight], None]]] = [
            ("prepare", lambda flight: examiner.prepare(flight.batch)),
            ("embed", lambda flight: examiner.embed(flight.batch)),
            ("judge", self._judge),
        ]
        if keeper is not None:
            steps.append(("keep", partial(self._keep, keeper)))
        steps.append(("publish", self._publish))
        self._queues = {name: queue.SimpleQueue[_Flight | None]() for name, _ in steps}
        self._threads = [threading.Thread(target=self._gather, name="gather", daemon=True)]
        names = [name for name, _ in steps]
        for (name, step), following in zip(steps, [*names[1:], None], strict=True):
            self._threads.append(
                threading.Thread(
                    target=self._stage, args=(name, step, following), name=name, daemon=True
                )
            )

    def start(self) -> None:
        """Begin to take records."""
        for thread in self._threads:
            thread.start()

    def drain(self, timeout: float) -> bool:
        """Begin nothing more, and wait until what was begun is published.

        Returns:
            Whether it was within ``timeout`` seconds; else publishing gives up at its next
            failure, and what is left is read again by whoever owns its partitions next.
        """
        self._stopping.set()
        done = self._ended.wait(timeout)
        self._publisher.stop()
        return done and self.failure is None

    def _gather(self) -> None:
        """Gather records into batches until stopped."""
        batching = Batching(self._bounds.max_batch, self._bounds.max_wait)
        size = 0
        try:
            while not self._stopping.is_set():
                due = batching.remaining(time.monotonic())
                record = self._inbox.take(IDLE if due is None else min(due, IDLE))
                closed: list[list[Post]] = []
                if record is not None and self._epochs.begin(record):
                    post = self._parsed(record)
                    size += _size(post)
                    closed = batching.add(post, time.monotonic())
                if batching.remaining(time.monotonic()) == 0 or size >= self._room.share:
                    closed.append(batching.flush())
                if closed:
                    size = 0
                for posts in closed:
                    self._open(posts)
            self._open(batching.flush())
        except BaseException as error:
            self._fail(error)
        finally:
            self._queues["prepare"].put(None)

    def _parsed(self, record: Record) -> Post:
        parse = parse_post if self._retries is None else self._retries.post
        return parse(
            record,
            max_bytes=self._bounds.max_post_bytes,
            max_images=self._bounds.max_images_per_post,
        )

    def _open(self, posts: Sequence[Post]) -> None:
        if not posts:
            return
        size = sum(map(_size, posts))
        self._room.enter(size, self.failed)
        live: list[Post] = []
        stale: list[Post] = []
        for post in posts:
            wanted = self._epochs.live(post.read) and not self.failed.is_set()
            (live if wanted else stale).append(post)
        self._epochs.end(post.read for post in stale)
        if not live:
            self._room.leave(size)
            return
        IN_FLIGHT.inc()
        flight = _Flight(self._examiner.open(live), [post.read for post in live], size)
        self._put("prepare", flight)

    def _put(self, stage: str, flight: _Flight | None) -> None:
        QUEUED.labels(stage).inc()
        self._queues[stage].put(flight)

    def _stage(self, name: str, step: Callable[[_Flight], None], following: str | None) -> None:
        """Take batches through one step until there are no more."""
        while (flight := self._queues[name].get()) is not None:
            QUEUED.labels(name).dec()
            try:
                if self.failed.is_set():
                    self._examiner.drop(flight.batch)
                    self._leave(flight)
                    continue
                with self._watchdog.working(name):
                    step(flight)
            except BaseException as error:
                self._fail(error)
                self._leave(flight)
                continue
            if following is not None:
                self._put(following, flight)
        if following is None:
            self._ended.set()
        else:
            self._queues[following].put(None)

    def _judge(self, flight: _Flight) -> None:
        decided = self._examiner.judge(flight.batch)
        if self._retries is not None:
            decided = [self._retries.considered(each) for each in decided]
        flight.decided = decided

    def _keep(self, keeper: Keeping, flight: _Flight) -> None:
        flight.decided = keeper.keep(flight.decided, self._examiner.take_data(flight.batch))

    def _publish(self, flight: _Flight) -> None:
        try:
            self._publisher.publish(flight.decided)
        finally:
            self._leave(flight)

    def _leave(self, flight: _Flight) -> None:
        if not flight.records:
            return
        self._epochs.end(flight.records)
        flight.records = ()
        IN_FLIGHT.dec()
        self._room.leave(flight.size)

    def _fail(self, error: BaseException) -> None:
        if self.failure is None:
            self.failure = error
        self.failed.set()
        self._stopping.set()


def _size(post: Post) -> int:
    """Return the bytes that a post takes while it is on its way, about."""
    return post.weight + REFERENCED * sum(image.url is not None for image in post.images)


class _Room:
    """Lets in so many batches, and so many bytes of them, at a time; one always fits alone."""

    def __init__(self, batches: int, most_bytes: int) -> None:
        self._batches = batches
        self._most_bytes = most_bytes
        self._inside = 0
        self._bytes = 0
        self._changed = threading.Condition()
        self.share = most_bytes // batches

    def enter(self, size: int, giving_up: threading.Event) -> None:
        with self._changed:
            while not self._fits(size) and not giving_up.is_set():
                self._changed.wait(IDLE)
            self._inside += 1
            self._bytes += size

    def leave(self, size: int) -> None:
        with self._changed:
            self._inside -= 1
            self._bytes -= size
            self._changed.notify_all()

    def _fits(self, size: int) -> bool:
        return self._inside == 0 or (
            self._inside < self._batches and self._bytes + size <= self._most_bytes
        )
