"""Tell a topic that was made anew from the one of the same name before it (KIP-516)."""

from typing import Any

from kafka import KafkaConsumer


class TopicIds:
    """The ids that the brokers gave to topics, as a consumer's metadata say.

    Args:
        consumer: Subscribed to the topics that are asked for.
    """

    def __init__(self, consumer: KafkaConsumer) -> None:
        # The client has no public way to these.
        self._cluster: Any = consumer._cluster

    def __call__(self, topic: str) -> str:
        """Return a topic's id, empty where it is not known: no such topic, or an old broker."""
        found = self._cluster.topic_id(topic)
        return str(found) if found is not None and found.int else ""

    def ask(self) -> None:
        """Have the metadata fetched anew soon; does not wait."""
        self._cluster.request_update()
