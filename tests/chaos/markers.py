"""Ends of transactions as they stand in the files of a partition. Knows nothing of brokers.

Walks over record batches of message format 2 (KIP-98); a batch whose control bit is set holds one
record whose key says whether the transaction was committed or aborted.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

HEADER = struct.Struct(">qiibIhiqqqhii")
"""Base offset, length, leader epoch, magic, checksum, attributes, last offset delta, first and
last time in ms, producer id and epoch, first sequence, count."""

BEFORE_LENGTH = 12
"""Bytes of a batch that its length does not count: base offset and the length itself."""

CONTROL = 0x20
KEY = struct.Struct(">hh")
"""Version and kind (0 abort, 1 commit)."""

KEY_AT = HEADER.size + 5
"""A control record's length, attributes, both deltas and the key's length take a byte each."""


@dataclass(frozen=True, slots=True)
class Marker:
    """The end of a transaction in one partition; ``time`` in seconds since 1970."""

    producer: int
    time: float
    committed: bool


def markers(segment: bytes) -> Iterator[Marker]:
    """Yield the ends of transactions in one segment, in the order of offsets.

    Args:
        segment: A ``.log`` file; zeros or half a batch at its end are left out.
    """
    at = 0
    while at + HEADER.size <= len(segment):
        fields = HEADER.unpack_from(segment, at)
        length, magic, attributes, time, producer = (fields[n] for n in (1, 3, 5, 8, 9))
        if magic != 2 or length <= 0 or at + BEFORE_LENGTH + length > len(segment):
            return
        if attributes & CONTROL:
            kind = KEY.unpack_from(segment, at + KEY_AT)[1]
            if kind in (0, 1):
                yield Marker(producer, time / 1000, committed=kind == 1)
        at += BEFORE_LENGTH + length


def aborted_after(found: list[Marker], producer: int, moment: float) -> bool:
    """Return whether a producer's first transaction to end after a moment was aborted.

    That is what becomes of a transaction that was open when the producer's process was killed;
    one whose commit was already asked for is committed all the same.

    Args:
        found: All markers, of all partitions, in any order.
        producer: Its id, which its successor of the same transactional id has as well.
        moment: Seconds since 1970.
    """
    later = [each for each in found if each.producer == producer and each.time >= moment]
    return bool(later) and not min(later, key=lambda each: each.time).committed
