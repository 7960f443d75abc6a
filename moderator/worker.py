"""Be one member of the consumer group, from start to SIGTERM: join reader, pipeline and publisher.

Only here do Kafka and the examining of posts meet. Everything that can be wrong with settings or
the world is found before the first post is read.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import TypeVar

from kafka import KafkaConsumer
from kafka.errors import KafkaError

from models.errors import ModelError
from models.release import load_release
from moderator.caching.cache import check_redis
from moderator.drain_socket import DrainSocket, default_folder, member_name
from moderator.errors import BadSettings, ModeratorError, Unavailable
from moderator.evidence.keeping import Keeper, keeping
from moderator.flood_marks import FloodMarks
from moderator.footprint import check_memory
from moderator.pipeline import Bounds, Pipeline
from moderator.probes import Probes
from moderator.records import Record
from moderator.retries import Retries, deletion_topic, later_topics, retry_topics
from moderator.rollout.follow import Follower
from moderator.rollout.manager import Manager
from moderator.rollout.store import open_store
from moderator.rollout.switch import Switch
from moderator.rollout.told import Told
from moderator.settings import Settings
from moderator.streaming import clients
from moderator.streaming.epochs import Epochs
from moderator.streaming.inbox import Inbox
from moderator.streaming.publish import Publisher
from moderator.streaming.reader import Reader, Reading
from moderator.streaming.resuming import mend_resuming
from moderator.streaming.topic_ids import TopicIds
from moderator.streaming.topic_reader import TopicReader
from moderator.streaming.type_labels import TypeLabels
from moderator.streaming.unreadable import tolerate_unreadable
from moderator.watchdog import Watchdog

logger = logging.getLogger(__name__)

INBOX_BATCHES = 4
"""Batches' worth of records that may wait in the inbox, so that reading need not pause often."""

POLLS = 8
"""Part of the bytes in flight that one poll may hand out."""

LEAVING = 5.0
"""Seconds beyond the drain time for leaving the group."""

RETRY = 1.0

T = TypeVar("T")


def run_worker(settings: Settings) -> int:
    """Work until SIGTERM or SIGINT, or until something that cannot be waited for is wrong.

    Returns:
        The exit code: 0 after a complete drain, 1 else.

    Raises:
        BadSettings: The brokers or Redis refuse the settings, the port cannot be had, or a member
            may take more memory than its container has.
        Unavailable: The brokers, a topic or Redis were not reached within ``start_timeout``.
        ModelError: The release cannot be served.
    """
    stop = threading.Event()
    watchdog = Watchdog(settings.serving.stall_timeout)
    with ExitStack() as stack:
        stack.enter_context(_stopped_by_signals(stop))
        stack.enter_context(ended_by_threads())
        release = load_release(settings.judging.release)
        check_memory(settings, release.spec.input)
        http = settings.serving
        # Before the probes: they answer from here on, and nothing is ready yet.
        served = threading.Event()
        watchdog.require("serving posts", served.is_set)
        probes = stack.enter_context(Probes(http.http_host, http.http_port, watchdog))
        _listen_for_drain(settings, stop, stack)
        logger.info("metrics and probes on http://%s:%d", http.http_host, probes.port)
        if not _world_reached(settings, stop):
            return 0
        topics = _Topics(settings, stop)
        store = open_store(settings)
        store.tidy()
        manager = Manager(settings, release, store, topics.prototypes, stop)
        stack.callback(manager.close)
        probes.report("/release", manager.report)
        if not topics.follow_control(manager, stack):
            return 0
        switch = manager.start()
        watchdog.require("prototypes read to their end", lambda: manager.caught_up)
        if switch is None or stop.is_set():
            return 0
        active = switch.in_use.active.release
        keeper = stack.enter_context(keeping(settings, active.spec.input))
        logger.info("serving release %s (%d prototypes)", active.id, len(active.index))
        return _Member(settings, switch, watchdog, stop, keeper).run(served)


