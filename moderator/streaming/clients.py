"""Make Kafka clients from settings, and wait for the brokers. Knows nothing of what is sent."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from kafka import (
    KafkaAdminClient,
    KafkaConsumer,
    KafkaProducer,
    OffsetAndMetadata,
    TopicPartition,
)
from kafka.errors import KafkaError, KafkaTimeoutError

from moderator.errors import BadSettings, Unavailable
from moderator.records import Partition
from moderator.settings import Kafka
from moderator.streaming.assignor import Assignor
from moderator.streaming.connecting import ATTEMPT, connected

logger = logging.getLogger(__name__)

T = TypeVar("T")

PARTITION_BYTES = 2 * 2**20
"""Bytes of a partition that one fetch takes; a larger record still comes, alone (KIP-74)."""

FETCH_BYTES = 32 * 2**20
"""Bytes of one fetch from one broker."""

LINGER = 0.005
"""Seconds that a record waits for others to go with it; every batch is flushed anyway."""

DEAD_LETTER_ROOM = 64 * 1024
"""Bytes that the dead-letter topic takes beyond those of a post (design section 3)."""

HEADROOM = 2**20
"""Bytes by which what is published may exceed the post it came from."""


def consumer(kafka: Kafka, *, group: bool, client_id: str = "moderator") -> KafkaConsumer:
    """Return a consumer that nothing is assigned to yet.

    Args:
        kafka: Where the brokers are.
        group: Whether it belongs to the group (cooperative-sticky, offsets committed by hand).
        client_id: Shown in the broker's log and quotas.

    Raises:
        BadSettings: The brokers refuse these settings.
        Unavailable: The brokers cannot be reached.
    """
    configuration: dict[str, Any] = {
        "client_id": client_id,
        # Also where the input is not transactional: only so are stable offsets asked for (KIP-447).
        "isolation_level": "read_committed",
        "enable_auto_commit": False,
        "auto_offset_reset": "none",
        "allow_auto_create_topics": False,
        "max_partition_fetch_bytes": PARTITION_BYTES,
        "fetch_max_bytes": FETCH_BYTES,
        "fetch_max_wait_ms": 100,
        # How soon partitions that are added to the topic are found.
        "metadata_max_age_ms": 30_000,
        "metrics_enabled": False,
    }
    assignor = Assignor()
    if group:
        session = round(kafka.session_timeout * 1000)
        configuration |= {
            "group_id": kafka.group,
            "group_instance_id": kafka.group_instance_id,
            "partition_assignment_strategy": (assignor,),
            "session_timeout_ms": session,
            "heartbeat_interval_ms": min(3000, session // 5),
        }
    built: KafkaConsumer = connected(KafkaConsumer, kafka, configuration)
    assignor.follow(built)
    return built


def producer(kafka: Kafka, *, transactional: bool, max_request: int | None = None) -> KafkaProducer:
    """Return a producer; a transactional one has not begun its transactions yet.

    Args:
        kafka: Where the brokers are.
        transactional: Whether it publishes in transactions, under ``transactional_id``.
        max_request: Bytes that a record may have, before compression; None: 64 MiB.

    Raises:
        BadSettings: The brokers refuse these settings.
        Unavailable: The brokers cannot be reached.
    """
    deadline = round(kafka.publish_timeout * 1000)
    linger = round(LINGER * 1000)
    configuration: dict[str, Any] = {
        "client_id": "moderator",
        "acks": "all",
        "linger_ms": linger,
        "batch_size": 256 * 1024,
        "max_request_size": max_request or 64 * 2**20,
        "max_block_ms": deadline,
        "delivery_timeout_ms": deadline,
        "request_timeout_ms": max(500, deadline - linger - 100),
        "allow_auto_create_topics": False,
        "metrics_enabled": False,
        # Brokers older than 2.5 cannot tell a retried record from a new one in every case; the
        # demo's broker is one of those and does without.
        "enable_idempotence": kafka.kafka_api_version is None,
    }
    if transactional:
        configuration |= {
            "enable_idempotence": True,
            "transactional_id": transactional_id(kafka),
            "transaction_timeout_ms": round(kafka.transaction_timeout * 1000),
        }
    return connected(_Bounded, kafka, configuration)


def reached_before(make: Callable[[], T]) -> T:
    """Make a client for brokers that took these settings before.

    What they refuse now may be well again soon: a password that is being rotated.

    Raises:
        Unavailable: They refuse the settings, or cannot be reached.
    """
    try:
        return make()
    except BadSettings as error:
        raise Unavailable(str(error)) from None


class _Bounded(KafkaProducer):  # type: ignore[misc]
    """A producer whose transactions fail in time; the client's own wait for ever.

    After a time-out it is spent: what became of the transaction is not known.
    """

    def send_offsets_to_transaction(self, offsets: Any, group_metadata: Any) -> None:
        manager = self._transaction_manager
        self._within(manager.send_offsets_to_transaction(offsets, group_metadata))

    def commit_transaction(self) -> None:
        self._within(self._transaction_manager.begin_commit())

    def abort_transaction(self) -> None:
        self._within(self._transaction_manager.begin_abort())

    def _within(self, result: Any) -> None:
        self._sender.wakeup()
        if not result.wait(timeout_ms=self.config["max_block_ms"]):
            raise KafkaTimeoutError("the coordinator of the transaction does not answer")


class GroupLoop:
    """A consumer's own event loop, for its rebalance listener (see ``listener.Loop``)."""

    def __init__(self, consumer: KafkaConsumer) -> None:
        self._consumer = consumer

    async def sleep(self, seconds: float) -> None:
        """Let the loop go on with other things."""
        await self._consumer._net.sleep(seconds)

    async def commit(self, offsets: Mapping[Partition, OffsetAndMetadata]) -> None:
        """Commit next offsets, within a short time.

        Raises:
            KafkaError: They are not committed, or it is not known.
        """
        await self._consumer._coordinator._commit_offsets_sync_async(
            {TopicPartition(*partition): stand for partition, stand in offsets.items()}, 2000
        )

    def reachable(self) -> bool:
        """Return whether the group's coordinator is known and connected."""
        return not self._consumer._coordinator.coordinator_unknown()


