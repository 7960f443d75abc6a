"""Take note of rebalances, on the Kafka client's I/O thread. Reads and decides nothing."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from kafka import AsyncConsumerRebalanceListener, OffsetAndMetadata
from kafka.errors import KafkaError
from prometheus_client import Counter

from moderator.records import Partition
from moderator.streaming.epochs import Epochs

logger = logging.getLogger(__name__)

REBALANCES = Counter("moderator_rebalances_total", "Changes of assignment, by kind.", ["kind"])

LOOK = 0.02
"""Seconds between two looks at whether what was begun of revoked partitions is published."""


class Loop(Protocol):
    """The client's own event loop, which is not asyncio's; nothing here may block it."""

    async def sleep(self, seconds: float) -> None:
        """Let the loop go on with other things."""
        ...

    async def commit(self, offsets: Mapping[Partition, OffsetAndMetadata]) -> None:
        """Commit next offsets, within a short time.

        Raises:
            KafkaError: They are not committed, or it is not known.
        """
        ...

    def reachable(self) -> bool:
        """Return whether the group's coordinator is known and connected."""
        ...


class RebalanceListener(AsyncConsumerRebalanceListener):  # type: ignore[misc]
    """Keeps the epochs of partitions as the group assigns and takes them.

    Partitions that are taken away in good order stay this member's until what was begun of them
    is published and committed, or until ``patience`` seconds are over: the next owner then reads
    little twice. Those that are lost are another member's already.

    Args:
        epochs: Where it is noted.
        loop: The loop that this runs on.
        take_commits: Hands over the offsets of partitions that are to be committed outside any
            transaction, as they are when it is called.
        patience: Seconds that revoked partitions are held for what was begun.
    """

    def __init__(
        self,
        epochs: Epochs,
        loop: Loop,
        take_commits: Callable[[Iterable[Partition]], Mapping[Partition, OffsetAndMetadata]],
        patience: float,
    ) -> None:
        self._epochs = epochs
        self._loop = loop
        self._take_commits = take_commits
        self.patience = patience

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        """See kafka-python's ``AsyncConsumerRebalanceListener``."""
        REBALANCES.labels("assigned").inc()
        self._epochs.assign(Partition(*partition) for partition in assigned)

    async def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        """See kafka-python's ``AsyncConsumerRebalanceListener``."""
        REBALANCES.labels("revoked").inc()
        partitions = [Partition(*partition) for partition in revoked]
        self._epochs.close(partitions)
        begin = time.monotonic()
        while self._epochs.begun(partitions) and time.monotonic() - begin < self.patience:
            await self._loop.sleep(LOOK)
        await self._commit(partitions)
        self._epochs.give_up(partitions)

    async def on_partitions_lost(self, lost: Iterable[Any]) -> None:
        """See kafka-python's ``AsyncConsumerRebalanceListener``."""
        REBALANCES.labels("lost").inc()
        self._epochs.give_up(Partition(*partition) for partition in lost)

    async def _commit(self, partitions: Iterable[Partition]) -> None:
        """Commit what is published: the reader's thread, which else does it, waits for this."""
        offsets = self._take_commits(partitions)
        if not offsets:
            return
        try:
            await self._loop.commit(offsets)
        except KafkaError as error:
            logger.warning("committing revoked partitions: %s: %s", type(error).__name__, error)
