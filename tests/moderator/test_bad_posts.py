"""Every kind of post that is not as it should be, through a worker on the real Kafka.

Each gets its one decision with the reason that the design names; what is only unusual is judged.
"""

import io
import json
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kafka import KafkaProducer
from PIL import Image

from moderator.compose import NamedImage, build_record
from tests.moderator.member import Member, Network, until
from tests.moderator.pictures import encoded, png_header, solid

pytestmark = pytest.mark.timeout(300)

IMAGE = (("content-type", b"image/jpeg"),)
"""What makes a record one image; the name it is given is not believed."""

JUDGED = {"match", "no-match", "near-miss", "lookalike"}


@dataclass(frozen=True)
class Sent:
    """A record and what must be said of it; a cause of None is not looked at."""

    value: bytes | None
    decision: str | None
    reason: str | None
    cause: str | None = None
    headers: tuple[tuple[str, bytes], ...] = IMAGE


def as_json(*images: dict[str, Any]) -> bytes:
    return json.dumps({"images": list(images)}).encode()


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    """Return a PNG file of these chunks, their checksums right."""
    file = b"\x89PNG\r\n\x1a\n"
    for kind, body in chunks:
        file += struct.pack(">I", len(body)) + kind + body
        file += struct.pack(">I", zlib.crc32(kind + body))
    return file


def text_bomb() -> bytes:
    """A small picture with a comment that inflates to 200 MB."""
    rows = b"".join(b"\0" + bytes(3 * 64) for _ in range(64))
    bomb = zlib.compress(bytes(200_000_000), 9)
    assert len(bomb) < 300_000
    return png(
        (b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)),
        (b"zTXt", b"Comment\0\0" + bomb),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )


def data_bomb() -> bytes:
    """A small picture by its header whose pixels inflate to 200 MB."""
    return png(
        (b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(200_000_000), 9)),
        (b"IEND", b""),
    )


def turned(image: Image.Image) -> bytes:
    """Save an image lying on its side, with the tag that says so."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(image.transpose(Image.Transpose.ROTATE_90), "PNG", exif=exif)


def flip_book(last: Image.Image) -> bytes:
    """An animation that shows something only at its end."""
    frames = [solid((200, 200, 200), *last.size)] * 5
    return encoded(frames[0], "WEBP", save_all=True, append_images=[*frames, last], lossless=True)


def sixteen_bit(image: Image.Image) -> bytes:
    pixels = np.asarray(image.convert("L"), np.uint16) * 257
    return encoded(Image.fromarray(pixels), "PNG")


def palette_with_alpha(image: Image.Image) -> bytes:
    return encoded(image.quantize(200), "PNG", transparency=3)


def unusual(drawn: Callable[..., bytes]) -> dict[str, Sent]:
    """Return posts by name; those that show the indexed revolver must match it."""
    jpeg = drawn("revolver")
    revolver = Image.open(io.BytesIO(jpeg)).convert("RGB")
    return {
        "not JSON": Sent(b"\xff{", "flag", "malformed", "neither an image nor JSON", ()),
        "no image": Sent(as_json(), "flag", "malformed", "no images", ()),
        "wrong base64": Sent(as_json({"data": "%%%"}), "flag", "malformed", None, ()),
        "truncated JPEG": Sent(jpeg[: len(jpeg) // 2], "flag", "undecodable", "corrupt"),
        "60,000 x 60,000": Sent(png_header(60_000, 60_000), "flag", "undecodable", "pixels"),
        "zip bomb in a comment": Sent(text_bomb(), None, None),
        "zip bomb in the pixels": Sent(data_bomb(), None, None),
        "text named .jpg": Sent(b"Not an image.\n", "flag", "undecodable", "format"),
        "0 bytes": Sent(b"", "flag", "undecodable", "empty"),
        "1 x 1": Sent(encoded(solid((9, 9, 9), 1, 1), "PNG"), "flag", "undecodable", "too-small"),
        "over the limit of bytes": Sent(jpeg + bytes(8 * 2**20), "flag", "malformed"),
        "no value": Sent(None, "pass", "deleted", None, ()),
        "animated": Sent(flip_book(revolver), "flag", "match"),
        "CMYK": Sent(encoded(revolver.convert("CMYK"), "TIFF"), "flag", "match"),
        "turned by EXIF": Sent(turned(revolver), "flag", "match"),
        "16-bit": Sent(sixteen_bit(revolver), None, "judged"),
        "palette with alpha": Sent(palette_with_alpha(revolver), None, "judged"),
    }


@pytest.fixture
def network(kafka, topics) -> Iterator[Network]:
    topics.create(kafka, partitions=1)
    network = Network(kafka, topics)
    yield network
    network.close()


@pytest.fixture
def worker(kafka, topics, network, tiny_release, tmp_path) -> Iterator[Member]:
    given = topics.overrides(kafka) | {"release": str(tiny_release.path)}
    member = Member(given, tmp_path)
    yield member
    member.close()


def test_every_kind_of_bad_post_gets_the_decision_the_design_names(
    network, worker, drawn, topics
) -> None:
    posts = unusual(drawn)
    ids = {
        name: network.send(name.encode(), sent.value, sent.headers) for name, sent in posts.items()
    }
    good = network.send(b"good", drawn("revolver"), IMAGE)
    decisions = network.decided(len(posts) + 1)
    said = {name: decisions[ids[name]] for name in posts}
    for name, sent in posts.items():
        found = said[name]
        if sent.reason == "judged":
            assert found["reason"] in JUDGED, name
        elif sent.reason is None:
            # Either the bomb goes off in its process and is set aside, or it is left unlit.
            assert found["reason"] in JUDGED | {"undecodable"}, name
        else:
            assert (found["decision"], found["reason"]) == (sent.decision, sent.reason), name
        if sent.cause is not None:
            assert found["cause"] == sent.cause, name
    assert said["animated"]["images"][0]["frame"] > 0
    assert [said["turned by EXIF"]["images"][0][side] for side in ("width", "height")] == [320, 320]
    assert said["CMYK"]["types"][0]["type"] == "revolver"
    assert decisions[good]["reason"] == "match"
    dead = {
        dict(row.headers)["__connect.errors.offset"] for row in network.rows(topics.dead_letter)
    }
    unjudged = [each for each in decisions.values() if each["reason"] not in {*JUDGED, "deleted"}]
    assert dead == {str(each["source"]["offset"]).encode() for each in unjudged}
    assert worker.stop() == 0


class NotText(str):
    """A header's name that goes out as bytes that are no UTF-8."""

    __slots__ = ()

    def encode(self, *_: Any) -> bytes:
        return b"\xff"


