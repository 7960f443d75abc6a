"""Drawn pictures of known content, encoded in every format. Not a test itself."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from models.spec import InputSpec
from moderator.decoding.decode import CAUSES, DecodedImage, Undecodable, decode

SPEC = InputSpec(sizes=((64, 64), (48, 96), (96, 48)))
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
ANIMATED = ("PNG", "WEBP", "GIF", "TIFF", "AVIF")


def decoded(data: bytes, **limits: int) -> DecodedImage:
    return decode(data, SPEC, **{"max_pixels": 1_000_000, "max_frames": 3, **limits})


def cause(data: bytes, **limits: int) -> str:
    with pytest.raises(Undecodable) as caught:
        decoded(data, **limits)
    assert caught.value.cause in CAUSES
    return caught.value.cause


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def picture(width: int = 128, height: int = 128) -> Image.Image:
    """Red at the top left, green at the top right, blue at the bottom left, else dark."""
    pixels = np.full((height, width, 3), 20, np.uint8)
    pixels[: height // 2, : width // 2] = (230, 20, 20)
    pixels[: height // 2, width // 2 :] = (20, 230, 20)
    pixels[height // 2 :, : width // 2] = (20, 20, 230)
    return Image.fromarray(pixels)


def corners(frame: np.ndarray) -> list[str]:
    """What shows at the top left, top right, bottom left and bottom right."""
    height, width, _ = frame.shape
    spots = [(1, 1), (1, 3), (3, 1), (3, 3)]
    return [name(frame[height * y // 4, width * x // 4]) for y, x in spots]


def name(pixel: np.ndarray) -> str:
    red, green, blue = (int(value) for value in pixel)
    if max(red, green, blue) < 100:
        return "dark"
    return ("red", "green", "blue")[int(np.argmax(pixel))]


UPRIGHT = ["red", "green", "blue", "dark"]


def solid(colour: tuple[int, int, int], width: int = 64, height: int = 64) -> Image.Image:
    return Image.new("RGB", (width, height), colour)


def animation(kind: str, count: int, side: int = 64) -> bytes:
    """Frames that grow lighter, evenly from black to white."""
    frames = [solid((round(255 * n / max(1, count - 1)),) * 3, side, side) for n in range(count)]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=40)


def lightness(image: DecodedImage) -> list[int]:
    return [int(frame.mean()) for frame in image.frames]


def png_header(width: int, height: int) -> bytes:
    """A PNG of these sides, on its face, with almost nothing behind it."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + body + chunk(b"IEND", b"")


def hostile_gif(frames: int, side: int = 16) -> bytes:
    """A GIF of many frames of one pixel each, 19 bytes a frame, on a canvas of its own."""
    head = (
        b"GIF89a" + struct.pack("<HHBBB", side, side, 0x80, 0, 0) + bytes([0, 0, 0, 255, 255, 255])
    )
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return head + frame * frames + b";"


def slow_jpeg(scans: int, side: int = 8_000, salt: int = 0) -> bytes:
    """A small JPEG of many empty progressive scans: each takes some 15 ms and adds 95 bytes."""

    def segment(marker: int, body: bytes) -> bytes:
        return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body

    def scan(first: int, last: int) -> bytes:
        return segment(0xDA, bytes((1, 1, 0, first, last, 0)))

    # One code each: a DC difference of 0, and the end of 16,384 blocks and more.
    codes = [segment(0xC4, bytes([kind, 1, *[0] * 15, code])) for kind, code in ((0, 0), (16, 224))]
    frame = segment(0xC2, struct.pack(">BHHB", 8, side, side, 1) + bytes((1, 0x11, 0)))
    blocks = left = (side // 8) ** 2
    bits = ""
    while left > 0:
        run = max(min(left, 32_767), 16_384)
        bits += f"0{run - 16_384:014b}"
        left -= run
    bits += "1" * (-len(bits) % 8)
    empty = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    head = [segment(0xFE, salt.to_bytes(8, "big")), segment(0xDB, bytes([0, *[16] * 64])), frame]
    dc = scan(0, 0) + bytes(blocks // 8 + 1)
    return b"".join([b"\xff\xd8", *head, *codes, dc, (scan(1, 63) + empty) * scans, b"\xff\xd9"])


def tiff_of_one_tile(side: int) -> bytes:
    """A TIFF of 64 x 64 pixels, cut out of a tile that has far more."""
    body = zlib.compress(bytes(2**20))
    long, short = 4, 3
    tags = [
        (256, long, 64),
        (257, long, 64),
        (258, short, 8),
        (259, short, 8),
        (262, short, 1),
        (277, short, 1),
        (322, long, side),
        (323, long, side),
        (324, long, 10 + 12 * 10 + 4),
        (325, long, len(body)),
    ]
    table = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + table + bytes(4) + body
