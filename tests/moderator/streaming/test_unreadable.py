"""Batches as brokers keep them, some of them broken, taken apart by kafka-python's own fetcher."""

import gzip
import itertools
import struct
import subprocess
import sys
import zlib
from collections import namedtuple
from types import SimpleNamespace

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka import TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.protocol.consumer import IsolationLevel
from kafka.record import MemoryRecords, MemoryRecordsBuilder
from kafka.record.util import calc_crc32c, encode_varint

from moderator.records import UNREADABLE, Record, parse_post
from moderator.streaming import unreadable
from moderator.streaming.unreadable import tolerate_unreadable

TP = TopicPartition("posts", 0)
LENGTH, EPOCH, MAGIC, CRC, ATTRIBUTES, LAST_DELTA, COUNT = 8, 12, 16, 17, 21, 23, 57
"""Where fields of a batch of format v2 begin."""

NONE, GZIP, SNAPPY, LZ4, ZSTD = range(5)
Aborted = namedtuple("Aborted", ["producer_id", "first_offset"])


def batch(base: int, count: int, codec: int = NONE, magic: int = 2, producer: int = -1, **given):
    """Return the bytes of a batch of ``count`` records, as a producer builds it."""
    transactional = {"transactional": True, "producer_id": producer, "producer_epoch": 0}
    made = MemoryRecordsBuilder(
        magic=magic,
        compression_type=codec,
        batch_size=2**20,
        offset=base if magic < 2 else 0,
        **({**transactional, "base_sequence": 0} if producer >= 0 else {}),
    )
    for n in range(count):
        made.append(timestamp=1000 + n, key=b"k", value=f"post {base + n} ".encode() * 20)
    made.close()
    data = bytearray(made.buffer())
    if magic == 2:
        struct.pack_into(">q", data, 0, base)
    return data


def marker(base: int, producer: int, *, abort: bool) -> bytearray:
    """Return the batch that ends a transaction."""
    data = batch(base, 1, producer=producer)
    key = struct.pack(">hh", 0, 0 if abort else 1)
    value = struct.pack(">hi", 0, 0)
    fields = b"\x00\x00\x00" + bytes([2 * len(key)]) + key + bytes([2 * len(value)]) + value + b"\0"
    data = data[: COUNT + 4] + bytes([2 * len(fields)]) + fields
    struct.pack_into(">i", data, LENGTH, len(data) - 12)
    return attributes(data, 0x30)


def attributes(data: bytearray, value: int) -> bytearray:
    """Return a batch with other attributes and the checksum that goes with them."""
    struct.pack_into(">h", data, ATTRIBUTES, value)
    return sealed(data)


def sealed(data: bytearray) -> bytearray:
    struct.pack_into(">I", data, CRC, calc_crc32c(memoryview(data)[ATTRIBUTES:]))
    return data


def put(data: bytearray, form: str, place: int, value: int) -> bytearray:
    struct.pack_into(form, data, place, value)
    return data


def flipped(data: bytearray, place: int = -5) -> bytearray:
    data[place] ^= 0xFF
    return data


def fetching() -> SimpleNamespace:
    """Return the part of kafka-python's fetcher that is looked at, without what polls."""
    return SimpleNamespace(
        PartitionRecords=Fetcher.PartitionRecords, _append=None, fetched_records=None
    )


