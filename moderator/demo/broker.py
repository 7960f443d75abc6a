"""An embedded Kafka for the demo: librdkafka's mock cluster. Knows nothing of what is sent.

It lives in this process and keeps its records in memory, about 5 MB a partition, dropping the
oldest silently; its groups work with one member only. Clients must assume broker version 2.3.
"""

from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

from moderator.errors import BadSettings, Unavailable

BROKERS = 3
API_VERSION = (2, 3)
"""Version that every client of it must assume; without one, kafka-python finds it too new."""

ANSWER = 10.0
"""Seconds that an answer of it may take; it is in this very process."""


class Broker:
    """The cluster, running from construction until it is closed.

    Raises:
        BadSettings: The package that holds it is not installed.
    """

    def __init__(self) -> None:
        try:
            from confluent_kafka import Producer
        except ImportError:
            raise BadSettings(
                "the demo needs confluent-kafka; install it with pip install 'moderator[demo]'"
            ) from None
        # Its log goes to stderr, through the table; level 2 leaves only what is fatal.
        self._handle: Any = Producer({"test.mock.num.brokers": BROKERS, "log_level": 2})
        brokers = self._handle.list_topics(timeout=ANSWER).brokers.values()
        self.bootstrap_servers = ",".join(f"{each.host}:{each.port}" for each in brokers)

    def create(self, topics: Iterable[str]) -> None:
        """Create topics with its number of partitions, by asking for them.

        Raises:
            Unavailable: It does not have a topic that was asked for.
        """
        for topic in topics:
            found = self._handle.list_topics(topic, timeout=ANSWER).topics[topic]
            if found.error is not None:
                raise Unavailable(f"the demo's broker has no topic {topic}: {found.error}")

    def close(self) -> None:
        """Stop it; everything in it is gone."""
        self._handle = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
