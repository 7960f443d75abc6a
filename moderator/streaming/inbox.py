"""Records between reading and the pipeline. Knows nothing of Kafka or of what is done with them."""

import threading
from collections import deque
from collections.abc import Iterable

from prometheus_client import Gauge

from moderator.records import Record

INBOX = Gauge("moderator_queue_records", "Records read that no batch holds yet.")


class Inbox:
    """Records read and not yet taken; full by count or by bytes, whichever comes first."""

    def __init__(self, most_records: int, most_bytes: int) -> None:
        self._most_records = most_records
        self._most_bytes = most_bytes
        self._records: deque[Record] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._closed = False

    def put(self, records: Iterable[Record]) -> None:
        """Add records; never waits, since the reader stops by pausing."""
        with self._changed:
            for record in records:
                self._records.append(record)
                self._bytes += record.weight
            INBOX.set(len(self._records))
            self._changed.notify_all()

    def take(self, timeout: float | None) -> Record | None:
        """Return the next record, None after ``timeout`` seconds (None: no limit) or closing."""
        with self._changed:
            self._changed.wait_for(lambda: self._records or self._closed, timeout)
            if not self._records:
                return None
            record = self._records.popleft()
            self._bytes -= record.weight
            INBOX.set(len(self._records))
            return record

    def close(self) -> None:
        """Let go of everything; takers get None from now on."""
        with self._changed:
            self._records.clear()
            self._bytes = 0
            self._closed = True
            self._changed.notify_all()

    @property
    def fullness(self) -> float:
        """How full it is, 1 and above being full."""
        with self._changed:
            return max(len(self._records) / self._most_records, self._bytes / self._most_bytes)
