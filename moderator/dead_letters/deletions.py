"""Which posts were deleted since their dead letters were written, as the posts topic says.

A deletion is a record of that topic, so nothing else is needed to know of it: no worker that has
read it, and no store of evidence. What the topic has forgotten, nobody can know.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from kafka import KafkaConsumer, TopicPartition

from moderator.dead_letters.letter import DeadLetter
from moderator.dead_letters.reading import reading, rows
from moderator.order import Place
from moderator.records import Record, parse_post
from moderator.settings import Settings
from moderator.streaming.reader import as_record
from moderator.streaming.topic_ids import TopicIds


@dataclass(frozen=True, slots=True)
class Origin:
    """The record that a dead letter is of: the letter's id, its post's, its topic and place."""

    letter: str
    post_id: str
    topic: str
    place: Place


@dataclass(frozen=True, slots=True)
class Extent:
    """What the posts topic holds: Kafka's id of it, and of each partition begin and end."""

    topic: str
    topic_id: str
    offsets: Mapping[int, tuple[int, int]]


def origin_of(letter: DeadLetter) -> Origin:
    """Return the record that a dead letter is of, as far as the letter says it."""
    record = letter.origin
    post = parse_post(record, max_bytes=record.size, max_images=0)
    return Origin(letter.id, post.post_id, record.topic, Place.of(record))


def deleted_since(settings: Settings, origins: Sequence[Origin]) -> dict[str, str]:
    """Return why dead letters are not to be posted again, by their ids; of the others, nothing.

    Reads the posts topic from the oldest of their posts on to where it ends now.

    Raises:
        BadSettings: The topic is not there, or may not be read.
        Unavailable: The brokers cannot be reached, or stop to answer.
    """
    if not origins:
        return {}
    with reading(settings, settings.topics.posts_topic) as (consumer, partitions):
        begins, ends = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
        topic = settings.topics.posts_topic
        offsets = {each.partition: (begins[each], ends[each]) for each in partitions}
        extent = Extent(topic, TopicIds(consumer)(topic), offsets)
        deletions: dict[str, list[Record]] = defaultdict(list)
        wanted = {each.post_id for each in origins}
        _seek(consumer, partitions, origins, extent)
        for record in _deletions(consumer, ends, extent.topic_id):
            post = parse_post(record, max_bytes=0, max_images=0)
            if post.removal and post.post_id in wanted:
                deletions[post.post_id].append(post.record)
    found = ((each, _refusal(each, deletions[each.post_id], extent)) for each in origins)
    return {origin.letter: why for origin, why in found if why is not None}


def _seek(
    consumer: KafkaConsumer,
    partitions: Sequence[TopicPartition],
    origins: Sequence[Origin],
    extent: Extent,
) -> None:
    """Begin each partition where the oldest of the posts may have been deleted first."""
    oldest = max(0, min(each.place.timestamp for each in origins))
    at = consumer.offsets_for_times(dict.fromkeys(partitions, oldest))
    consumer.assign(partitions)
    for each in partitions:
        begin, end = extent.offsets[each.partition]
        first = end if at[each] is None else at[each].offset
        for origin in origins:
            if (origin.topic, origin.place.partition) == each:
                first = min(first, origin.place.offset + 1)
        consumer.seek(each, min(max(begin, first), end))


def _deletions(
    consumer: KafkaConsumer, ends: Mapping[TopicPartition, int], topic_id: str
) -> Iterator[Record]:
    """Yield the records without value before the ends."""
    for row in rows(consumer, ends):
        if row.value is None:
            yield replace(as_record(row), topic_id=topic_id)


def _refusal(origin: Origin, deletions: Sequence[Record], extent: Extent) -> str | None:
    """Return why a dead letter is not to be posted again, None where it may be."""
    for record in deletions:
        if origin.place.before(_place(record, origin)):
            at = f"{record.topic}-{record.partition}-{record.offset}"
            return f"its post was deleted since ({at})"
    unknown = _unknown(origin, extent)
    if unknown is None:
        return None
    return f"whether its post was deleted since is not known: {unknown}; --unchecked posts it"


def _place(deletion: Record, origin: Origin) -> Place:
    """Return where a deletion lies; of one topic, where the letter does not say of which it is."""
    same = origin.topic == deletion.topic and not origin.place.topic_id
    return Place.of(replace(deletion, topic_id="") if same else deletion)


def _unknown(origin: Origin, extent: Extent) -> str | None:
    """Return why the topic cannot tell of a deletion, None where it can."""
    place = origin.place
    if origin.topic != extent.topic:
        return f"its record came from {origin.topic or 'no topic'}"
    if place.topic_id and extent.topic_id and place.topic_id != extent.topic_id:
        return f"{origin.topic} was made anew"
    begin, end = extent.offsets.get(place.partition, (0, 0))
    if place.offset >= end:
        return f"{origin.topic}-{place.partition} ends at {end}, before its record"
    if place.offset + 1 < begin:
        return f"{origin.topic}-{place.partition} begins at {begin}, after its record"
    return None
