"""What is tried again later: which records, when, and what they carry.

Posts whose images could not be fetched, and deleted posts whose copies could not be removed. A
retry topic has one fixed delay, so what is due first stands first in it (design section 3). Its
records are those of the posts topic with headers of ours; of a deletion, these and the post's id
are all there is.
"""

import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from moderator.concerns.retry import Retry
from moderator.decisions import Decided, Outgoing
from moderator.errors import BadInput
from moderator.fetching.unreachable import FOR_GOOD
from moderator.order import Place
from moderator.records import UNREADABLE, Headers, Post, Record, parse_post
from moderator.settings import Settings
from moderator.values import seconds

PREFIX = "moderator.retry."
"""What the names of our headers begin with; nobody else's are let through under it."""

ATTEMPT = f"{PREFIX}attempt"
DUE = f"{PREFIX}due"
TOPIC = f"{PREFIX}topic"
PARTITION = f"{PREFIX}partition"
OFFSET = f"{PREFIX}offset"
TIMESTAMP = f"{PREFIX}timestamp"
TOPIC_ID = f"{PREFIX}topic-id"
"""Kafka's id of the topic; not there where the brokers have none, or of earlier versions."""

DELETIONS = "deletions"
"""Role of the topic of deletions that could not be done yet."""

DELETION_DELAY = 30.0
"""Seconds until such a deletion is tried again."""

REMEMBERED = 100_000
"""Deleted posts that are remembered while earlier records of them may wait to be tried again."""

MOST = 2**63 - 1
"""Largest number that a header may hold; Kafka's offsets and timestamps are of 64 bits."""

DIGITS = 19
"""Digits of the largest number."""


@dataclass(frozen=True, slots=True)
class RetryTopic:
    """A retry topic; ``role`` is what its records are published as, ``delay`` is in seconds."""

    role: str
    name: str
    delay: float


class TopicIds(Protocol):
    """What tells the posts topic from one of its name before it; empty where it is not known."""

    def of(self, record: Record) -> str:
        """Return the id of the topic that a record was read from."""
        ...

    def now(self) -> str:
        """Return the id of the topic that is there now."""
        ...


def retry_topics(retry: Retry) -> tuple[RetryTopic, ...]:
    """Return the retry topics in the order in which a post goes through them."""
    return tuple(
        RetryTopic(f"retry {text}", f"{retry.retry_topic_prefix}{text}", seconds(text))
        for text in retry.retry_delays
    )


def deletion_topic(settings: Settings) -> RetryTopic | None:
    """Return the topic of deletions to be tried again; None where no copies are kept."""
    if settings.evidence.evidence_url is None:
        return None
    return RetryTopic(DELETIONS, settings.topics.deletions_topic, DELETION_DELAY)


def later_topics(settings: Settings) -> tuple[RetryTopic, ...]:
    """Return all topics of what is tried again later."""
    deletions = deletion_topic(settings)
    return (*retry_topics(settings.retry), *((deletions,) if deletions else ()))


class Retries:
    """Sends posts round again, and reads them when they come back.

    Args:
        topics: In the order in which a post goes through them.
        posts_topic: Where all posts come from.
        deletions: Where deletions come back from; None: nowhere.
        topic_ids: Tells Kafka's ids of the posts topic; None: they are not known.
    """

    def __init__(
        self,
        topics: tuple[RetryTopic, ...],
        posts_topic: str,
        *,
        deletions: RetryTopic | None = None,
        topic_ids: "TopicIds | None" = None,
    ) -> None:
        self._topics = topics
        self._posts_topic = posts_topic
        self._topic_ids = topic_ids
        self._deletions = deletions
        self._places = {topic.name: place for place, topic in enumerate(topics)}
        self._delays = {topic.name: topic.delay for topic in topics}
        if deletions is not None:
            self._delays[deletions.name] = deletions.delay
        self._deleted: OrderedDict[str, Place] = OrderedDict()

    def post(self, record: Record, *, max_bytes: int, max_images: int) -> Post:
        """Read a record of the posts topic or of a retry topic; see ``parse_post``.

        What comes back keeps its first coordinates, so that its decision is that of its record;
        where a deletion of the post was read meanwhile, it is deleted. A record in a retry topic
        that is none of ours is malformed under its own.
        """
        if record.topic not in self._delays:
            if self._topic_ids is not None:
                record = replace(record, topic_id=self._topic_ids.of(record))
            post = parse_post(record, max_bytes=max_bytes, max_images=max_images)
            self._remember(post)
            return post
        try:
            first, attempt = self._first(record)
        except BadInput as error:
            post = parse_post(record, max_bytes=max_bytes, max_images=max_images)
            lost = post.fault if _unreadable(record) else None
            return replace(post, images=(), deleted=False, fault=lost or str(error))
        post = parse_post(first, max_bytes=max_bytes, max_images=max_images)
        deletion = self._deleted.get(post.post_id)
        if deletion is not None and Place.of(first).before(deletion):
            post = replace(post, images=(), fault=None, deleted=True)
        return replace(post, read_as=record, attempt=attempt)

    def _first(self, record: Record) -> tuple[Record, int]:
        first, attempt = first_reading(record, self._posts_topic)
        now = self._topic_ids.now() if self._topic_ids is not None else ""
        first = replace(first, past=bool(first.topic_id and now) and first.topic_id != now)
        if self._deletions is not None and record.topic == self._deletions.name:
            first = replace(first, value=None, headers=())
        return first, attempt

    def _remember(self, post: Post) -> None:
        if post.removal and self._topics:
            self._deleted[post.post_id] = Place.of(post.record)
            self._deleted.move_to_end(post.post_id)
            if len(self._deleted) > REMEMBERED:
                self._deleted.popitem(last=False)

    def wait(self, record: Record, now: float) -> float:
        """Return the seconds until a record is due, 0 where it is, at most its topic's delay.

        Args:
            record: As it was read.
            now: Seconds since 1970. Clocks that disagree hold a record up no longer than twice
                its topic's delay.
        """
        delay = self._delays.get(record.topic)
        if delay is None:
            return 0.0
        try:
            due = _number(dict(record.headers), DUE) / 1000
        except BadInput:
            # Decided at once, as malformed.
            return 0.0
        return min(max(0.0, due - now), delay)

    def considered(self, decided: Decided) -> Decided:
        """Return a decided post, with the record that tries it again where that may change it."""
        place = self._places.get(decided.post.read.topic, -1) + 1
        if place >= len(self._topics) or not _worth_another(decided):
            return decided
        topic = self._topics[place]
        record = decided.post.record
        theirs = tuple(each for each in record.headers if not each[0].startswith(PREFIX))
        due = round(decided.decided_at + topic.delay * 1000)
        ours = _headers(record, decided.post.attempt + 1, due)
        return replace(
            decided, retry=Outgoing(topic.role, record.key, record.value, (*theirs, *ours))
        )


