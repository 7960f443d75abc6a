"""One run of the demo: broker, worker, overlay, posts and decisions, from start to summary."""

import itertools
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from kafka import TopicPartition
from rich.console import Console

from models.release import Release, load_release
from moderator.demo.broker import API_VERSION, Broker
from moderator.demo.feed import Feed
from moderator.demo.interrupt import Interrupt
from moderator.demo.member import Member, free_port
from moderator.demo.photographs import Expected, folder_photographs, public_photographs
from moderator.demo.posts import DRAWN, WITH_FOLDER, DemoPost, planned, record_of
from moderator.demo.prototypes import indexed, prototype_records
from moderator.demo.screen import Screen, closing
from moderator.demo.tally import Outcome, outcome, summary
from moderator.errors import BadSettings, Unavailable
from moderator.post import Sender
from moderator.settings import Kafka, Retry, Serving, Settings, Topics
from moderator.streaming import clients

WINDOW = 16
"""Posts that are posted and not yet decided, at most."""

WINDOW_BYTES = 3 * 2**20
"""Bytes that they have at most: the broker keeps 5 MB a partition and drops older records."""

READY_TIMEOUT = 120.0
"""Seconds that the worker may take until it is ready."""

DECISION_TIMEOUT = 60.0
"""Seconds without any decision after which the rest is given up."""

LAST_DECISIONS = 5.0
"""Seconds that decisions on their way have after Ctrl-C."""


def run_demo(*, posts: int, images: Path | None, settings: Settings, console: Console) -> int:
    """Run the demo and return its exit code: 0, or 1 unless every post was decided.

    Args:
        posts: How many posts to post.
        images: Folder of photographs to post as well; None: only drawings and public ones.
        settings: The release, the limits and how the worker works; the broker is the demo's own.
        console: Where everything is shown.

    Raises:
        BadSettings: Something to post, or a package, is not there.
        ModelError: The release cannot be served.
    """
    if posts < 1:
        raise BadSettings(f"--posts {posts} is not a number of posts; at least 1")
    release = load_release(settings.judging.release)
    feed = Feed(
        itertools.islice(_posts(images, release, settings), posts),
        most=WINDOW,
        most_bytes=WINDOW_BYTES,
    )
    screen = Screen(console, posts)
    with Broker() as broker:
        ours = demo_settings(settings, broker.bootstrap_servers, free_port())
        broker.create(_topics(ours.topics))
        with Member(ours) as member:
            try:
                _prepare(member, release, ours, screen)
                return _exchange(feed, member, ours, screen)
            except Unavailable as error:
                screen.say(str(error))
                screen.say(member.log_tail())
                return 1
            except KeyboardInterrupt:
                screen.say("stopped before the first post")
                return 1


def demo_settings(settings: Settings, bootstrap_servers: str, port: int) -> Settings:
    """Return the settings of the demo's clients: its own broker and port, all else as given."""
    return settings.model_copy(
        update={
            "kafka": Kafka(
                bootstrap_servers=bootstrap_servers,
                group="moderator-demo",
                delivery="at-least-once",
                kafka_api_version=API_VERSION,
                # The mock answers a member that joins again only after this time, less a second;
                # and kafka-python does join again where its first answer came between two polls.
                session_timeout=6,
                transaction_timeout=5,
                publish_timeout=4,
            ),
            "topics": Topics(),
            # It has no images by reference, and the mock keeps each partition in memory.
            "retry": Retry(retry_delays=()),
            # No copies, whose deletions would need a topic as well.
            "evidence": settings.evidence.model_copy(update={"evidence_url": None}),
            "serving": Serving(http_port=port, log_level=settings.serving.log_level),
        }
    )


def _posts(images: Path | None, release: Release, settings: Settings) -> Iterator[DemoPost]:
    if images is None:
        return planned(itertools.cycle(public_photographs()), DRAWN)
    most = min(WINDOW_BYTES, settings.limits.max_post_bytes)
    prototypes = release.prototypes
    known: dict[str, Expected] = {
        name: "flag" if kind == "firearm" else "pass"
        for name, kind in zip(prototypes.types, prototypes.kinds, strict=True)
    }
    return planned(folder_photographs(images, known, most), WITH_FOLDER)


def _topics(topics: Topics) -> tuple[str, ...]:
    return (
        topics.posts_topic,
        topics.decisions_topic,
        topics.flagged_topic,
        topics.dead_letter_topic,
        topics.prototypes_topic,
        topics.control_topic,
    )


def _prepare(member: Member, release: Release, settings: Settings, screen: Screen) -> None:
    """Publish the overlay while the worker starts, and wait until it serves it."""
    screen.say(f"release {release.id} ({release.path}); a worker is starting")
    version = _publish_overlay(member, release, settings, screen)
    with screen.waiting("waiting for the worker"):
        _await_ready(member, version)
    screen.say(f"{version} prototypes of drawings laid over it; metrics at {member.url}/metrics")


