"""Publish decided posts and commit what was read, together (KIP-447) or one after the other.

A publisher belongs to one thread, that of the publishing stage: committing and aborting have no
time limit of their own, so the watchdog looks at that thread from outside. Decides nothing.
"""

import json
import logging
import math
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from kafka import OffsetAndMetadata, TopicPartition
from kafka.errors import (
    CommitFailedError,
    FencedInstanceIdError,
    InvalidProducerEpochError,
    KafkaError,
    ProducerFencedError,
)
from prometheus_client import Counter, Gauge, Histogram

from moderator.canary_watch import count_canaries
from moderator.decisions import Decided, Outgoing, outgoing
from moderator.errors import Unavailable
from moderator.flood_marks import FloodMarks
from moderator.records import Partition
from moderator.settings import Topics
from moderator.streaming.epochs import Epochs
from moderator.streaming.sending import Sender, TooLargeError, send
from moderator.streaming.type_labels import TypeLabels

logger = logging.getLogger(__name__)

AGE = Histogram(
    "moderator_age_seconds",
    "Seconds from a post's own timestamp to its published decision.",
    buckets=(0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 900, 3600, 21600, 86400, 604800),
)
AGE_IMPLAUSIBLE = Counter(
    "moderator_age_implausible_total",
    "Posts whose timestamp tells no age, left out of moderator_age_seconds: none, past (over 90 "
    "days ago) or future (over an hour ahead).",
    ["timestamp"],
)
DECISIONS = Counter("moderator_decisions_total", "Decisions published.", ["decision", "reason"])
FLAGS = Counter(
    "moderator_flags_total",
    "Posts flagged, by their best type; other: types of the overlay beyond the first 100.",
    ["type"],
)
MECHANISMS = Counter(
    "moderator_flags_by_mechanism_total",
    "Posts flagged by a release with a head, by their most probable mechanism.",
    ["mechanism"],
)
DEAD_LETTERS = Counter("moderator_dead_letters_total", "Records sent to the dead-letter topic.")
RETRIES = Counter(
    "moderator_retries_total", "Posts and deletions sent round again, by topic.", ["topic"]
)
ABORTS = Counter(
    "moderator_publish_aborts_total",
    "Batches whose publishing failed and was begun anew, by error.",
    ["error"],
)
STALE = Counter(
    "moderator_stale_posts_total", "Posts decided but left to another reading of their partition."
)
COMMIT_SECONDS = Histogram(
    "moderator_publish_seconds",
    "Seconds to publish and commit a batch.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
PUBLISHING_FAILS = Gauge(
    "moderator_publishing_failing", "1 while publishing fails and is tried again."
)

OLDEST = 90 * 86_400.0
"""Seconds of age above which a timestamp was made up: one of 1970 would drown all others' sum."""

AHEAD = 3_600.0
"""Seconds that a producer's clock may be ahead of ours."""

BACK_OFF = (0.1, 5.0)
"""Seconds of the first pause after a failure, and of the longest."""

FENCED_MOST = 3
"""Times in a row that another producer of the same id may take over before this one gives up."""

FENCED_AGAIN = 5.0
"""Seconds between two take-overs that tell a successor of the same id from a transaction that the
broker ended in its time: a process that the group had expelled then yields to it."""

REFUSED = (CommitFailedError, FencedInstanceIdError)
"""The group refused the offsets, so nothing of the transaction can have been committed."""


class NotAMember(Exception):
    """The group does not know this process at the moment."""


class Producer(Sender, Protocol):
    """The part of kafka-python's producer that publishing uses."""

    # ruff: noqa: D102
    def init_transactions(self) -> None: ...
    def begin_transaction(self) -> None: ...
    def send_offsets_to_transaction(self, offsets: Mapping[Any, Any], group: Any) -> None: ...
    def commit_transaction(self) -> None: ...
    def abort_transaction(self) -> None: ...


class Membership(Protocol):
    """The part of the reader that publishing uses."""

    def group_metadata(self) -> Any: ...
    def commit(self, offsets: Mapping[Partition, OffsetAndMetadata]) -> None: ...


class Publisher:
    """Publishes batches in the order in which they were read.

    With ``exactly_once``, each post's records are published once or not at all; without, once or,
    after a failure, more often.

    Args:
        connect: Makes a producer; called at the start and whenever one is spent.
        discard: Closes a producer at once.
        topics: Names of the topics.
        membership: The reader, for its membership of the group and for commits.
        epochs: Say which posts are still this member's.
        exactly_once: Publish and commit in one transaction; else publish, then commit.
        timeout: Seconds that a batch's records may take to be acknowledged.
        room: Bytes that a dead letter may have.
        turn: Called before each attempt, to tell a watchdog that this goes on.
        retry_topics: Names of the retry topics by role.
        floods: Marks the decisions of a flood.
        types: Gives flagged types their labels in metrics.
    """

    def __init__(
        self,
        connect: Callable[[], Producer],
        discard: Callable[[Any], None],
        topics: Topics,
        membership: Membership,
        epochs: Epochs,
        *,
        exactly_once: bool,
        timeout: float,
        room: int,
        turn: Callable[[], None],
        floods: FloodMarks,
        types: TypeLabels | None = None,
        retry_topics: Mapping[str, str] | None = None,
    ) -> None:
        self._connect = connect
        self._discard = discard
        self._names = {
            "decisions": topics.decisions_topic,
            "flagged": topics.flagged_topic,
            "dead_letter": topics.dead_letter_topic,
        }
        self._retry_topics = dict(retry_topics or {})
        self._names |= self._retry_topics
        self._membership = membership
        self._epochs = epochs
        self._exactly_once = exactly_once
        self._timeout = timeout
        self._room = room
        self._turn = turn
        self._floods = floods
        self._types = types or TypeLabels()
        self._producer: Producer | None = None
        self._fenced = 0
        self._fenced_at = -math.inf
        self._stopping = threading.Event()
        self._gave_up = False
        self.failing = False

    def start(self) -> Producer:
        """Connect; transactions that an earlier life of this member left open are aborted.

        Raises:
            KafkaError: The brokers refuse, or do not answer in time.
            Unavailable: They cannot be reached.
        """
        self.close()
        self._producer = producer = self._connect()
        if self._exactly_once:
            producer.init_transactions()
        return producer

    def publish(self, decided: Sequence[Decided]) -> int:
        """Publish what is still this member's of a batch; return how many posts that were.

        Tries again, without limit, for as long as the world fails; what then is another member's
        is left out. Once stopped, the first failure is the last attempt: that batch and every one
        after it returns 0. A later batch would commit offsets beyond the one that was given up.

        Raises:
            Unavailable: Another process runs under the same transactional id.
        """
        if self._gave_up:
            return 0
        pause = BACK_OFF[0]
        lean: frozenset[int] = frozenset()
        begin = time.monotonic()
        while True:
            self._turn()
            try:
                count = self._publish_once(decided, begin, lean=lean)
            except TooLargeError as error:
                # Only what is lean may be too large for good; that is the topics' limit to mend.
                self._failed(error.cause, warn=error.places <= lean)
                if not error.places <= lean:
                    lean |= error.places
                    continue
            except NotAMember as error:
                # Before anything was begun; what is another member's by now is soon stale.
                self._failed(error, warn=False)
            except REFUSED as error:
                self._failed(error, warn=False)
                self._replace(error)
            except (KafkaError, Unavailable) as error:
                self._failed(error, warn=True)
                self._replace(error)
            else:
                self._succeeded()
                return count
            if self._stopping.wait(pause):
                self._gave_up = True
                return 0
            pause = min(2 * pause, BACK_OFF[1])

    def stop(self) -> None:
        """Give up for good at the next failure; safe from every thread."""
        self._stopping.set()

    def close(self) -> None:
        """Let the producer go, without waiting for what it has not sent."""
        spent, self._producer = self._producer, None
        if spent is not None:
            self._discard(spent)

    def _publish_once(
        self, decided: Sequence[Decided], begin: float, *, lean: Collection[int]
    ) -> int:
        """Try once; ``lean`` are the places in the batch of posts whose records were too large.

        Raises:
            TooLargeError: With the places in the batch of the posts whose records are too large.
        """
        attempt = time.monotonic()
        producer = self._producer or self.start()
        # In this order: epochs that move after the membership was taken make the broker refuse
        # it, and those that moved before are seen here (design section 4).
        group = self._group() if self._exactly_once else None
        topic_ids = self._epochs.topic_ids()
        places = [n for n, each in enumerate(decided) if self._epochs.live(each.post.read)]
        live = [decided[place] for place in places]
        if not live:
            STALE.inc(len(decided))
            return 0
        # What is tried again is not decided yet, so it is part of no flood.
        marked = self._floods.mark([each for each in live if each.last_word], begin)
        last_words = iter(marked.decided)
        live = [next(last_words) if each.last_word else each for each in live]
        made = [
            [_lean(record) for record in outgoing(each, room=0)]
            if place in lean
            else outgoing(each, room=self._room)
            for place, each in zip(places, live, strict=True)
        ]
        records = [record for each in made for record in each]
        try:
            if self._exactly_once:
                self._commit_transaction(producer, records, _offsets(live, topic_ids), group)
            else:
                self._send(producer, records)
                self._membership.commit(_offsets(live, topic_ids))
        except TooLargeError as error:
            owners = [place for place, each in zip(places, made, strict=True) for _ in each]
            raise TooLargeError([owners[n] for n in error.places], error.cause) from None
        final = zip(live, made, strict=True)
        counted = [each for each, out in final if any(r.role == "decisions" for r in out)]
        _count(counted, records, self._types)
        for record in records:
            if record.role in self._retry_topics:
                RETRIES.labels(self._names[record.role]).inc()
        self._floods.published(marked)
        STALE.inc(len(decided) - len(live))
        COMMIT_SECONDS.observe(time.monotonic() - attempt)
        return len(live)

    def _group(self) -> Any:
        """Return the membership to commit with.

        Raises:
            NotAMember: There is none: of such a one the broker would take any offsets, unchecked.
        """
        group = self._membership.group_metadata()
        if group.generation_id < 0 or not group.member_id:
            raise NotAMember("the group does not know this member at the moment")
        self._epochs.belong(group.member_id)
        return group

    def _commit_transaction(
        self,
        producer: Producer,
        records: Sequence[Outgoing],
        offsets: Mapping[Partition, OffsetAndMetadata],
        group: Any,
    ) -> None:
        producer.begin_transaction()
        try:
            self._send(producer, records)
            # Each of these waits has a limit of its own; the watchdog's is for one of them.
            self._turn()
            producer.send_offsets_to_transaction(
                {TopicPartition(*partition): stand for partition, stand in offsets.items()}, group
            )
        except TooLargeError:
            # Before any offsets were sent: the client would send those of a refused transaction
            # again with the next one's, so after that it is replaced.
            producer.abort_transaction()
            raise
        self._turn()
        try:
            producer.commit_transaction()
        except KafkaError:
            # Whether it is committed is not known: only the committed offsets tell.
            self._epochs.rewind()
            raise

    def _send(self, producer: Producer, records: Sequence[Outgoing]) -> None:
        send(producer, [(self._names[each.role], each) for each in records], self._timeout)

    def _failed(self, error: Exception, *, warn: bool) -> None:
        name = type(error).__name__
        ABORTS.labels(name).inc()
        logger.log(
            logging.WARNING if warn else logging.INFO,
            "publishing: %s: %s; trying again",
            name,
            error,
        )
        if warn:
            self.failing = True
            PUBLISHING_FAILS.set(1)

    def _replace(self, error: Exception) -> None:
        """Let a producer go whose state is not known; a new one of its id aborts what it left.

        Raises:
            Unavailable: Others have taken over again and again, or soon again where this process
                had been expelled from the group: the other is then its successor.
        """
        self.close()
        if isinstance(error, FencedInstanceIdError):
            fault = "another member of the group has this member's group_instance_id"
        elif isinstance(error, ProducerFencedError | InvalidProducerEpochError):
            fault = (
                "another process publishes under this member's transactional id (or its "
                "transactions outlast transaction_timeout)"
            )
        else:
            return
        self._fenced += 1
        before, self._fenced_at = self._fenced_at, time.monotonic()
        zombie = self._epochs.renewed and self._fenced_at - before < FENCED_AGAIN
        if zombie or self._fenced >= FENCED_MOST:
            raise Unavailable(f"{fault}; give each member of the group names of its own") from error

    def _succeeded(self) -> None:
        self._fenced = 0
        self.failing = False
        PUBLISHING_FAILS.set(0)


def _offsets(
    decided: Sequence[Decided], topic_ids: Mapping[Partition, str]
) -> dict[Partition, OffsetAndMetadata]:
    """Return the next offset to read of each partition, and of which topic it is one."""
    offsets: dict[Partition, int] = {}
    for each in decided:
        record = each.post.read
        offsets[record.source] = max(offsets.get(record.source, 0), record.offset + 1)
    return {p: OffsetAndMetadata(o, topic_ids.get(p, ""), -1) for p, o in offsets.items()}


def _lean(record: Outgoing) -> Outgoing:
    """Leave out of a flagged record or a decision what makes it large."""
    if record.role not in ("decisions", "flagged") or record.value is None:
        return record
    body = json.loads(record.value)
    for image in body["images"]:
        image["prototypes"] = []
        if "embedding" in image:
            image["embedding"] = None
    value = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return Outgoing(record.role, record.key, value, record.headers)


def _count(decided: Sequence[Decided], records: Sequence[Outgoing], types: TypeLabels) -> None:
    now = time.time()
    for each in decided:
        decision, timestamp = each.decision, each.post.record.timestamp
        DECISIONS.labels(decision.decision, decision.reason).inc()
        if decision.decision == "flag" and decision.types and each.canary is None:
            FLAGS.labels(types.label(decision.types[0].type)).inc()
            if decision.mechanisms:
                MECHANISMS.labels(decision.mechanisms[0].name).inc()
        _observe_age(timestamp, now)
    count_canaries(decided)
    DEAD_LETTERS.inc(sum(record.role == "dead_letter" for record in records))


def _observe_age(timestamp: int, now: float) -> None:
    """Count the age of a post; ``timestamp`` is in milliseconds since 1970, ``now`` in seconds."""
    age = now - timestamp / 1000
    if timestamp < 0:
        AGE_IMPLAUSIBLE.labels("none").inc()
    elif age > OLDEST or age < -AHEAD:
        AGE_IMPLAUSIBLE.labels("past" if age > 0 else "future").inc()
    else:
        AGE.observe(max(0.0, age))