def test_batches_of_every_codec_are_read_whatever_their_headers_are_called(
    kafka, network, worker, drawn
) -> None:
    expected = {}
    for codec in ("gzip", "lz4", "snappy", "zstd"):
        producer = KafkaProducer(
            bootstrap_servers=kafka.bootstrap_servers, compression_type=codec, linger_ms=200
        )
        for n in range(3):
            image = NamedImage("0", drawn("revolver"), "image/jpeg")
            record = build_record([image], post_id=f"{codec}-{n}", form="json")
            headers = [(NotText("x") if n == 1 else "x", b"1")]
            at = producer.send(
                network.topics.posts, key=record.key, value=record.value, headers=headers
            )
            expected[f"{codec}-{n}"] = at
        producer.flush()
        producer.close()
    assert all(future.succeeded() for future in expected.values())
    decisions = network.decided(len(expected))
    assert {each["post_id"]: each["reason"] for each in decisions.values()} == dict.fromkeys(
        expected, "match"
    )
    assert worker.stop() == 0


def test_a_batch_that_cannot_be_read_is_malformed_and_its_neighbours_are_judged(
    kafka, network, drawn, tiny_release, topics, tmp_path
) -> None:
    marked = b"the batch with this text is to be damaged"
    before = network.send(b"before", drawn("revolver"), IMAGE)
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap_servers, linger_ms=500)
    lost = [producer.send(topics.posts, key=b"lost", value=marked) for _ in range(3)]
    producer.flush()
    producer.close()
    after = network.send(b"after", drawn("pistol"), IMAGE)
    kafka.stop()
    try:
        damage(kafka.segment(topics.posts, 0), marked)
    finally:
        kafka.start()
    worker = Member(topics.overrides(kafka) | {"release": str(tiny_release.path)}, tmp_path)
    try:
        until(lambda: network.committed() >= 5, "all decisions")
        decisions = network.decided(5)
        assert decisions[before]["reason"] == decisions[after]["reason"] == "match"
        for future in lost:
            at = future.value
            found = decisions[f"{at.topic}-{at.partition}-{at.offset}"]
            assert (found["decision"], found["reason"]) == ("flag", "malformed")
            assert "checksum" in found["cause"]
        assert worker.stop() == 0
    finally:
        worker.close()


def damage(segment: Path, marked: bytes) -> None:
    """Change one letter of a record in a broker's own file."""
    raw = bytearray(segment.read_bytes())
    place = raw.index(marked)
    raw[place] ^= 1
    segment.write_bytes(raw)
