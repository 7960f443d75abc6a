"""Read past record batches that cannot be read, one stand-in record for each lost offset.

kafka-python raises once from ``poll`` at such a batch and then spins for ever. Here batches are
looked at before the client takes them apart: in place of one whose checksum or header is wrong,
the client is given a stand-in for each of its offsets, with the ``UNREADABLE`` header, so that
each gets its ``malformed`` decision and nothing passes silently. What is in sound ones is taken
apart here as well (see ``unpacking``).
"""

import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from kafka import KafkaConsumer
from kafka.record import MemoryRecords

from moderator.streaming.portions import bound_polls
from moderator.streaming.unpacking import Lost, UnreadableError, pieces, unpacked

MAX_RECORD = 2**25
"""Bytes of a record that is read, unless another limit is given."""

MAX_POLLED = 2**25
"""Bytes that one poll hands out, about, unless another limit is given."""

MOST_LOST = 100_000
"""Offsets that one batch is believed to hold at most, where its own header cannot be believed."""


def tolerate_unreadable(
    consumer: KafkaConsumer,
    max_record: int = MAX_RECORD,
    *,
    max_polled: int = MAX_POLLED,
    keys: bool = False,
) -> None:
    """Make a consumer read past batches that cannot be read, and read others in bounded memory.

    The client has no public way to do so: this replaces the class with which its fetcher takes
    fetched data apart, for this consumer alone.

    Args:
        consumer: Whose.
        max_record: Bytes of a record that is read; a larger one is replaced by a stand-in.
        max_polled: Bytes that what one poll hands out weighs, about.
        keys: Whether stand-ins have the keys of their records, as far as these can be read. Not
            so where a record with a key and no value is a removal.
    """
    fetcher = consumer._fetcher
    original = fetcher.PartitionRecords
    doubts: dict[Any, int] = {}

    class Tolerant(original):  # type: ignore[misc, valid-type]
        """The client's own, over batches whose unreadable ones are replaced."""

        def _unpack_records(self, tp: Any, records: Any, *deserializers: Any) -> Any:
            wanted = self.next_fetch_offset
            batches = _Batches(
                records,
                wanted,
                doubtful=doubts.pop(tp, None) == wanted,
                on_doubt=lambda offset: doubts.update({tp: offset}),
                max_record=max_record,
                keys=keys,
            )
            return super()._unpack_records(tp, batches, *deserializers)

    fetcher.PartitionRecords = Tolerant
    bound_polls(consumer, max_polled)


