"""Publish a shadow's decisions to their topic, outside of every transaction. Decides nothing."""

import logging
import time
from typing import Any

from kafka.errors import KafkaError

from moderator.decisions import Outgoing
from moderator.errors import ModeratorError
from moderator.settings import Kafka
from moderator.streaming import clients

logger = logging.getLogger(__name__)

PAUSE = 10.0
"""Seconds after a failure in which nothing is sent, so that an absent topic costs little."""


class ShadowTopic:
    """Sends records; what cannot be sent is lost, and said so once in a while.

    Args:
        kafka: Where the brokers are.
        topic: Of the shadow's decisions.
    """

    def __init__(self, kafka: Kafka, topic: str) -> None:
        self._kafka = kafka
        self._topic = topic
        self._producer: Any = None
        self._again = 0.0

    def send(self, record: Outgoing) -> bool:
        """Send a record; return whether the client took it. May take ``publish_timeout``."""
        if time.monotonic() < self._again:
            return False
        try:
            if self._producer is None:
                self._producer = clients.producer(self._kafka, transactional=False)
            future = self._producer.send(self._topic, key=record.key, value=record.value)
            future.add_errback(self._note)
        except (KafkaError, ModeratorError) as error:
            self._note(error)
            return False
        return True

    def close(self) -> None:
        """Send what is left, within a short time, and send no more."""
        if self._producer is None:
            return
        try:
            self._producer.flush(timeout=2)
        except KafkaError:
            logger.debug("some decisions of a shadow were not sent")
        clients.discard(self._producer)

    def _note(self, error: BaseException) -> None:
        self._again = time.monotonic() + PAUSE
        logger.warning(
            "topic %s takes no decisions of the shadow (%s); the stream goes on",
            self._topic,
            type(error).__name__,
        )