class Log:
    """A partition's log, served as a broker does: whole batches from the one with the offset on.

    Like a broker, it believes every header. ``most`` is how many batches an answer has at most.
    """

    def __init__(self, *batches: bytearray, end: int, most: int = 99, aborted=()) -> None:
        self.batches = batches
        self.end = end
        self.most = most
        self.aborted = aborted

    def fetch(self, offset: int) -> bytes:
        begin = next(
            (n for n, data in enumerate(self.batches) if _last_offset(data) >= offset),
            len(self.batches) - 1,
        )
        return b"".join(self.batches[begin : begin + self.most])

    def read(self, offset: int = 0) -> list:
        """Read to the end with kafka-python's own classes; fail where reading stands still."""
        fetcher = fetching()
        tolerate_unreadable(SimpleNamespace(_fetcher=fetcher))
        rows = []
        while offset < self.end:
            part = fetcher.PartitionRecords(
                offset,
                TP,
                MemoryRecords(self.fetch(offset)),
                isolation_level=IsolationLevel.READ_COMMITTED,
                aborted_transactions=[each for each in self.aborted if each.first_offset >= 0],
            )
            while part:
                rows.extend(part.take(3))
            assert part.next_fetch_offset > offset, f"stands still at {offset}"
            offset = part.next_fetch_offset
        return rows


def _last_offset(data: bytearray) -> int:
    base, magic = struct.unpack_from(">q", data)[0], data[MAGIC]
    return base + (struct.unpack_from(">i", data, LAST_DELTA)[0] if magic == 2 else 0)


def lost(rows) -> list[int]:
    """Return the offsets of stand-ins, having seen that they are what a fault is made of."""
    offsets = []
    for row in rows:
        names = [name for name, _ in row.headers]
        if UNREADABLE in names:
            assert (row.key, row.value) == (None, None)
            record = Record(*row[:2], row.offset, row.timestamp, row.key, row.value, row.headers)
            assert parse_post(record, max_bytes=10, max_images=1).fault.startswith(("record", "a "))
            offsets.append(row.offset)
        else:
            assert row.value == f"post {row.offset} ".encode() * 20
    return offsets


def offsets(rows) -> list[int]:
    return [row.offset for row in rows]


def test_sound_batches_of_every_codec_are_read_as_ever():
    codecs = [NONE, GZIP, SNAPPY, LZ4, ZSTD]
    rows = Log(*(batch(5 * n, 5, codec) for n, codec in enumerate(codecs)), end=25).read()
    assert offsets(rows) == list(range(25))
    assert lost(rows) == []
    assert [row.timestamp for row in rows[:5]] == [1000, 1001, 1002, 1003, 1004]


def test_another_consumer_of_this_process_keeps_its_own_class():
    ours = fetching()
    tolerate_unreadable(SimpleNamespace(_fetcher=ours))
    assert ours.PartitionRecords is not Fetcher.PartitionRecords
    assert issubclass(ours.PartitionRecords, Fetcher.PartitionRecords)


BREAKS = {
    "a flipped bit in the records": lambda: flipped(batch(5, 5)),
    "a flipped bit in compressed records": lambda: flipped(batch(5, 5, LZ4)),
    "another checksum": lambda: flipped(batch(5, 5), CRC),
    "a codec that does not exist": lambda: attributes(batch(5, 5), 5),
    "a codec that it is not compressed with": lambda: attributes(batch(5, 5), ZSTD),
    "gzip that is none": lambda: attributes(batch(5, 5), GZIP),
    "snappy that is none": lambda: attributes(batch(5, 5), SNAPPY),
    "lz4 that is none": lambda: attributes(batch(5, 5), LZ4),
    "compressed data that is broken": lambda: sealed(flipped(batch(5, 5, ZSTD), 65)),
    "records that are cut short": lambda: sealed(shortened(batch(5, 5), 9)),
    "compressed records that are cut short": lambda: sealed(shortened(batch(5, 5, GZIP), 9)),
    "fewer records than the header says": lambda: sealed(
        put(put(batch(5, 4), ">i", LAST_DELTA, 4), ">i", COUNT, 5)
    ),
    "a format that does not exist": lambda: put(batch(5, 5), ">b", MAGIC, 3),
    "a format that it does not have": lambda: put(batch(5, 5), ">b", MAGIC, 1),
    "a negative format": lambda: put(batch(5, 5), ">b", MAGIC, -1),
    "a header cut short": lambda: shortened(batch(5, 5), -40),
    "a last offset far ahead": lambda: put(batch(5, 5), ">i", LAST_DELTA, 2**30),
    "a last offset before the first": lambda: put(batch(5, 5), ">i", LAST_DELTA, -3),
    "no records, says the header": lambda: put(batch(5, 5), ">i", COUNT, 0),
    "control, says a broken header": lambda: put(batch(5, 5), ">h", ATTRIBUTES, 0x20),
}