def _listen_for_drain(settings: Settings, stop: threading.Event, stack: ExitStack) -> None:
    """Have ``moderator drain`` set an event, until the stack is closed.

    Raises:
        BadSettings: The folder that the settings name cannot be used.
    """
    folder = settings.serving.runtime_folder
    name = member_name(settings.kafka)
    try:
        stack.enter_context(DrainSocket(folder or default_folder(), name, stop.set))
    except BadSettings as error:
        if folder is not None:
            raise
        logger.warning("`moderator drain` will not reach this member: %s", error)


@contextmanager
def ended_by_threads() -> Iterator[None]:
    """End this process when one of its threads ends by an error that nobody caught.

    A member that goes on without one of its threads stands still, or leaves something out, with
    nobody told. What it has not committed is read again, as after any other crash.
    """

    def end(died: threading.ExceptHookArgs) -> None:
        name = died.thread.name if died.thread else "unknown"
        error = died.exc_value or died.exc_type()
        logger.critical(
            "thread %s ended by an error nobody foresaw, so that this process ends", name,
            exc_info=(died.exc_type, error, died.exc_traceback),
        )  # fmt: skip
        logging.shutdown()
        os._exit(1)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before, threading.excepthook = threading.excepthook, end
    try:
        yield
    finally:
        threading.excepthook = before


