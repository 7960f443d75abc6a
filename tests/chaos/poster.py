"""Post small pictures at a steady pace. Knows nothing of what is done to members or broker.

Posts go to the broker directly. One whose acknowledgement fails is posted again; whether it then
is in the topic twice does not matter, as each record has coordinates of its own.
"""

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError

from moderator.compose import PostRecord

TICK = 0.02
ACKNOWLEDGED = 120.0
"""Seconds within which the broker has to take a post, over its restarts."""


class Poster:
    """Posts ``total`` records on a thread of its own.

    Args:
        bootstrap_servers: The broker.
        topic: Where to post.
        records: What to post, again and again, under keys of its own.
        total: How many records.
        seed: Gives their order.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        topic: str,
        records: Sequence[PostRecord],
        *,
        total: int,
        seed: int,
    ) -> None:
        self._producer = KafkaProducer(
            bootstrap_servers=bootstrap_servers,
            acks="all",
            enable_idempotence=True,
            linger_ms=5,
            max_block_ms=round(ACKNOWLEDGED * 1000),
            delivery_timeout_ms=round(ACKNOWLEDGED * 1000),
            request_timeout_ms=30_000,
        )
        self._topic = topic
        self._records = records
        self._chance = random.Random(seed)
        self._sent: deque[Any] = deque()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="poster", daemon=True)
        self.total = total
        self.posted = 0
        self.repeated = 0
        self.pace: Callable[[], float] = lambda: 0.0
        """Posts a second as they should be now; asked before each."""

    def start(self) -> None:
        """Begin to post."""
        self._thread.start()

    @property
    def left(self) -> int:
        """Posts that are yet to be acknowledged."""
        return self.total - self.posted + len(self._sent)

    @property
    def done(self) -> bool:
        """Whether everything is posted and acknowledged."""
        return not self._thread.is_alive() and self.left == 0

    def close(self) -> None:
        """Post no more."""
        self._stop.set()
        self._thread.join(10)
        with suppress(KafkaError):
            self._producer.close(timeout=5)

    def _run(self) -> None:
        credit, before = 0.0, time.monotonic()
        while self.left and not self._stop.is_set():
            now = time.monotonic()
            # What a pause of the broker held up is not made up for by a burst.
            credit = min(credit + (now - before) * self.pace(), max(10.0, self.pace()))
            before = now
            while credit >= 1 and self.posted < self.total:
                self._post()
                credit -= 1
            self._look()
            time.sleep(TICK)

    def _post(self) -> None:
        record = self._chance.choice(self._records)
        key = f"post-{self.posted}-{self.repeated}".encode()
        with suppress(KafkaError):
            self._sent.append(
                self._producer.send(
                    self._topic, key=key, value=record.value, headers=list(record.headers)
                )
            )
            self.posted += 1

    def _look(self) -> None:
        """Take note of acknowledgements; what failed is to be posted again."""
        while self._sent and self._sent[0].is_done:
            if self._sent.popleft().exception is not None:
                self.posted -= 1
                self.repeated += 1