ENDING = {"records that are cut short", "fewer records than the header says"}
"""What is wrong with these is wrong with the last record alone."""


HIDING = {
    ("a last offset far ahead", 1),
    ("a last offset far ahead", 2),
    ("a last offset before the first", 1),
}
"""Believing these headers, a broker that gives so few batches never hands out what is asked for."""


def shortened(data: bytearray, by: int) -> bytearray:
    """Return a batch without its last bytes (or, negative, with so many left), length mended."""
    data = data[:-by]
    struct.pack_into(">i", data, LENGTH, len(data) - 12)
    return data


@pytest.mark.parametrize(
    ("name", "most"), [each for each in itertools.product(BREAKS, [1, 2, 99]) if each not in HIDING]
)
def test_each_offset_of_a_broken_batch_gets_a_stand_in_and_all_others_are_read(name, most):
    broken = BREAKS[name]()
    rows = Log(batch(0, 5), broken, batch(10, 5, LZ4), batch(15, 2), end=17, most=most).read()
    assert offsets(rows) == list(range(17))
    assert lost(rows) == ([9] if name in ENDING else list(range(5, 10)))


@pytest.mark.parametrize("name", ["a flipped bit in the records", "a codec that does not exist"])
@pytest.mark.parametrize("offset", range(5, 10))
def test_reading_may_begin_within_a_broken_batch(name, offset):
    rows = Log(batch(0, 5), BREAKS[name](), batch(10, 5), end=15).read(offset)
    assert offsets(rows) == list(range(offset, 15))
    assert lost(rows) == list(range(offset, 10))


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_broken_batch_may_be_the_first_the_last_or_all_there_is(place):
    batches = [batch(0, 5), batch(5, 5), batch(10, 5)]
    flipped(batches[place])
    rows = Log(*batches, end=15).read()
    assert offsets(rows) == list(range(15))
    assert lost(rows) == list(range(5 * place, 5 * place + 5))
    assert lost(Log(flipped(batch(0, 5)), end=5).read()) == list(range(5))


def test_broken_batches_in_a_row():
    batches = [
        flipped(batch(0, 5)),
        attributes(batch(5, 5), 7),
        flipped(batch(10, 1)),
        batch(11, 1),
    ]
    rows = Log(*batches, end=12).read()
    assert offsets(rows) == list(range(12))
    assert lost(rows) == list(range(11))


def test_an_answer_that_ends_within_a_batch_is_no_broken_batch():
    fetcher = fetching()
    tolerate_unreadable(SimpleNamespace(_fetcher=fetcher))
    answer = bytes(batch(0, 5) + batch(5, 5)[:70])
    part = fetcher.PartitionRecords(0, TP, MemoryRecords(answer))
    assert offsets(part.take()) == list(range(5))
    assert part.next_fetch_offset == 5


def test_data_that_is_no_batch_is_one_lost_offset():
    fetcher = fetching()
    tolerate_unreadable(SimpleNamespace(_fetcher=fetcher))
    part = fetcher.PartitionRecords(5, TP, MemoryRecords(bytes(shortened(batch(5, 5), -20))))
    assert lost(part.take()) == [5]
    assert part.next_fetch_offset == 6


def test_gaps_between_batches_are_no_loss():
    rows = Log(batch(0, 5), flipped(batch(20, 5)), batch(40, 5), end=45).read()
    assert offsets(rows) == [*range(5), *range(20, 25), *range(40, 45)]
    assert lost(rows) == list(range(20, 25))