class _Batches:
    """The batches of fetched data, the unreadable ones replaced by stand-ins.

    After stand-ins for a batch whose checksum is wrong there are no more: the broker is asked
    anew for what follows. The batch may have been the end of an aborted transaction, without
    which the client would take the producer's next one for aborted, too.

    Args:
        records: The fetched data.
        wanted: The offset that was asked for; a batch may begin before it.
        doubtful: Whether ``wanted`` comes after a batch that was not known to end there, so that
            what the broker leaves out, believing the batch's header, is lost as well.
        on_doubt: Told the offset that will be asked for next and be ``doubtful``.
        max_record: Bytes of a record that is read.
        keys: Whether stand-ins have the keys of their records.
    """

    def __init__(
        self,
        records: MemoryRecords,
        wanted: int,
        *,
        doubtful: bool,
        on_doubt: Callable[[int], None],
        max_record: int = MAX_RECORD,
        keys: bool = False,
    ) -> None:
        self._records = records
        self._wanted = wanted
        self._doubtful = doubtful
        self._on_doubt = on_doubt
        self._max_record = max_record
        self._keys = keys
        self._ahead: Any = None
        self._ended = False

    def next_batch(self) -> Any:
        """Return the next batch as the client's fetcher takes it, None at the end."""
        while not self._ended:
            batch, sound = self._next()
            if batch is None and sound:
                break
            skipped = sound and self._doubtful and batch.magic == 2
            self._doubtful = False
            if skipped and 0 < batch.base_offset - self._wanted < MOST_LOST:
                lost = range(self._wanted, batch.base_offset)
            elif sound:
                return self._read(batch)
            else:
                lost = self._lost(batch)
            if lost:
                self._ended = True
                return _StandIns(lost, "record batch with a wrong checksum")
        return None

    def _next(self) -> tuple[Any, bool]:
        """Return the next batch, None where there is none, and whether its checksum is right."""
        try:
            batch, self._ahead = self._ahead or self._records.next_batch(), None
            # The format's number lies outside of the checksum.
            return batch, batch is None or (batch.magic in (0, 1, 2) and batch.validate_crc())
        except Exception:
            # The header is that of no batch; the client has an error for each way to be wrong.
            return None, False

    def _read(self, batch: Any) -> Any:
        """Read a batch whose checksum is right, so that its header can be believed."""
        if batch.magic == 2:
            self._wanted = batch.next_offset
            if batch.is_control_batch:
                return batch
            found = unpacked(batch, self._max_record)
            return _Read(batch, found if self._keys else map(_without_key, found))
        # Batches of old formats do not say where they begin.
        first, last = self._wanted, batch.base_offset
        self._wanted = last + 1
        try:
            _check_size(batch, max(MAX_RECORD, self._max_record))
            rows = list(batch)
            if all(row.validate_crc() for row in rows):
                return _Read(batch, rows)
            fault = "a record with a wrong checksum"
        except Exception as error:
            # Codecs raise errors of their own.
            fault = str(error) if isinstance(error, UnreadableError) else type(error).__name__
        reason = f"record batch that cannot be read ({fault})"
        return _Read(batch, _lost_records(range(first, last + 1), reason))

    def _lost(self, batch: Any) -> range:
        """Return the offsets from the wanted one on of a batch whose header is in doubt.

        A header that says how many records there are twice, and both times the same, is
        believed. Else the batch ends where the next one begins; and where that is not known
        either, it is one offset: for the next, the broker hands out the same batch again, or else
        what follows it.
        """
        if batch is not None and batch.magic == 2 and batch.records_count > 0:
            first = max(batch.base_offset, self._wanted)
            agree = batch.last_offset_delta == batch.records_count - 1
            if agree and first <= batch.last_offset < first + MOST_LOST:
                return range(first, batch.last_offset + 1)
        try:
            self._ahead = self._records.next_batch()
        except Exception:
            self._ahead = None
        if self._ahead and 0 <= self._ahead.base_offset - self._wanted < MOST_LOST:
            return range(self._wanted, self._ahead.base_offset)
        self._on_doubt(self._wanted + 1)
        return range(self._wanted, self._wanted + 1)


class _Read:
    """A batch whose header is believed: what that says, and its records at hand."""

    def __init__(self, batch: Any, rows: Iterable[Any]) -> None:
        self._batch = batch
        self._rows = rows

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def validate_crc(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Any]:
        return iter(self._rows)


class _StandIns:
    """Stand-ins for a batch whose header is not believed.

    To the client it is a batch of the format before transactions: nothing of the header is used.
    """

    magic = 1

    def __init__(self, offsets: range, reason: str) -> None:
        self.base_offset = offsets.start
        self._rows = _lost_records(offsets, reason)

    def validate_crc(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Any]:
        return self._rows


def _without_key(row: Any) -> Any:
    if isinstance(row, Lost):
        row.key = None
    return row


def _check_size(batch: Any, most: int) -> None:
    """Refuse a compressed batch of an old format that would take more bytes than ``most``.

    The client takes such a batch apart as a whole.

    Raises:
        UnreadableError: It would.
    """
    if not batch.compression_type:
        return
    place = batch.KEY_OFFSET_V1 if batch.magic == 1 else batch.KEY_OFFSET_V0
    for _ in range(2):
        # Key and value, each behind its length; a key of none has the length -1.
        (size,) = struct.unpack_from(">i", batch._buffer, place)
        begin, place = place + 4, place + 4 + max(0, size)
    total = 0
    for piece in pieces(batch.compression_type, batch._buffer[begin:place], most):
        total += len(piece)
        if total > most:
            raise UnreadableError(f"over {most} bytes once decompressed")


def _lost_records(offsets: range, reason: str) -> Iterator[Lost]:
    return (Lost(offset, reason) for offset in offsets)
