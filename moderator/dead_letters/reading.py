"""Read the dead-letter topic from outside any group, so that no worker is disturbed or needed."""

import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import AuthorizationError, KafkaError

from moderator.dead_letters.letter import DeadLetter
from moderator.errors import BadInput, BadSettings, Unavailable
from moderator.records import Record
from moderator.settings import Settings
from moderator.streaming import clients
from moderator.streaming.unreadable import tolerate_unreadable

SILENCE = 30.0
"""Seconds without a record after which reading is given up."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which dead letters are meant; times are in milliseconds since 1970, None: without limit."""

    reason: str | None = None
    since: float | None = None
    until: float | None = None

    def takes(self, letter: DeadLetter) -> bool:
        """Whether a dead letter is one of those that are meant."""
        at = letter.record.timestamp
        return (
            self.reason in (None, letter.reason)
            and (self.since is None or at >= self.since)
            and (self.until is None or at < self.until)
        )


def letters(settings: Settings, wanted: Wanted) -> Iterator[DeadLetter]:
    """Yield the dead letters that are there now, each partition in its order.

    Raises:
        BadSettings: The topic is not there, or may not be read.
        Unavailable: The brokers cannot be reached, or stop to answer.
    """
    with reading(settings, settings.topics.dead_letter_topic) as (consumer, partitions):
        ends = consumer.end_offsets(partitions)
        begins = _begins(consumer, partitions, ends, wanted.since)
        consumer.assign(partitions)
        for partition, offset in begins.items():
            consumer.seek(partition, offset)
        for letter in map(_letter, rows(consumer, ends)):
            if wanted.takes(letter):
                yield letter


def find(settings: Settings, name: str) -> DeadLetter:
    """Return the dead letter of an id, or of the decision of an id.

    Raises:
        BadInput: There is none.
        BadSettings: The topic is not there, or may not be read.
        Unavailable: The brokers cannot be reached, or stop to answer.
    """
    own = name.removeprefix(f"{settings.topics.dead_letter_topic}-")
    numbers = own.split("-")
    if len(numbers) == 2 and all(each.isascii() and each.isdigit() for each in numbers):
        found = _at(settings, int(numbers[0]), int(numbers[1]))
    else:
        every = letters(settings, Wanted())
        found = next((each for each in every if each.decision_id == name), None)
    if found is None:
        raise BadInput(f"no dead letter {name}; `moderator dead-letters list` shows what there is")
    return found


def _at(settings: Settings, partition: int, offset: int) -> DeadLetter | None:
    with reading(settings, settings.topics.dead_letter_topic) as (consumer, partitions):
        place = TopicPartition(settings.topics.dead_letter_topic, partition)
        if place not in partitions:
            return None
        begin = consumer.beginning_offsets([place])[place]
        end = consumer.end_offsets([place])[place]
        if not begin <= offset < end:
            return None
        consumer.assign([place])
        consumer.seek(place, offset)
        found = next(map(_letter, rows(consumer, {place: end})), None)
        return found if found is not None and found.record.offset == offset else None


@contextmanager
def reading(settings: Settings, topic: str) -> Iterator[tuple[KafkaConsumer, list[TopicPartition]]]:
    """Give a consumer of its own and a topic's partitions; errors of brokers get an owner.

    Raises:
        BadSettings: The topic is not there, or may not be read.
        Unavailable: The brokers cannot be reached, or stop to answer.
    """
    clients.wait_for_broker(settings.kafka, settings.kafka.start_timeout, None)
    with closing(clients.consumer(settings.kafka, group=False)) as consumer:
        room = clients.DEAD_LETTER_ROOM + clients.HEADROOM
        tolerate_unreadable(consumer, settings.limits.max_post_bytes + room, keys=True)
        try:
            numbers = consumer.partitions_for_topic(topic)
            if not numbers:
                raise BadSettings(
                    f"no topic {topic} at {settings.kafka.bootstrap_servers}; check the setting "
                    "that names it, or run `moderator topics create`"
                )
            yield consumer, [TopicPartition(topic, number) for number in sorted(numbers)]
        except AuthorizationError as error:
            raise BadSettings(
                f"this user may not read {topic} ({type(error).__name__}); grant Read on it"
            ) from None
        except KafkaError as error:
            raise Unavailable(
                f"{topic} cannot be read: {type(error).__name__}: {error}; try again"
            ) from None


def _begins(
    consumer: KafkaConsumer, partitions: list[TopicPartition], ends: Any, since: float | None
) -> dict[TopicPartition, int]:
    """Return where reading starts in each partition that holds anything."""
    firsts = consumer.beginning_offsets(partitions)
    if since is not None:
        at = consumer.offsets_for_times(dict.fromkeys(partitions, max(0, round(since))))
        firsts = {each: ends[each] if at[each] is None else at[each].offset for each in partitions}
    return dict(firsts)


def rows(consumer: KafkaConsumer, ends: Mapping[TopicPartition, int]) -> Iterator[Any]:
    """Yield what comes before the ends of partitions, as the client has it.

    Raises:
        Unavailable: The brokers stop to answer.
    """
    deadline = time.monotonic() + SILENCE
    while any(consumer.position(each) < end for each, end in ends.items()):
        polled = consumer.poll(timeout_ms=200)
        if polled:
            deadline = time.monotonic() + SILENCE
        elif time.monotonic() > deadline:
            raise Unavailable(f"the brokers sent nothing for {SILENCE:g} s; try again")
        for place, found in polled.items():
            yield from (row for row in found if row.offset < ends[place])


def _letter(row: Any) -> DeadLetter:
    headers = tuple((name, value or b"") for name, value in row.headers or ())
    return DeadLetter(
        Record(
            row.topic, row.partition, row.offset, row.timestamp, row.key, row.value or b"", headers
        )
    )
