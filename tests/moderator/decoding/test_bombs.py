"""Small files that ask for much: of every format, refused by their header or within their memory.

All go through a real decode process, whose resident memory is read afterwards.
"""

import io
import struct
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from math import isqrt
from pathlib import Path

import pytest
from PIL import Image

from models.spec import InputSpec
from moderator.concerns.limits import Limits
from moderator.decoding.bounds import most_pixels
from moderator.decoding.decode import Undecodable
from moderator.decoding.decoders import DecodeLimits, DecodePool
from moderator.slots import SlotArena
from tests.moderator.pictures import (
    animation,
    encoded,
    hostile_gif,
    picture,
    png_header,
    slow_jpeg,
    solid,
)

SPEC = InputSpec(sizes=((64, 64),))
MAX_BYTES = 8 * 2**20


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(*extra: tuple[bytes, bytes], behind: bool = False) -> bytes:
    """A sound PNG with further chunks before or behind its pixels."""
    data, more = encoded(picture(64, 64), "PNG"), b"".join(chunk(*each) for each in extra)
    at = data.index(b"IEND" if behind else b"IDAT") - 4
    return data[:at] + more + data[at:]


def zeros(megabytes: int) -> bytes:
    return zlib.compress(bytes(megabytes * 2**20), 9)


def fcTL(number: int) -> tuple[bytes, bytes]:
    return b"fcTL", struct.pack(">IIIIIHHBB", number, 64, 64, 0, 0, 1, 100, 0, 0)


def gif_canvas(side: int) -> bytes:
    data = bytearray(animation("GIF", 3))
    data[6:10] = struct.pack("<HH", side, side)
    return bytes(data)


def gif_frame_outside() -> bytes:
    """A canvas that grows with a frame far out of it."""
    data = bytearray(animation("GIF", 3))
    second = data.index(b"\x2c", data.index(b"\x2c") + 1)
    data[second + 1 : second + 5] = struct.pack("<HH", 65_000, 65_000)
    return bytes(data)


def webp(width: int, height: int) -> bytes:
    data = bytearray(animation("WEBP", 3))
    at = data.index(b"VP8X") + 12
    data[at : at + 6] = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return bytes(data)


def avif(width: int, height: int) -> bytes:
    data = bytearray(encoded(picture(64, 64), "AVIF", speed=10))
    at = data.index(b"ispe") + 8
    data[at : at + 8] = struct.pack(">II", width, height)
    return bytes(data)


def tiff(entries: list[tuple[int, int, int, int]], body: bytes = b"", after: int = 0) -> bytes:
    """A little-endian TIFF of one directory at 8; ``body`` follows it."""
    table = b"".join(struct.pack("<HHII", *each) for each in sorted(entries))
    head = struct.pack("<2sHIH", b"II", 42, 8, len(entries))
    return head + table + struct.pack("<I", after) + body


def grey(width: int, height: int, *more: tuple[int, int, int, int]) -> list:
    plain = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
    ]
    given = {tag for tag, *_ in more}
    return [*(each for each in plain if each[0] not in given), *more]


def tiff_strips(count: int) -> bytes:
    """Strips by the hundred thousand, all of them the same few bytes."""
    at = 10 + 12 * 9 + 4
    offsets = struct.pack("<I", at) * count
    more = ((273, 4, count, at), (278, 4, 1, 1), (279, 4, count, at), (277, 3, 1, 1))
    return tiff(grey(64, count, *more), offsets)


def tiff_pages(count: int) -> bytes:
    """Pages by the hundred thousand, each a directory of one entry that leads to the next."""
    page = b"".join(
        struct.pack("<HHHIII", 1, 256, 4, 1, 64, 8 + 18 * (n + 1)) for n in range(count)
    )
    return b"II*\0" + struct.pack("<I", 8) + page


def tiff_many_pages() -> bytes:
    file = io.BytesIO()
    frames = [solid((n % 255,) * 3, 32, 32) for n in range(1_100)]
    frames[0].save(file, "TIFF", save_all=True, append_images=frames[1:])
    return file.getvalue()


def jpeg_scans(count: int) -> bytes:
    """A progressive picture whose last scan comes again and again."""
    data = encoded(solid((90, 120, 60), 2_000, 2_000), "JPEG", progressive=True, quality=5)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * count + data[-2:]