def first_reading(record: Record, posts_topic: str) -> tuple[Record, int]:
    """Return a record of a retry topic as it was first read, and which further attempt this is.

    Raises:
        BadInput: Its headers are not as we write them; the text names the first that is wrong.
    """
    found = dict(record.headers)
    if record.value is None:
        raise BadInput("a record without value in a retry topic")
    if found.get(TOPIC) != posts_topic.encode():
        raise BadInput(f"header {TOPIC} of a record in a retry topic is missing or wrong")
    first = Record(
        topic=posts_topic,
        partition=_number(found, PARTITION),
        offset=_number(found, OFFSET),
        timestamp=_number(found, TIMESTAMP, least=-MOST - 1),
        key=record.key,
        value=record.value,
        headers=tuple(each for each in record.headers if not each[0].startswith(PREFIX)),
        topic_id=_topic_id(found.get(TOPIC_ID, b"")),
    )
    _number(found, DUE)
    return first, _number(found, ATTEMPT, least=1)


def deletion(decided: Decided) -> Outgoing:
    """Return the record that has the copies of a deleted post removed later.

    It holds no more than is needed, so that it fits whatever the deletion carried.
    """
    post = decided.post
    due = round(decided.decided_at + DELETION_DELAY * 1000)
    key = post.post_id.encode(errors="backslashreplace")
    # Not null: that would be a deletion of this very record where a topic is compacted.
    return Outgoing(DELETIONS, key, b"", _headers(post.record, post.attempt + 1, due))


def _headers(record: Record, attempt: int, due: int) -> Headers:
    texts = {
        ATTEMPT: attempt,
        DUE: due,
        TOPIC: record.topic,
        PARTITION: record.partition,
        OFFSET: record.offset,
        TIMESTAMP: record.timestamp,
        **({TOPIC_ID: record.topic_id} if record.topic_id else {}),
    }
    return tuple((name, str(value).encode()) for name, value in texts.items())


def _worth_another(decided: Decided) -> bool:
    """Whether images that are still missing can be had later and can make the post's decision.

    A post that is flagged for a firearm already is not: nothing is worse, so nothing is won by
    having moderators wait for it.
    """
    said = decided.decision
    if said.decision == "flag" and said.reason in ("match", "override"):
        return False
    return any(
        image.decision.reason == "unreachable" and image.decision.cause not in FOR_GOOD
        for image in decided.images
    )


def _topic_id(text: bytes) -> str:
    """Return a topic's id as it is in a header, empty where it is none."""
    plain = text.decode(errors="replace")
    return plain if re.fullmatch("[0-9a-f-]{36}", plain) else ""


def _unreadable(record: Record) -> bool:
    return record.value is None and any(name == UNREADABLE for name, _ in record.headers)


def _number(headers: Mapping[str, bytes], name: str, least: int = 0) -> int:
    text = headers.get(name, b"")
    digits = text.removeprefix(b"-")
    plain = digits.isdigit() and len(digits) <= DIGITS
    if not plain or not least <= int(text) <= MOST:
        raise BadInput(f"header {name} of a record in a retry topic is missing or wrong")
    return int(text)