def _await_ready(member: Member, version: int) -> None:
    deadline = time.monotonic() + READY_TIMEOUT
    while not (member.overlay_version >= version and member.ready):
        member.watch()
        if time.monotonic() > deadline:
            raise Unavailable(f"the demo's worker was not ready within {READY_TIMEOUT:g} s")
        time.sleep(0.1)


def _publish_overlay(member: Member, release: Release, settings: Settings, screen: Screen) -> int:
    """Publish prototypes of drawings and return the overlay's version with all of them."""
    producer = clients.producer(settings.kafka, transactional=False)
    try:
        topic = settings.topics.prototypes_topic
        # A compacted topic of prototypes has one partition; the mock's has more, all but one idle.
        sent = []
        records = prototype_records(release)
        for key, value in screen.counted(records, len(indexed()), "embedding drawings"):
            member.watch()
            sent.append(producer.send(topic, key=key, value=value, partition=0))
        return max(int(future.get(settings.kafka.publish_timeout).offset) for future in sent) + 1
    finally:
        producer.close(timeout=settings.kafka.publish_timeout)


def _exchange(feed: Feed, member: Member, settings: Settings, screen: Screen) -> int:
    """Post as decisions return, show them, and sum up."""
    producer = clients.producer(settings.kafka, transactional=False)
    decisions = _decisions(settings)
    outcomes: list[Outcome] = []
    begin = time.monotonic()
    try:
        with screen:
            _run(feed, member, _Line(producer, decisions, settings), outcomes, screen)
    except KeyboardInterrupt:
        screen.say("stopped")
    finally:
        producer.close(timeout=1)
        decisions.close()
    found = summary(outcomes, feed.posted, time.monotonic() - begin)
    for text in closing(found):
        screen.say(text)
    return 0 if found.decided == found.posted > 0 else 1


class DecisionReader(Protocol):
    """The part of a consumer that reading decisions uses."""

    def poll(self, timeout_ms: int) -> Mapping[Any, Iterable[Any]]:
        """Return what has come, by partition; records hold their value."""
        ...

    def close(self) -> None:
        """Read no more."""
        ...


class _Line:
    """The demo's end of the wire: posts out, decisions back, and when each post went out."""

    def __init__(self, producer: Sender, consumer: DecisionReader, settings: Settings) -> None:
        self._producer = producer
        self._consumer = consumer
        self._topic = settings.topics.posts_topic
        self._sent: dict[str, float] = {}

    def post(self, post: DemoPost) -> None:
        record = record_of(post)
        self._sent[post.post_id] = time.monotonic()
        self._producer.send(
            self._topic, key=record.key, value=record.value, headers=list(record.headers)
        )

    def age(self, post: DemoPost) -> float:
        """Return the seconds since a post went out."""
        return time.monotonic() - self._sent.pop(post.post_id)

    def decisions(self, *, wait: bool) -> Iterator[dict[str, Any]]:
        """Yield the decisions that have come, after waiting a little for some if so wished."""
        for records in self._consumer.poll(timeout_ms=50 if wait else 0).values():
            for record in records:
                yield json.loads(record.value)


def _run(feed: Feed, member: Member, wire: _Line, outcomes: list[Outcome], screen: Screen) -> None:
    """Post and read until all is decided, nothing comes any more, or Ctrl-C has been honoured."""
    given_up = time.monotonic() + DECISION_TIMEOUT
    stopping = False
    with Interrupt() as interrupt:
        while not feed.finished and time.monotonic() < given_up:
            member.watch()
            if interrupt.wished and not stopping:
                stopping = True
                feed.stop()
                given_up = time.monotonic() + LAST_DECISIONS
            # One at a time: drawing takes a while, and decisions are to be read meanwhile.
            post = feed.take()
            if post is not None:
                wire.post(post)
            for decision in wire.decisions(wait=post is None):
                decided = feed.decided(decision["post_id"])
                if decided is None:
                    continue
                outcomes.append(outcome(decided, decision, wire.age(decided)))
                screen.show(outcomes[-1])
                given_up = time.monotonic() + (LAST_DECISIONS if stopping else DECISION_TIMEOUT)


def _decisions(settings: Settings) -> DecisionReader:
    """Return a consumer at the beginning of the decisions topic, in no group."""
    consumer = clients.consumer(settings.kafka, group=False)
    topic = settings.topics.decisions_topic
    partitions = [TopicPartition(topic, n) for n in consumer.partitions_for_topic(topic)]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    reader: DecisionReader = consumer
    return reader