def jpeg_sides(width: int, height: int) -> bytes:
    data = bytearray(encoded(picture(64, 64), "JPEG"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def bmp(width: int, height: int) -> bytes:
    data = bytearray(encoded(picture(64, 64), "BMP"))
    data[18:26] = struct.pack("<ii", width, height)
    return bytes(data)


def texture(mode: str, side: int) -> Image.Image:
    """A square of one grey below some noise, which keeps any format from being too small."""
    square = Image.new("L", (side, side), 90)
    square.paste(Image.effect_noise((side, 3), 64))
    if mode in ("RGBA", "LA"):
        alpha = square.point(lambda level: level // 2)
        square = square.convert(mode)
        square.putalpha(alpha)
        return square
    if mode == "I;16":
        return square.convert("I").convert("I;16")
    # The levels themselves are the palette's numbers.
    return square.convert("RGB").quantize(64) if mode == "P" else square.convert(mode)


def at_the_limit(kind: str, mode: str, *, over: float = 1.0, **options: object) -> bytes:
    """A square picture with the most pixels that its format may have, or so many times them."""
    ours = Limits()
    most = most_pixels(kind, MAX_BYTES, ours.max_image_pixels, ours.decode_memory)
    return encoded(texture(mode, isqrt(int(most * over))), kind, **options)


PIXELS, CORRUPT, DECODED = {"pixels"}, {"corrupt"}, {"decoded"}
LARGE_TEXT = DECODED
"""What becomes of a PNG with a chunk of text that inflates to far more than it is."""

BOMBS = {
    "PNG sides": (lambda: png_header(60_000, 60_000), PIXELS),
    "PNG most sides": (lambda: png_header(2**31 - 1, 2**31 - 1), PIXELS),
    "PNG of black": (lambda: encoded(Image.new("1", (16_000, 16_000)), "PNG"), PIXELS),
    "PNG zTXt": (lambda: png((b"zTXt", b"Comment\0\0" + zeros(80))), LARGE_TEXT),
    "PNG zTXt behind": (
        lambda: png((b"zTXt", b"Comment\0\0" + zeros(80)), behind=True),
        LARGE_TEXT,
    ),
    "PNG iTXt": (lambda: png((b"iTXt", b"Title\0\1\0\0\0" + zeros(80))), LARGE_TEXT),
    "PNG iCCP": (lambda: png((b"iCCP", b"ICC\0\0" + zeros(80))), {"profile"}),
    "PNG many zTXt": (lambda: png(*[(b"zTXt", b"a\0\0" + zeros(1)[:-4])] * 300), LARGE_TEXT),
    "PNG many frames": (
        lambda: png((b"acTL", struct.pack(">II", 2**31 - 1, 0)), *map(fcTL, range(5_000))),
        CORRUPT,
    ),
    "JPEG sides": (lambda: jpeg_sides(65_535, 65_535), PIXELS),
    "JPEG scans": (lambda: jpeg_scans(100), DECODED),
    "GIF canvas": (lambda: gif_canvas(65_535), PIXELS),
    "GIF frame outside": (gif_frame_outside, DECODED),
    "GIF frames": (lambda: hostile_gif(300_000), DECODED),
    "WebP canvas": (lambda: webp(16_384, 16_384), PIXELS),
    "WebP most canvas": (lambda: webp(2**24, 2**24), PIXELS),
    "AVIF sides": (lambda: avif(60_000, 60_000), CORRUPT),
    "AVIF most sides": (lambda: avif(2**32 - 1, 2**32 - 1), CORRUPT),
    "TIFF sides": (lambda: tiff(grey(60_000, 60_000, (273, 4, 1, 8))), PIXELS),
    "TIFF most sides": (lambda: tiff(grey(2**32 - 1, 2**32 - 1, (273, 4, 1, 8))), PIXELS),
    "TIFF strips": (lambda: tiff_strips(30_000), DECODED),
    "TIFF pages": (lambda: tiff_pages(400_000), CORRUPT),
    "TIFF sound pages": (tiff_many_pages, DECODED),
    "TIFF count": (lambda: tiff(grey(64, 64, (273, 4, 2**32 - 1, 8))), CORRUPT),
    "BMP sides": (lambda: bmp(60_000, 60_000), PIXELS),
    "BMP negative": (lambda: bmp(60_000, -60_000), PIXELS),
}
"""By name: what makes the file, and what becomes of it."""

FAST = {"lossless": True, "method": 0, "quality": 0}
LARGE = {
    "WebP lossless": partial(at_the_limit, "WEBP", "RGBA", **FAST),
    "WebP lossy": partial(at_the_limit, "WEBP", "RGBA", quality=1, method=0),
    "TIFF float": partial(at_the_limit, "TIFF", "F", compression="tiff_adobe_deflate"),
    "TIFF 32-bit": partial(at_the_limit, "TIFF", "I", compression="tiff_adobe_deflate"),
    "PNG alpha": partial(at_the_limit, "PNG", "RGBA", compress_level=1),
    "PNG grey and alpha": partial(at_the_limit, "PNG", "LA", compress_level=1),
    "PNG 16-bit": partial(at_the_limit, "PNG", "I;16", compress_level=1),
    "GIF transparent": partial(at_the_limit, "GIF", "P", transparency=3),
    "JPEG progressive": partial(at_the_limit, "JPEG", "CMYK", quality=1, progressive=True),
    "AVIF alpha": partial(at_the_limit, "AVIF", "RGBA", quality=90, speed=10),
}
"""By format: the largest picture of its costliest kind."""


@contextmanager
def pool_of(timeout: float) -> Iterator[DecodePool]:
    ours = Limits()
    given = DecodeLimits(ours.max_image_pixels, ours.max_frames, timeout, ours.decode_memory)
    arena = SlotArena.for_frames(4, SPEC, 3)
    pool = DecodePool(arena, SPEC, processes=1, limits=given)
    yield pool
    assert arena.free == 4
    pool.close()
    arena.close()


@pytest.fixture(scope="module")
def pool() -> Iterator[DecodePool]:
    """A pool as the settings have it."""
    with pool_of(Limits().decode_timeout) as pool:
        yield pool


@pytest.fixture(scope="module")
def patient_pool() -> Iterator[DecodePool]:
    """A pool whose memory is as the settings have it, on a machine that may be busy."""
    with pool_of(60.0) as pool:
        yield pool


def outcome(pool: DecodePool, data: bytes) -> str:
    try:
        pool.release(pool.submit(data).result(60).slot)
    except Undecodable as error:
        return error.cause
    return "decoded"


def most_memory(pid: int) -> int:
    """Return the most bytes that a process has had resident since this was last asked."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    most = int(next(line for line in status if line.startswith("VmHWM")).split()[1]) * 1024
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return most


def only_process(pool: DecodePool) -> int:
    while not pool.pids:
        time.sleep(0.01)
    (pid,) = pool.pids
    return pid


@pytest.mark.slow
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_decided_and_takes_little(pool, name) -> None:
    make, expected = BOMBS[name]
    data = make()
    assert len(data) <= MAX_BYTES
    pid = only_process(pool)
    most_memory(pid)
    assert {outcome(pool, data)} == expected
    assert pool.pids == [pid]
    # What is refused by its header takes next to nothing, and a picture no more than its pixels.
    assert most_memory(pid) < (60 if expected == PIXELS else 600) * 2**20


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_the_largest_picture_of_a_format_stays_within_the_memory_of_its_process(
    patient_pool, name
) -> None:
    data = LARGE[name]()
    assert len(data) <= MAX_BYTES
    pid = only_process(patient_pool)
    idle = most_memory(pid)
    assert outcome(patient_pool, data) == "decoded"
    assert patient_pool.pids == [pid]
    taken = most_memory(pid) - idle
    assert Limits().decode_memory / 8 < taken < Limits().decode_memory


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_a_larger_one_is_refused_by_its_header(pool, name) -> None:
    data = LARGE[name](over=1.05)
    assert len(data) <= MAX_BYTES
    pid = only_process(pool)
    most_memory(pid)
    assert outcome(pool, data) == "pixels"
    assert most_memory(pid) < 100 * 2**20


@pytest.mark.slow
def test_a_small_jpeg_that_takes_for_ever_ends_at_the_time_that_the_settings_say(pool) -> None:
    data = slow_jpeg(1_500)
    assert len(data) <= MAX_BYTES // Limits().max_images_per_post
    begun = time.monotonic()
    assert outcome(pool, data) == "timeout"
    assert time.monotonic() - begun >= Limits().decode_timeout
