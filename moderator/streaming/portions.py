"""Bound the bytes that one poll of the Kafka client hands out; by itself it counts records alone.

Used by the reader, whose inbox is bounded by what records weigh: so many large records at once
would exceed it, whatever back pressure says afterwards.
"""

from typing import Any

from kafka import KafkaConsumer

from moderator.records import weight


def bound_polls(consumer: KafkaConsumer, most: int) -> None:
    """Have a consumer end a poll once what it hands out weighs so many bytes or more.

    The client has no public way to do so: this replaces the class with which its fetcher takes
    fetched data apart, for this consumer alone. One record is always handed out.
    """
    fetcher = consumer._fetcher
    original = fetcher.PartitionRecords
    append, fetched_records = fetcher._append, fetcher.fetched_records
    spent = 0

    class Weighed(original):  # type: ignore[misc, valid-type]
        """The client's own, whose records are taken one by one and weighed."""

        def take(self, n: int | None = None) -> list[Any]:
            nonlocal spent
            taken: list[Any] = []
            while (n is None or len(taken) < n) and (spent < most or not spent):
                try:
                    found = super().take(1)
                except Exception as error:
                    if not taken:
                        raise
                    # As the client does: raised once what came before it was handed out.
                    self._next_inline_exception = error
                    break
                if not found:
                    break
                spent += sum(weight(row.key, row.value, row.headers) for row in found)
                taken += found
            return taken

    def bounded_append(drained: Any, part: Any, max_records: int, update_offsets: bool) -> int:
        count: int = append(drained, part, max_records, update_offsets)
        # As many as were asked for: the client then looks for no more.
        return max_records if spent >= most else count

    def from_nothing(*args: Any, **given: Any) -> Any:
        nonlocal spent
        spent = 0
        return fetched_records(*args, **given)

    fetcher.PartitionRecords = Weighed
    fetcher._append = bounded_append
    fetcher.fetched_records = from_nothing