def test_stand_ins_say_what_was_wrong():
    rows = Log(flipped(batch(0, 1)), attributes(batch(1, 1), 5), end=2).read()
    reasons = [row.headers[0][1].decode() for row in rows]
    assert reasons[0] == "record batch with a wrong checksum"
    assert reasons[1] == "record batch that cannot be read (codec 5 does not exist)"


def test_transactions_end_as_they_did():
    log = Log(
        batch(0, 2, producer=1),
        marker(2, 1, abort=False),
        batch(3, 2, producer=1),
        marker(5, 1, abort=True),
        batch(6, 2, producer=1),
        marker(8, 1, abort=False),
        end=9,
        aborted=[Aborted(1, 3)],
    )
    assert offsets(log.read()) == [0, 1, 6, 7]


def test_an_unreadable_batch_of_an_aborted_transaction_has_no_decisions():
    log = Log(
        attributes(batch(0, 2, producer=1), 0x10 | 5),
        marker(2, 1, abort=True),
        attributes(batch(3, 2, producer=1), 0x10 | 5),
        marker(5, 1, abort=False),
        end=6,
        aborted=[Aborted(1, 0)],
    )
    assert lost(log.read()) == [3, 4]


class Forgetting(Log):
    """Like a broker, names only those aborted transactions that end after the fetched offset."""

    def fetch(self, offset: int) -> bytes:
        self.aborted = [each for each in self.aborted if offset <= 2]
        return super().fetch(offset)


def test_a_broken_end_of_an_aborted_transaction_does_not_swallow_the_next_one():
    log = Forgetting(
        batch(0, 2, producer=1),
        flipped(marker(2, 1, abort=True)),
        batch(3, 2, producer=1),
        marker(5, 1, abort=False),
        end=6,
        aborted=[Aborted(1, 0)],
    )
    rows = log.read()
    assert offsets(rows) == [2, 3, 4]
    assert lost(rows) == [2]


@pytest.mark.parametrize("magic", [0, 1])
def test_batches_of_old_formats(magic):
    sound = Log(batch(0, 1, magic=magic), batch(1, 1, magic=magic), end=2).read()
    assert (offsets(sound), lost(sound)) == ([0, 1], [])
    broken = Log(batch(0, 1, magic=magic), flipped(batch(1, 1, magic=magic)), end=2).read()
    assert (offsets(broken), lost(broken)) == ([0, 1], [1])


@settings(max_examples=300)
@given(data=st.data(), codec=st.sampled_from([NONE, GZIP, LZ4]))
def test_whatever_bytes_are_flipped_every_offset_comes_once_and_in_order(data, codec):
    """The base offset and the length are left alone, and one of the two counts of records."""
    target = batch(5, 5, codec)
    free = [n for n in range(EPOCH, len(target)) if not COUNT <= n < COUNT + 4]
    for place in data.draw(st.lists(st.sampled_from(free), min_size=1, max_size=3, unique=True)):
        target[place] ^= data.draw(st.integers(1, 255))
    most = data.draw(st.sampled_from([2, 99]))
    rows = Log(batch(0, 5), target, batch(10, 5), end=15, most=most).read()
    assert offsets(rows) == list(range(15))
    assert set(lost(rows)) in (set(range(5, 10)), set())


def test_the_whole_log_is_read_from_every_offset_on():
    batches = [batch(0, 4, GZIP), flipped(batch(4, 3)), attributes(batch(7, 2), 6), batch(9, 3)]
    for offset, most in itertools.product(range(12), [1, 2, 99]):
        rows = Log(*batches, end=12, most=most).read(offset)
        assert offsets(rows) == list(range(offset, 12))


def records(*rows: bytes, codec: int = NONE, base: int = 0) -> bytearray:
    """Return a batch of records whose bytes are given, each without its length."""
    data = batch(base, len(rows), NONE)
    content = b"".join(varint(len(row)) + row for row in rows)
    packed = {NONE: bytes, GZIP: gzip.compress, ZSTD: zstandard.ZstdCompressor().compress}[codec]
    data = data[: COUNT + 4] + packed(content)
    struct.pack_into(">i", data, LENGTH, len(data) - 12)
    return attributes(data, codec)