@contextmanager
def _stopped_by_signals(stop: threading.Event) -> Iterator[None]:
    """Have SIGTERM and SIGINT set an event; a second one changes nothing."""

    def note(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a handler's
        stop.set()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _world_reached(settings: Settings, stop: threading.Event) -> bool:
    """Wait for brokers, topics and Redis; return whether they are there rather than stopped.

    Raises:
        BadSettings: One of them refuses the settings.
        Unavailable: One of them was not reached within ``start_timeout``.
    """
    timeout = settings.kafka.start_timeout
    deadline = time.monotonic() + timeout if timeout else None

    def left() -> float:
        return max(0.1, deadline - time.monotonic()) if deadline else 0.0

    try:
        clients.wait_for_broker(settings.kafka, timeout, stop)
    except Unavailable:
        if stop.is_set():
            return False
        raise
    while not stop.is_set():
        try:
            missing = clients.missing_topics(settings.kafka, topics_of(settings))
        except Unavailable:
            if deadline and time.monotonic() > deadline:
                raise
            stop.wait(RETRY)
            continue
        if not missing:
            break
        if deadline and time.monotonic() > deadline:
            raise Unavailable(
                f"no topic {', '.join(missing)} at {settings.kafka.bootstrap_servers}, or no "
                "permission to see it; `moderator topics create` makes the topics"
            )
        stop.wait(RETRY)
    if settings.cache.shared and not stop.is_set():
        check_redis(settings.cache, left(), stop)
    return not stop.is_set()


def topics_of(settings: Settings) -> list[str]:
    """Return the names of the topics that a worker needs."""
    topics = settings.topics
    named = [
        topics.posts_topic,
        topics.decisions_topic,
        topics.flagged_topic,
        topics.dead_letter_topic,
        topics.prototypes_topic,
        *(each.name for each in later_topics(settings)),
        topics.control_topic,
    ]
    return [name for name in named if name]


class _Topics:
    """The topics that a member reads by itself, outside the group; opening them is patient."""

    def __init__(self, settings: Settings, stop: threading.Event) -> None:
        self._settings = settings
        self._stop = stop

    def prototypes(self) -> TopicReader | None:
        """Open the prototypes topic; None where there is none, or when stopped."""
        topic, kafka = self._settings.topics.prototypes_topic, self._settings.kafka
        if not topic:
            return None
        return patiently(lambda: TopicReader(kafka, topic), "the prototypes topic", self._stop)

    def follow_control(self, manager: Manager, stack: ExitStack) -> bool:
        """Follow the control topic; return whether its end was reached rather than stopped."""
        topic, kafka = self._settings.topics.control_topic, self._settings.kafka
        if not topic:
            return True
        reader = patiently(
            lambda: TopicReader(kafka, topic, "moderator-control"), "the control topic", self._stop
        )
        if reader is None:
            return False
        follower = Follower(reader, kafka.group, manager.want)
        follower.start()
        stack.callback(follower.stop)
        while not follower.caught_up and not self._stop.is_set():
            self._stop.wait(0.05)
        return follower.caught_up


def patiently(make: Callable[[], T], what: str, stop: threading.Event) -> T | None:
    """Make something that needs the brokers, which were reached before; None when stopped."""
    while not stop.is_set():
        try:
            return make()
        except (KafkaError, Unavailable) as error:
            logger.warning("%s: %s; trying again", what, error)
            stop.wait(RETRY)
    return None


@dataclass(frozen=True, slots=True)
class _PostsTopic:
    """The ids of the posts topic, as the epochs know them of what is read, and as it is now."""

    epochs: Epochs
    now: Callable[[], str]

    def of(self, record: Record) -> str:
        """Return the id of the topic that a record was read from."""
        return self.epochs.topic_ids().get(record.source, "")


class _Member:
    """One life in the group: constructed, run once, then done with."""

    def __init__(
        self,
        settings: Settings,
        switch: Switch,
        watchdog: Watchdog,
        stop: threading.Event,
        keeper: Keeper | None,
    ) -> None:
        self._settings = settings
        self._switch = switch
        self._watchdog = watchdog
        self._stop = stop
        self._keeper = keeper
        self._failure: BaseException | None = None

    def run(self, served: threading.Event) -> int:
        """Serve until stopped, then drain; return the exit code."""
        with ExitStack() as stack:
            consumer = patiently(self._consumer, "the consumer", self._stop)
            if consumer is None:
                return 0
            epochs, topic_ids = Epochs(), TopicIds(consumer)
            retries = self._retries(epochs, topic_ids)
            reader, inbox = self._reader(consumer, epochs, topic_ids, retries)
            publisher = self._publisher(reader, epochs)
            stack.callback(publisher.close)
            pipeline = self._pipeline(inbox, epochs, publisher, retries)
            patiently(publisher.start, "the producer", self._stop)
            finished = threading.Event()
            reading = threading.Thread(
                target=self._read, args=(reader, finished), name="reader", daemon=True
            )
            self._watchdog.watch("reading", lambda: reader.turned)
            self._watchdog.require("member of the group", lambda: reader.joined)
            self._watchdog.require("publishing", lambda: not publisher.failing)
            self._watchdog.remark(reader.share.remark)
            reading.start()
            pipeline.start()
            served.set()
            while not (self._stop.is_set() or pipeline.failed.is_set()):
                self._stop.wait(0.2)
            served.clear()
            return self._drain(reader, reading, inbox, pipeline, finished)

    def _drain(
        self,
        reader: Reader,
        reading: threading.Thread,
        inbox: Inbox,
        pipeline: Pipeline,
        finished: threading.Event,
    ) -> int:
        timeout = self._settings.pipeline.drain_timeout
        logger.info("draining, for %g s at most", timeout)
        reader.stop()
        inbox.close()
        drained = pipeline.drain(timeout)
        finished.set()
        reading.join(LEAVING)
        self._watchdog.watch("reading", None)
        failure = pipeline.failure or self._failure
        if failure is not None:
            if isinstance(failure, ModeratorError | ModelError):
                raise failure
            logger.error("stopped by an unexpected error", exc_info=failure)
            return 1
        if not drained:
            logger.error("not drained within %g s; what is left is decided by others", timeout)
            return 1
        logger.info("drained")
        return 0

    def _read(self, reader: Reader, finished: threading.Event) -> None:
        try:
            reader.run(finished)
        except BaseException as error:
            self._failure = error
            self._stop.set()

    def _consumer(self) -> KafkaConsumer:
        settings, pipeline = self._settings, self._settings.pipeline
        consumer = clients.consumer(settings.kafka, group=True)
        most = settings.limits.max_post_bytes + clients.HEADROOM
        polled = pipeline.max_inflight_bytes // POLLS
        tolerate_unreadable(consumer, most, max_polled=polled, keys=True)
        mend_resuming(consumer)
        return consumer

    def _retries(self, epochs: Epochs, topic_ids: TopicIds) -> Retries:
        settings, posts = self._settings, self._settings.topics.posts_topic
        return Retries(
            retry_topics(settings.retry),
            posts,
            deletions=deletion_topic(settings),
            topic_ids=_PostsTopic(epochs, partial(topic_ids, posts)),
        )

    def _wait(self, retries: Retries, record: Record) -> float:
        """Return the seconds until a record is due; deletions are not while the store fails."""
        left = retries.wait(record, time.time())
        deletions = deletion_topic(self._settings)
        if deletions is None or record.topic != deletions.name:
            return left
        failing = self._keeper is not None and self._keeper.failing
        return max(left, deletions.delay) if failing else left

    def _reader(
        self, consumer: KafkaConsumer, epochs: Epochs, topic_ids: TopicIds, retries: Retries
    ) -> tuple[Reader, Inbox]:
        settings, pipeline = self._settings, self._settings.pipeline
        # Half of the bytes wait here, half are in the pipeline's batches.
        inbox = Inbox(INBOX_BATCHES * pipeline.max_batch, pipeline.max_inflight_bytes // 2)
        reading = Reading(
            topic=settings.topics.posts_topic,
            start_from=settings.kafka.start_from,
            max_records=pipeline.max_batch,
            drain_timeout=min(pipeline.drain_timeout, settings.kafka.session_timeout / 2),
            retry_topics=tuple(each.name for each in later_topics(settings)),
            wait=partial(self._wait, retries),
        )
        loop = clients.GroupLoop(consumer)
        return Reader(consumer, reading, inbox, epochs, loop, topic_ids=topic_ids), inbox

    def _publisher(self, reader: Reader, epochs: Epochs) -> Publisher:
        settings, kafka = self._settings, self._settings.kafka
        exactly_once = kafka.delivery == "exactly-once"
        most = settings.limits.max_post_bytes
        return Publisher(
            lambda: clients.reached_before(
                lambda: clients.producer(
                    kafka, transactional=exactly_once, max_request=most + clients.HEADROOM
                )
            ),
            clients.discard,
            settings.topics,
            reader,
            epochs,
            exactly_once=exactly_once,
            timeout=kafka.publish_timeout,
            room=most + clients.DEAD_LETTER_ROOM,
            turn=lambda: self._watchdog.turn("publish"),
            retry_topics={each.role: each.name for each in later_topics(settings)},
            floods=FloodMarks(settings.flood),
            types=TypeLabels(self._types),
        )

    def _types(self) -> set[str]:
        """Return the types of the releases that judge posts."""
        in_use = self._switch.in_use
        judging = [each for each in (in_use.active, in_use.staged) if each is not None]
        return {name for each in judging for name in each.release.types.names}

    def _pipeline(
        self, inbox: Inbox, epochs: Epochs, publisher: Publisher, retries: Retries
    ) -> Pipeline:
        limits, pipeline = self._settings.limits, self._settings.pipeline
        bounds = Bounds(
            max_batch=pipeline.max_batch,
            max_wait=pipeline.max_wait,
            batches_in_flight=pipeline.batches_in_flight,
            bytes_in_flight=pipeline.max_inflight_bytes // 2,
            max_post_bytes=limits.max_post_bytes,
            max_images_per_post=limits.max_images_per_post,
        )
        return Pipeline(
            inbox,
            epochs,
            self._switch,
            Told(publisher, self._switch.published),
            bounds=bounds,
            watchdog=self._watchdog,
            retries=retries,
            keeper=self._keeper,
        )
