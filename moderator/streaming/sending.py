"""Send records, wait until all are acknowledged, and tell which are too large for their topics."""

from collections.abc import Collection, Sequence
from typing import Any, Protocol

from kafka.errors import KafkaTimeoutError, MessageSizeTooLargeError, RecordListTooLargeError

from moderator.decisions import Outgoing

TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)


class TooLargeError(Exception):
    """Records are too large for the topics that they are meant for.

    Args:
        places: Which, by their place among those that were sent.
        cause: What the client or a broker said of the first of them.
    """

    def __init__(self, places: Collection[int], cause: Exception) -> None:
        super().__init__(str(cause))
        self.places = frozenset(places)
        self.cause = cause


class Sender(Protocol):
    """The part of kafka-python's producer that sending uses."""

    # ruff: noqa: D102
    def send(
        self,
        topic: str,
        *,
        key: bytes | None,
        value: bytes | None,
        headers: list[tuple[str, bytes]],
    ) -> Any: ...
    def flush(self, timeout: float) -> None: ...


def send(producer: Sender, records: Sequence[tuple[str, Outgoing]], timeout: float) -> None:
    """Send records to topics and wait until all are acknowledged.

    Args:
        producer: Sends them.
        records: Each with its topic.
        timeout: Seconds that all may take together.

    Raises:
        TooLargeError: Some are too large, whatever became of the others.
        KafkaError: One was not acknowledged.
    """
    futures: dict[int, Any] = {}
    refused: dict[int, Exception] = {}
    for place, (topic, record) in enumerate(records):
        headers = list(record.headers)
        try:
            futures[place] = producer.send(
                topic, key=record.key, value=record.value, headers=headers
            )
        except TOO_LARGE as error:
            # By the client, before it is sent.
            refused[place] = error
    producer.flush(timeout=timeout)
    failed = {n: each.exception for n, each in futures.items() if each.exception is not None}
    refused |= {n: error for n, error in failed.items() if isinstance(error, TOO_LARGE)}
    if refused:
        raise TooLargeError(refused, next(iter(refused.values())))
    # Before any commit: committing after a failed record would hang for ever.
    for fault in failed.values():
        raise fault
    if not all(future.is_done for future in futures.values()):
        raise KafkaTimeoutError(f"records not acknowledged within {timeout:g} s")