def varint(number: int) -> bytes:
    written = bytearray()
    encode_varint(number, written.append)
    return bytes(written)


def field(data: bytes | None) -> bytes:
    return varint(-1) if data is None else varint(len(data)) + data


def one(delta: int, value: bytes, headers: tuple[tuple[bytes, bytes], ...] = (), key=b"k") -> bytes:
    """Return a record as it lies in a batch."""
    named = b"".join(field(name) + field(held) for name, held in headers)
    return (
        b"\0" + varint(0) + varint(delta) + field(key) + field(value) + varint(len(headers)) + named
    )


def text(offset: int) -> bytes:
    return f"post {offset} ".encode() * 20


@pytest.mark.parametrize("codec", [NONE, GZIP, ZSTD])
def test_a_header_name_that_is_not_utf8_is_written_out_and_costs_nothing(codec):
    rows = [one(n, text(n), ((b"Z" if n != 3 else b"\xff", b"1"),)) for n in range(5)]
    read = Log(records(*rows, codec=codec), end=5).read()
    assert offsets(read) == list(range(5))
    assert lost(read) == []
    assert [row.headers for row in read[2:4]] == [[("Z", b"1")], [("\\xff", b"1")]]


BROKEN = {
    "a value longer than its record": lambda n: one(n, b"")[:-2] + varint(99) + varint(0),
    "more headers than there is room for": lambda n: one(n, text(n))[:-1] + varint(2**20),
    "a negative count of headers": lambda n: one(n, text(n))[:-1] + varint(-7),
    "bytes left over": lambda n: one(n, text(n)) + b"more",
    "a header without a name": lambda n: one(n, text(n))[:-1] + varint(1) + varint(-1) + varint(0),
    "another record's offset": lambda n: one(n + 1, text(n)),
    "a negative offset": lambda n: one(-5, text(n)),
    "an offset far away": lambda n: one(2**40, text(n)),
    "no more than a byte": lambda _: b"\0",
    "numbers that do not end": lambda _: b"\0" + b"\xff" * 30,
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("codec", [NONE, GZIP])
def test_one_broken_record_costs_itself_alone(name, codec):
    rows = [one(n, text(n)) for n in range(5)]
    rows[2] = BROKEN[name](2)
    read = Log(records(*rows, codec=codec), batch(5, 2), end=7).read()
    assert offsets(read) == list(range(7))
    assert lost(read) == [2]


def test_behind_a_length_that_is_none_nothing_of_the_batch_is_read():
    rows = [one(n, text(n)) for n in range(5)]
    data = records(*rows)
    place = COUNT + 4 + sum(len(varint(len(row)) + row) for row in rows[:3])
    data[place : place + 2] = b"\x01\x01"
    read = Log(sealed(data), batch(5, 2), end=7).read()
    assert offsets(read) == list(range(7))
    assert lost(read) == [3, 4]


@pytest.mark.parametrize("codec", [NONE, GZIP, ZSTD])
def test_of_a_record_that_is_too_large_the_key_is_left(codec):
    rows = [one(0, text(0)), one(1, bytes(60_000), key=b"p7"), one(2, text(2))]
    fetcher = fetching()
    tolerate_unreadable(SimpleNamespace(_fetcher=fetcher), 50_000, keys=True)
    read = fetcher.PartitionRecords(0, TP, MemoryRecords(bytes(records(*rows, codec=codec)))).take()
    assert [(row.offset, row.key) for row in read] == [(0, b"k"), (1, b"p7"), (2, b"k")]
    assert read[1].value is None
    ((name, reason),) = read[1].headers
    assert name == UNREADABLE
    assert b"over the limit of 50000" in reason


@given(codec=st.sampled_from([NONE, GZIP, SNAPPY, LZ4, ZSTD]), count=st.integers(1, 300))
@settings(max_examples=40, deadline=None)
def test_records_are_read_as_the_client_itself_reads_them(codec, count):
    data = bytes(batch(7, count, codec))
    ours = Log(batch(7, count, codec), end=7 + count).read(7)
    theirs = list(MemoryRecords(data).next_batch())
    assert [(r.offset, r.timestamp, r.key, r.value, r.headers) for r in ours] == [
        (r.offset, r.timestamp, r.key, r.value, r.headers) for r in theirs
    ]


MEMORY = """
import resource, sys
from kafka.record import MemoryRecords
from moderator.streaming.unreadable import _Batches
data = MemoryRecords(open(sys.argv[1], "rb").read())
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
batches = _Batches(data, 0, doubtful=False, on_doubt=print, max_record=9 * 2**20)
found = [(row.offset, len(row.value or b"")) for row in batches.next_batch()]
print(len(found), sum(size for _, size in found))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize("codec", [GZIP, ZSTD])
def test_a_small_batch_of_many_large_records_takes_the_memory_of_a_few(codec, tmp_path):
    """Fifty posts of 8 MiB and one of 200 MiB, in some hundred KiB."""
    sizes = [8 * 2**20 - 64] * 50 + [200 * 2**20]
    (tmp_path / "batch").write_bytes(packed(codec, sizes))
    assert (tmp_path / "batch").stat().st_size < 2**20
    said = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path / "batch")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert (int(said[0]), int(said[1])) == (51, 50 * sizes[0])
    # The window of zstd and the record at hand; all together are 600 MiB.
    assert int(said[2]) < 100


def packed(codec: int, sizes: list[int]) -> bytes:
    """Return a batch of records of zeros, compressed as it is written."""
    squeezed = (
        zlib.compressobj(wbits=31) if codec == GZIP else zstandard.ZstdCompressor().compressobj()
    )
    content = bytearray()
    for place, size in enumerate(sizes):
        head = b"\0" + varint(0) + varint(place) + field(b"k") + varint(size)
        content += squeezed.compress(varint(len(head) + size + 1) + head)
        for begin in range(0, size, 2**20):
            content += squeezed.compress(bytes(min(2**20, size - begin)))
        content += squeezed.compress(varint(0))
    content += squeezed.flush()
    data = batch(0, 1)[: COUNT + 4] + content
    struct.pack_into(">i", data, LENGTH, len(data) - 12)
    struct.pack_into(">i", data, LAST_DELTA, len(sizes) - 1)
    struct.pack_into(">i", data, COUNT, len(sizes))
    return bytes(attributes(data, codec))


def snappy_bomb() -> bytearray:
    """Return a batch whose one block says that it holds a GiB."""
    data = batch(5, 5)[: COUNT + 4] + b"\x80\x80\x80\x80\x04" + bytes(40)
    struct.pack_into(">i", data, LENGTH, len(data) - 12)
    return attributes(data, SNAPPY)


def test_a_block_that_is_too_large_is_refused_before_it_is_decompressed():
    read = Log(batch(0, 5), snappy_bomb(), batch(10, 1), end=11).read()
    assert lost(read) == list(range(5, 10))
    assert b"1073741824 bytes in one block" in read[5].headers[0][1]


def test_compressed_batches_of_an_old_format_are_bounded_as_well(monkeypatch):
    data = batch(0, 5, GZIP, magic=1)
    assert lost(Log(data, end=5).read()) == []
    monkeypatch.setattr(unreadable, "MAX_RECORD", 100)
    batches = unreadable._Batches(
        MemoryRecords(bytes(data)), 0, doubtful=False, on_doubt=print, max_record=100
    )
    reasons = {row.headers[0][1] for row in batches.next_batch()}
    assert reasons == {b"record batch that cannot be read (over 100 bytes once decompressed)"}
