"""What a record of the posts topic says: its post and images. Knows nothing of decoding."""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from moderator.decoding.formats import sniff

Headers = tuple[tuple[str, bytes], ...]

UNREADABLE = "moderator.unreadable"
"""Header of the stand-in for a record whose batch could not be read; its value says why."""

MAX_ID = 512
"""Longest id taken over from a post as it is, in characters; of longer ones, the digest is."""

MAX_URL = 4096
"""Longest URL taken over from a post, in characters."""

READ_HEADERS = ("content-type", "post-id", "author-id", "created-at")
"""Headers of a record that say what it is."""

MAX_FAULT = 256
"""Longest text of a fault, in characters."""

DATA_URI = re.compile(r"\s*data:[^,]{0,256}?(?P<base64>;\s*base64)?\s*,", re.IGNORECASE)
"""What stands in front of the data of a ``data:`` URI."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = (datetime.max.replace(tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1)
EARLIEST = (datetime.min.replace(tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1)


OVERHEAD = 512
"""Bytes of memory that a record takes beside its contents, about."""

HEADER_OVERHEAD = 128
"""Bytes of memory that a header takes beside its name and value, about."""


class Partition(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class Record:
    """One record as it was read from Kafka.

    ``timestamp`` is in milliseconds since 1970 UTC; ``epoch`` is the assignment epoch of its
    partition at the time of reading (design section 4). ``topic_id`` is Kafka's id of the topic,
    empty where it is not known; ``past`` says that a topic of another id has its name by now.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    epoch: int = 0
    topic_id: str = ""
    past: bool = False

    @property
    def source(self) -> Partition:
        """The partition it came from."""
        return Partition(self.topic, self.partition)

    @property
    def size(self) -> int:
        """Bytes of its value."""
        return len(self.value) if self.value is not None else 0

    @property
    def weight(self) -> int:
        """Bytes of memory that it takes, about."""
        return weight(self.key, self.value, self.headers)


def weight(key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, Any]]) -> int:
    """Return the bytes of memory that a record takes, about; all bounds on memory count these."""
    return (
        OVERHEAD
        + len(key or b"")
        + len(value or b"")
        + sum(HEADER_OVERHEAD + len(name) + len(held or b"") for name, held in headers)
    )


@dataclass(frozen=True, slots=True)
class PostImage:
    """One image of a post: bytes, or a URL to fetch them from, or the fault that kept both away."""

    image_id: str
    data: bytes | None = None
    url: str | None = None
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Post:
    """One post, judged or not: deleted, with a fault, or with its images, if it has any.

    ``fault`` says in a few words why the whole record is malformed. ``record`` is that of the
    posts topic; a post that comes back through a retry topic was ``read_as`` another one, and is
    at its ``attempt``-th further attempt.
    """

    record: Record
    post_id: str
    author_id: str | None = None
    created_at: str | None = None
    images: tuple[PostImage, ...] = ()
    deleted: bool = False
    fault: str | None = None
    read_as: Record | None = None
    attempt: int = 0

    @property
    def removal(self) -> bool:
        """Whether its record deletes the post, whose copies are then to be removed."""
        return self.deleted and self.record.value is None

    @property
    def again(self) -> bool:
        """Whether it is a deletion that comes round, which was decided when it was first read."""
        return self.removal and self.read_as is not None

    @property
    def read(self) -> Record:
        """The record as it was read now, whose partition and offset are to be committed."""
        return self.read_as or self.record

    @property
    def weight(self) -> int:
        """Bytes of memory that it takes with its images, about; those that are fetched are not in.

        An image that is the record's value counts once, one that was decoded from it anew.
        """
        value = self.record.value
        held = (each.data for each in self.images if each.data is not value)
        return self.record.weight + sum(len(data) for data in held if data is not None)

    @property
    def decision_id(self) -> str:
        """``<topic>-<partition>-<offset>`` of the record, unique per record."""
        return decision_id(self.record)


def decision_id(record: Record) -> str:
    """Return the id of the one decision that a record gets."""
    return f"{record.topic}-{record.partition}-{record.offset}"


