"""Read and write a group's record of the control topic, for the command line."""

import time
from contextlib import closing

from kafka.errors import KafkaError

from moderator.errors import BadInput, BadSettings, Unavailable
from moderator.records import utc
from moderator.rollout.control import Control, decode_control, encode_control
from moderator.settings import Settings
from moderator.streaming import clients
from moderator.streaming.topic_reader import TopicReader

PATIENCE = 15.0
"""Seconds that reading the topic to its end may take."""


def read_control(settings: Settings) -> Control:
    """Return what the group is to serve.

    Raises:
        BadSettings: There is no control topic, or the brokers refuse these settings.
        Unavailable: The brokers cannot be reached.
    """
    topic = _topic(settings)
    key = settings.kafka.group.encode()
    value: bytes | None = None
    try:
        with closing(TopicReader(settings.kafka, topic, "moderator-release")) as reader:
            deadline = time.monotonic() + PATIENCE
            end = reader.end()
            while reader.position() < end:
                if time.monotonic() > deadline:
                    raise Unavailable(f"topic {topic} could not be read in {PATIENCE:g} s; again?")
                for records in reader.poll(timeout_ms=200).values():
                    for record in records:
                        value = record.value if record.key == key else value
        return decode_control(value)
    except KafkaError as error:
        raise Unavailable(
            f"topic {topic} cannot be read: {type(error).__name__}: {error}; try again"
        ) from None
    except BadInput as error:
        raise BadSettings(
            f"{error}; delete the record of group {settings.kafka.group} in topic {topic}"
        ) from None


def write_control(settings: Settings, control: Control) -> None:
    """Say what the group is to serve; it is written once this returns.

    Raises:
        BadSettings: There is no control topic, or the brokers refuse these settings.
        Unavailable: The brokers cannot be reached, or do not take it.
    """
    topic = _topic(settings)
    key, value = encode_control(settings.kafka.group, control, utc(time.time() * 1000))
    producer = clients.producer(settings.kafka, transactional=False)
    try:
        producer.send(topic, key=key, value=value, partition=0).get(settings.kafka.publish_timeout)
    except KafkaError as error:
        raise Unavailable(
            f"topic {topic} did not take it: {type(error).__name__}: {error}; try again"
        ) from None
    finally:
        clients.discard(producer)


def _topic(settings: Settings) -> str:
    """Return the control topic, which is there.

    Raises:
        BadSettings: It is not.
        Unavailable: The brokers cannot be reached within ``start_timeout``.
    """
    topic = settings.topics.control_topic
    if not topic:
        raise BadSettings("control_topic is empty: members serve their setting `release`; set it")
    clients.wait_for_broker(settings.kafka, settings.kafka.start_timeout, None)
    if clients.missing_topics(settings.kafka, [topic]):
        raise BadSettings(
            f"no topic {topic} at {settings.kafka.bootstrap_servers}, or no permission to see it; "
            "`moderator topics create` makes the topics"
        )
    return topic