def discard(spent: KafkaProducer) -> None:
    """Close a producer at once; what it has not sent is never sent.

    The client's own ``close`` first waits for everything to be sent, and raises, with its thread
    still running, where the brokers are away.
    """
    spent._sender.force_close()
    spent._sender.join(1)
    try:
        spent.close(timeout=0)
    except KafkaError:
        logger.debug("a spent producer had records left")


def transactional_id(kafka: Kafka) -> str:
    """Return ``<group>-<instance>-<process>``; one process publishes, so the process is 0."""
    return f"{kafka.group}-{kafka.instance}-0"


def admin(kafka: Kafka, attempt: float = ATTEMPT) -> KafkaAdminClient:
    """Return a client for topics, groups and configuration.

    Args:
        kafka: Where the brokers are.
        attempt: Seconds that reaching them may take.

    Raises:
        BadSettings: The brokers refuse these settings.
        Unavailable: The brokers cannot be reached.
    """
    bootstrap = round(attempt * 1000)
    return connected(
        KafkaAdminClient,
        kafka,
        {"client_id": "moderator-admin", "bootstrap_timeout_ms": bootstrap},
    )


def wait_for_broker(kafka: Kafka, timeout: float, stop: threading.Event | None) -> None:
    """Wait until the brokers answer.

    Args:
        kafka: Where they are.
        timeout: Seconds to wait; 0 waits for ever.
        stop: Ends the wait early when set.

    Raises:
        BadSettings: The brokers refuse these settings, for instance the password.
        Unavailable: They did not answer in time, or the wait was stopped.
    """
    deadline = time.monotonic() + timeout if timeout else None
    reported = False
    while stop is None or not stop.is_set():
        left = ATTEMPT if deadline is None else deadline - time.monotonic()
        try:
            admin(kafka, min(ATTEMPT, max(0.5, left))).close()
        except Unavailable as error:
            if deadline is not None and time.monotonic() >= deadline:
                raise Unavailable(
                    f"no broker answers at {kafka.bootstrap_servers} within {timeout:g} s; "
                    "check bootstrap_servers and security_protocol"
                ) from None
            if not reported:
                logger.warning("%s; waiting", error)
                reported = True
            time.sleep(0.2)
        else:
            return
    raise Unavailable("stopped while waiting for the brokers")


def missing_topics(kafka: Kafka, topics: Iterable[str]) -> list[str]:
    """Return the topics that the brokers do not have, or do not show to this user.

    Raises:
        Unavailable: The brokers cannot be reached.
    """
    client = admin(kafka)
    try:
        known = set(client.list_topics())
    except KafkaError as error:
        raise Unavailable(f"topics cannot be listed: {type(error).__name__}: {error}") from None
    finally:
        client.close()
    return [topic for topic in topics if topic not in known]