def digest(data: bytes) -> str:
    """Return the content digest of an image's bytes: ``sha256:`` and 64 hex digits."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def parse_post(record: Record, *, max_bytes: int, max_images: int) -> Post:
    """Read a record of the posts topic, in whichever of the design's three forms it comes.

    Never raises: what cannot be read is a post with a fault. The post id is the record's key;
    without one, what the header or the JSON says it is; without that, the decision id. Of an id
    of over 512 characters, its digest stands for it.

    Args:
        record: The record.
        max_bytes: Largest value that is read, in bytes.
        max_images: Most images a post may have.
    """
    headers = {name.lower(): value for name, value in record.headers}
    ambiguous = _given_twice(record.headers)
    named = {
        "post_id": _id(record.key) or _id(headers.get("post-id")),
        "author_id": _id(headers.get("author-id")),
        "created_at": _text(headers.get("created-at")),
    }
    if record.value is None:
        # Looked for only here: a post with content is judged, whatever its headers claim.
        lost = headers.get(UNREADABLE)
        if lost is None:
            return _post(record, named, deleted=True)
        return _post(record, named, fault=lost.decode(errors="replace")[:MAX_FAULT])
    if record.size > max_bytes:
        return _post(record, named, fault=f"{record.size} bytes, over the limit of {max_bytes}")
    if ambiguous is not None:
        return _post(record, named, fault=f"header {ambiguous} twice, with different values")
    if _is_image(headers.get("content-type"), record.value):
        return _post(record, named, images=(PostImage("0", data=record.value),))
    return _json_post(record, record.value, named, max_images)


def _given_twice(headers: Headers) -> str | None:
    """Return the first header that is read here and has two values; None where there is none.

    Other consumers may read the first value or the last, so neither can be trusted.
    """
    for wanted in READ_HEADERS:
        if len({value for name, value in headers if name.lower() == wanted}) > 1:
            return wanted
    return None


def _is_image(content_type: bytes | None, value: bytes) -> bool:
    """Whether a value is an image: its header says so, or its first bytes do."""
    if (_text(content_type) or "").strip().lower().startswith("image/"):
        return True
    return sniff(value) is not None


def _post(
    record: Record,
    named: Mapping[str, str | None],
    *,
    images: tuple[PostImage, ...] = (),
    deleted: bool = False,
    fault: str | None = None,
) -> Post:
    return Post(
        record=record,
        post_id=named["post_id"] or decision_id(record),
        author_id=named["author_id"],
        created_at=named["created_at"],
        images=images,
        deleted=deleted,
        fault=fault,
    )


def _json_post(
    record: Record, value: bytes, headers: Mapping[str, str | None], max_images: int
) -> Post:
    try:
        body = json.loads(value, object_pairs_hook=_unique)
    except _NameTwiceError:
        return _post(record, headers, fault="JSON that has a name twice in one object")
    except (ValueError, RecursionError):
        return _post(record, headers, fault="neither an image nor JSON")
    if not isinstance(body, dict):
        return _post(record, headers, fault="not a JSON object")
    named = {
        name: text or (_text if name == "created_at" else _id)(body.get(name))
        for name, text in headers.items()
    }
    images = body.get("images")
    if images is None:
        # A text post: most posts of a network have no pictures.
        images = []
    if not isinstance(images, list):
        return _post(record, named, fault="images is not a list")
    if len(images) > max_images:
        return _post(record, named, fault=f"{len(images)} images, over the limit of {max_images}")
    found = tuple(_image(place, image) for place, image in enumerate(images))
    return _post(record, named, images=found)


class _NameTwiceError(Exception):
    """A JSON object has two members of one name."""


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Refuse names that come twice: which of the two is shown to people, nobody here knows."""
    body = dict(pairs)
    if len(body) != len(pairs):
        raise _NameTwiceError
    return body


def _image(place: int, image: object) -> PostImage:
    if not isinstance(image, dict):
        return PostImage(str(place), fault="not a JSON object")
    image_id = _text(image.get("image_id")) or str(place)
    data, url = image.get("data"), image.get("url")
    if data is not None and url is not None:
        # Which of the two is shown to people, nobody here knows.
        return PostImage(image_id, fault="both data and url")
    if data is None and isinstance(url, str) and DATA_URI.match(url):
        data = url
    if isinstance(data, str):
        return _inline(image_id, data)
    if isinstance(url, str):
        if not (0 < len(url) <= MAX_URL and url.isprintable()):
            return PostImage(image_id, fault=f"url is empty, unprintable or over {MAX_URL} long")
        return PostImage(image_id, url=url)
    return PostImage(image_id, fault="neither data nor url")


def _inline(image_id: str, data: str) -> PostImage:
    """Return an image given as base64, with line breaks or as a ``data:`` URI (RFC 2397) or not."""
    start = DATA_URI.match(data)
    if start is not None:
        if start["base64"] is None:
            return PostImage(image_id, fault="a data: URI that is not base64")
        data = data[start.end() :]
    try:
        return PostImage(image_id, data=base64.b64decode("".join(data.split()), validate=True))
    except ValueError:
        return PostImage(image_id, fault="data is not base64")


def _id(value: object) -> str | None:
    """Return an id as text, None where it is none; of one that is too long, its digest.

    A post and its deletion have one id, however long their key is.
    """
    text = _whole(value)
    return text if text is None or len(text) <= MAX_ID else digest(text.encode())


def _text(value: object) -> str | None:
    """Return a short text, None where it is none or too long."""
    text = _whole(value)
    return text if text is None or len(text) <= MAX_ID else None


def _whole(value: object) -> str | None:
    """Return what is given as text that any encoder takes, None where it is none or empty.

    Whole numbers are taken as their digits. Bytes that are no UTF-8, and surrogates without
    their other half, are shown as escapes and so not lost.
    """
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace") or None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        return None
    return value.encode(errors="backslashreplace").decode() or None


def utc(milliseconds: float) -> str:
    """Return milliseconds since 1970 as an RFC 3339 time in UTC.

    Times outside the years 1 to 9999, which any producer can claim, become the nearest inside.
    """
    within = round(max(EARLIEST, min(LATEST, milliseconds)))
    moment = EPOCH + timedelta(milliseconds=within)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
