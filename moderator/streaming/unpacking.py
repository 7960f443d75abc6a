"""Take a record batch of format v2 apart as a stream: in bounded memory, record by record.

A few KiB can hold hundreds of MiB, and one record can be broken among sound ones. Here a batch is
decompressed piece by piece as its records are asked for; a record that cannot be read, or that is
larger than any post may be, is replaced by a stand-in, and the others are read.
"""

import gzip
import io
import struct
from collections.abc import Iterator
from typing import Any

import lz4.frame
import snappy
import zstandard
from kafka.record.default_records import DefaultRecord, DefaultRecordBatch
from kafka.record.util import decode_varint

from moderator.records import UNREADABLE

PIECE = 2**18
"""Bytes that are decompressed at a time."""

MAX_SKIPPED = 2**28
"""Bytes of a record that is passed over; behind a larger one nothing of the batch is read."""

MAX_WHOLE = 2**25
"""Bytes that may come out of compressed data at once, where the codec cannot do less: a block of
snappy, and what zstd refers back to, of which levels up to 20 need no more. A batch of one record
of the largest size always fits."""

MAX_HEAD = 2**16
"""Bytes of a record that is too large in which its key is looked for."""

NONE, GZIP, SNAPPY, LZ4, ZSTD = range(5)
XERIAL = b"\x82SNAPPY\x00"
XERIAL_HEADER = 16


class UnreadableError(Exception):
    """Data are not what they should be; the text says how, in a few words."""


class Lost:
    """The stand-in for a record that cannot be read, as the client's own records look."""

    value = None
    timestamp = -1
    timestamp_type = 0
    checksum = None
    size_in_bytes = 0

    def __init__(self, offset: int, reason: str, key: bytes | None = None) -> None:
        self.offset = offset
        self.key = key
        self.headers = [(UNREADABLE, reason.encode())]

    def validate_crc(self) -> bool:
        """Return True: there is nothing that a checksum could be wrong of."""
        return True


def unpacked(batch: DefaultRecordBatch, max_record: int) -> Iterator[Any]:
    """Yield the records of a batch whose header is believed; of what cannot be read, stand-ins.

    Each offset of the batch comes once, in order; in a compacted topic, each that is left. A
    stand-in has the key of its record, where that can be read.

    Args:
        batch: Not read from yet.
        max_record: Bytes of a record that is read; of a larger one only offset and key are.
    """
    first, delta, count = batch.base_offset, batch.last_offset_delta, batch.records_count
    # Compaction leaves gaps. Without any, the place says the offset, whatever the record says.
    dense = count == delta + 1
    upcoming = 0
    try:
        data = memoryview(batch._buffer)[batch._pos :]
        stream = _Stream(pieces(batch.compression_type, data, max(MAX_WHOLE, 2 * max_record)))
        for place in range(count):
            row = _next(stream, batch, upcoming, max_record)
            wanted = place if dense else max(upcoming, row.offset - first)
            if row.offset - first != wanted or wanted > delta:
                row = Lost(first + wanted, "a record with an offset that it cannot have")
            if wanted <= delta:
                yield row
            upcoming = wanted + 1
    except Exception as error:
        # Codecs raise errors of their own.
        fault = str(error) if isinstance(error, UnreadableError) else type(error).__name__
        reason = f"record batch that cannot be read ({fault})"
        yield from (Lost(first + place, reason) for place in range(upcoming, delta + 1))


def pieces(codec: int, data: memoryview, most: int) -> Iterator[bytes | memoryview]:
    """Yield what compressed data hold, a piece at a time.

    Args:
        codec: Its number in a batch's attributes.
        data: What is compressed.
        most: Bytes that may be held at once, where the codec cannot do with a piece.

    Raises:
        UnreadableError: There is no such codec, or one step gives too much.
        Exception: Whatever the codec finds wrong.
    """
    if codec == NONE:
        yield data
    elif codec == GZIP:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as plain:
            yield from iter(lambda: plain.read(PIECE), b"")
    elif codec == ZSTD:
        decompressor = zstandard.ZstdDecompressor(max_window_size=most)
        with decompressor.stream_reader(io.BytesIO(data), read_across_frames=True) as reader:
            yield from iter(lambda: reader.read(PIECE), b"")
    elif codec == LZ4:
        yield from _lz4(data)
    elif codec == SNAPPY:
        yield from _snappy(data, most)
    else:
        raise UnreadableError(f"codec {codec} does not exist")


def _lz4(data: memoryview) -> Iterator[bytes]:
    frame = lz4.frame.LZ4FrameDecompressor()
    given = data.tobytes()
    while not frame.eof:
        piece = frame.decompress(given, max_length=PIECE)
        if not piece and frame.needs_input:
            raise UnreadableError("compressed data that end early")
        given = b""
        yield piece


