"""Hand out again what the Kafka client parked of a paused partition. Knows nothing of records.

Of kafka-python 3.0.12: where one partition is paused while others are read, records of it that were
begun are parked, and it is not fetched from until they are taken up again. That is done only while
no other partition's records are in hand, and the client goes on holding those that are used up: a
partition that was paused alone, as those are that have yet to go back to their committed offset,
then stands still for good while the others flow.
"""

from typing import Any

from kafka import KafkaConsumer


def restore_parked(consumer: KafkaConsumer) -> None:
    """Have a consumer let go of records that are used up, so that parked ones are taken up."""
    fetcher = consumer._fetcher
    original = fetcher.fetched_records

    def fetched_records(*args: Any, **given: Any) -> Any:
        held = fetcher._next_partition_records
        if held is not None and not held:
            fetcher._next_partition_records = None
        return original(*args, **given)

    fetcher.fetched_records = fetched_records
