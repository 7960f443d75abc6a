"""Post dead letters again, as they came."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing

from kafka.errors import KafkaError

from moderator.dead_letters.letter import DeadLetter
from moderator.errors import BadInput, Unavailable
from moderator.settings import Settings
from moderator.streaming import clients

Replayed = tuple[DeadLetter, str]
"""A dead letter, and the id that the decision of its post will have."""


def replay(
    settings: Settings, letters: Iterable[DeadLetter], refusals: Mapping[str, str]
) -> Iterator[Replayed | BadInput]:
    """Post dead letters again and yield each once the brokers have it.

    One whose record is not whole, or which is refused, is not posted: its error is yielded in its
    place.

    Args:
        settings: Brokers and topics.
        letters: What to post.
        refusals: By id, why some of them are not to be posted.

    Raises:
        BadSettings: The brokers refuse the settings.
        Unavailable: A record is not taken; those yielded before were.
    """
    topics = settings.topics
    most = settings.limits.max_post_bytes + clients.HEADROOM
    producer = clients.producer(settings.kafka, transactional=False, max_request=most)
    with closing(producer):
        for letter in letters:
            try:
                headers = letter.replayed(topics.dead_letter_topic, refusals.get(letter.id))
            except BadInput as error:
                yield error
                continue
            record = letter.record
            try:
                at = producer.send(
                    topics.posts_topic, key=record.key, value=record.value, headers=list(headers)
                ).get(settings.kafka.publish_timeout)
            except KafkaError as error:
                raise Unavailable(
                    f"dead letter {letter.id} is not posted: {type(error).__name__}: {error}; "
                    "go on with it once that is mended"
                ) from None
            yield letter, f"{at.topic}-{at.partition}-{at.offset}"