def _snappy(data: memoryview, most: int) -> Iterator[bytes]:
    """Yield the blocks of Xerial's framing, which Kafka's clients use, or else all at once."""
    if data[: len(XERIAL)] != XERIAL:
        yield _snappy_block(data, most)
        return
    place = XERIAL_HEADER
    while place < len(data):
        (size,) = struct.unpack_from(">i", data, place)
        if not 0 < size <= len(data) - place - 4:
            raise UnreadableError("compressed data that end early")
        yield _snappy_block(data[place + 4 : place + 4 + size], most)
        place += 4 + size


def _snappy_block(data: memoryview, most: int) -> bytes:
    size = shift = 0
    for byte in data[:5]:
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    if size > most:
        raise UnreadableError(f"{size} bytes in one block")
    return bytes(snappy.decompress(data.tobytes()))


class _Stream:
    """Bytes that come in pieces, read from the first to the last."""

    def __init__(self, source: Iterator[bytes | memoryview]) -> None:
        self._source = source
        self._piece: bytes | memoryview = b""
        self._place = 0

    def varint(self) -> int:
        """Read a number in zigzag form, as Kafka's records have it."""
        raw = shift = 0
        while True:
            if self._place >= len(self._piece):
                self._refill()
            byte = self._piece[self._place]
            self._place += 1
            raw |= (byte & 0x7F) << shift
            if byte < 0x80:
                return (raw >> 1) ^ -(raw & 1)
            shift += 7
            if shift > 63:
                raise UnreadableError("a number that does not end")

    def take(self, size: int) -> bytes:
        """Read so many bytes."""
        parts = []
        while size > 0:
            if self._place >= len(self._piece):
                self._refill()
            part = self._piece[self._place : self._place + size]
            self._place += len(part)
            size -= len(part)
            parts.append(part)
        return b"".join(parts)

    def skip(self, size: int) -> None:
        """Pass over so many bytes."""
        while size > 0:
            if self._place >= len(self._piece):
                self._refill()
            passed = min(size, len(self._piece) - self._place)
            self._place += passed
            size -= passed

    def _refill(self) -> None:
        piece = next(self._source, None)
        if piece is None:
            raise UnreadableError("it ends early")
        self._piece, self._place = piece, 0


def _next(stream: _Stream, batch: DefaultRecordBatch, upcoming: int, max_record: int) -> Any:
    """Read the next record, or pass over it where it is too large or broken in itself."""
    size = stream.varint()
    if not 0 < size <= MAX_SKIPPED:
        raise UnreadableError(f"a record of {size} bytes")
    if size > max_record:
        head = stream.take(min(size, MAX_HEAD))
        stream.skip(size - len(head))
        reason = f"a record of {size} bytes, over the limit of {max_record}"
        return _headless(head, batch, upcoming, reason)
    body = stream.take(size)
    try:
        return _record(body, batch)
    except (IndexError, UnreadableError, ValueError) as error:
        fault = str(error) if isinstance(error, UnreadableError) else "wrong lengths"
        return _headless(body, batch, upcoming, f"a record that cannot be read ({fault})")


def _headless(body: bytes, batch: DefaultRecordBatch, upcoming: int, reason: str) -> Lost:
    """Return a stand-in that has the record's offset and key, where these can be read."""
    try:
        _, offset, place = _begin(body, batch)
        key, _ = _bytes(body, place)
    except (IndexError, UnreadableError, ValueError):
        return Lost(batch.base_offset + upcoming, reason)
    return Lost(offset, reason, key)


def _begin(body: bytes, batch: DefaultRecordBatch) -> tuple[int, int, int]:
    """Return a record's timestamp and offset, and where its key begins."""
    after, place = decode_varint(body, 1)
    delta, place = decode_varint(body, place)
    appended = batch.timestamp_type == batch.LOG_APPEND_TIME
    timestamp = batch.max_timestamp if appended else batch.first_timestamp + after
    return timestamp, batch.base_offset + delta, place


def _record(body: bytes, batch: DefaultRecordBatch) -> DefaultRecord:
    timestamp, offset, place = _begin(body, batch)
    key, place = _bytes(body, place)
    value, place = _bytes(body, place)
    count, place = decode_varint(body, place)
    if not 0 <= count <= len(body):
        raise UnreadableError(f"{count} headers")
    headers = []
    for _ in range(count):
        name, place = _bytes(body, place)
        if name is None:
            raise UnreadableError("a header without a name")
        held, place = _bytes(body, place)
        # What of a name is not UTF-8 is written out, so that the name can be published again.
        headers.append((name.decode(errors="backslashreplace"), held))
    if place != len(body):
        raise UnreadableError("wrong lengths")
    return DefaultRecord(len(body), offset, timestamp, batch.timestamp_type, key, value, headers)


def _bytes(body: bytes, place: int) -> tuple[bytes | None, int]:
    """Return a field with its length before it, None where that is negative, and what follows."""
    size, place = decode_varint(body, place)
    if size < 0:
        return None, place
    if size > len(body) - place:
        raise UnreadableError("wrong lengths")
    return body[place : place + size], place + size
