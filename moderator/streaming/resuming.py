"""Mend how the Kafka client resumes a partition that was paused alone. Knows nothing of records.

Of kafka-python 3.0.12, which lays what it has fetched of a paused partition aside and takes it up
again only while it has nothing else in hand. What it has used up it keeps in hand as well, so that
a partition which is resumed while others are read may never be read again.
"""

from typing import Any

from kafka import KafkaConsumer


def mend_resuming(consumer: KafkaConsumer) -> None:
    """Make a consumer let go of what it has used up, before it looks for what was laid aside."""
    fetcher = consumer._fetcher
    original = fetcher.fetched_records

    def fetched_records(*args: Any, **given: Any) -> Any:
        if not fetcher._next_partition_records:
            fetcher._next_partition_records = None
        return original(*args, **given)

    fetcher.fetched_records = fetched_records
