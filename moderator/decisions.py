"""Decisions as JSON records: the topic's ``decision/1`` and what goes with it to other topics.

Pure: from decided posts to keys, values and headers. Knows nothing of producers.
"""

import base64
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from moderator.canary import CheckedCanary
from moderator.decide import (
    UNJUDGED,
    Evidence,
    ImageDecision,
    LevelScore,
    PostDecision,
    TypeScore,
)
from moderator.decoding.view import Layout, View
from moderator.records import Headers, Post, Record, utc
from moderator.rows import WHOLE, Box

SCHEMA = "decision/1"
FLAGGED_SCHEMA = "flagged/1"

MAX_MESSAGE = 2048
"""Longest text, in characters, of what a dead letter says was wrong."""

KEPT_HEADERS = 32
KEPT_BYTES = 512
"""What a dead letter keeps where its body would not fit: so many headers, each of so many bytes at
most, and a key of so many. It then fits whatever the record held."""

Shed = Literal["regions", "frames"]
SHED: tuple[Shed, ...] = ("regions", "frames")
"""What may be left out of judging, in the order in which it is (``moderator.overload``)."""

OMITTED_BODY = "moderator.body"
OMITTED_KEY = "moderator.key"
"""Headers of a dead letter that say what was left out of it."""


TIMESTAMP = "moderator.timestamp"
"""Header of a dead letter: when its record was posted, in milliseconds since 1970."""

TOPIC_ID = "moderator.topic-id"
"""Header of a dead letter: Kafka's id of the topic of its record, where that is known."""


@dataclass(frozen=True, eq=False, slots=True)
class DecidedImage:
    """One image of a decided post.

    ``layout`` says what of it was judged, None where it was not decoded; ``embedding`` is
    float16[D] of the view, or the region of it, that decided; ``box`` says where that lies (x, y,
    width and height as shares of the image), None for the whole; ``evidence`` is where a safe copy
    of the image lies, if one is kept.
    """

    image_id: str
    decision: ImageDecision
    digest: str | None = None
    layout: Layout | None = None
    cached: bool = False
    embedding: NDArray[np.float16] | None = None
    box: Box | None = None
    evidence: str | None = None

    @property
    def view(self) -> View | None:
        """What of the image decided; None where it was not judged."""
        if self.decision.view is None or self.layout is None:
            return None
        return self.layout.views[self.decision.view]

    @property
    def region(self) -> dict[str, int] | None:
        """What decided, as a box in pixels of the upright image; None where it was not judged.

        It holds every pixel that the region touches, and lies within the image.
        """
        if self.view is None or self.layout is None:
            return None
        x, y, width, height = self.box or WHOLE
        left, right = _pixels(x, width, self.layout.width)
        top, bottom = _pixels(y, height, self.layout.height)
        return {"x": left, "y": top, "width": right - left, "height": bottom - top}


@dataclass(frozen=True, slots=True)
class Provenance:
    """What judged: ids of release, network and policy, and the overlay's version."""

    release: str
    network: str
    policy: str
    overlay: int


@dataclass(frozen=True, eq=False, slots=True)
class Decided:
    """A post with its decision, ready to be published.

    ``decided_at`` is in milliseconds since 1970; ``seconds`` holds those spent per stage; ``shed``
    names what was left out of judging it because posts are late; ``canary`` is None of posts that
    are none; ``flood`` names the prototype whose flood it is part of. Where there is a ``retry``,
    that is published instead: it is not the last word. ``removal`` has the copies of a deleted
    post removed later, as they could not be now; it is published beside the decision.
    """

    post: Post
    decision: PostDecision
    images: tuple[DecidedImage, ...]
    provenance: Provenance
    decided_at: float
    seconds: Mapping[str, float] = field(default_factory=dict)
    retry: "Outgoing | None" = None
    shed: tuple[Shed, ...] = ()
    canary: CheckedCanary | None = None
    flood: str | None = None
    removal: "Outgoing | None" = None

    @property
    def last_word(self) -> bool:
        """Whether this is to be the one decision of its record."""
        return self.retry is None and not self.post.again


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One record to publish.

    ``role`` is ``decisions``, ``flagged``, ``dead_letter``, or that of a topic of what is tried
    again.
    """

    role: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    @property
    def size(self) -> int:
        """Bytes of key, value and headers together, at most."""
        return len(self.key or b"") + len(self.value or b"") + _size(self.headers)


def to_json(decided: Decided) -> dict[str, Any]:
    """Return the ``decision/1`` record of a decided post."""
    post, decision = decided.post, decided.decision
    record = post.record
    shed = {"shed": list(decided.shed)} if decided.shed else {}
    return {
        "schema": SCHEMA,
        "decision_id": post.decision_id,
        "post_id": post.post_id,
        "author_id": post.author_id,
        "created_at": post.created_at,
        "decision": decision.decision,
        "reason": decision.reason,
        "cause": decision.cause,
        "types": [_type(item) for item in decision.types],
        **_levels(decision),
        "images": [_image(image) for image in decided.images],
        "release": decided.provenance.release,
        "network": decided.provenance.network,
        "overlay": decided.provenance.overlay,
        "policy": decided.provenance.policy,
        "cached": bool(decided.images) and all(image.cached for image in decided.images),
        "source": {
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
        },
        "decided_at": utc(decided.decided_at),
        "seconds": {stage: round(value, 6) for stage, value in decided.seconds.items()},
        **({"attempts": post.attempt + 1} if post.attempt else {}),
        **shed,
        **_marks(decided),
    }


def _marks(decided: Decided) -> dict[str, Any]:
    """Return the optional fields, which only few decisions have."""
    marks: dict[str, Any] = {}
    if decided.flood is not None:
        marks |= {"flood": True, "flood_prototype": decided.flood}
    if decided.canary is not None:
        expected = decided.canary.expected
        marks["canary"] = {
            "expected": expected.decision,
            "type": expected.type,
            "right": decided.canary.right,
        }
    return marks


def _type(item: TypeScore) -> dict[str, Any]:
    plain = {"type": item.type, "family": item.family, "name": item.name, "score": item.score}
    return plain if item.probability is None else {**plain, "probability": item.probability}


def _levels(found: ImageDecision | PostDecision) -> dict[str, Any]:
    """Return the optional fields that only a release with a head has something for."""

    def listed(key: str, items: Iterable[LevelScore]) -> list[dict[str, Any]]:
        return [{key: item.name, "score": item.score} for item in items]

    fields = {
        "mechanisms": listed("mechanism", found.mechanisms),
        "families": listed("family", found.families),
    }
    return {name: items for name, items in fields.items() if items}


def _prototype(item: Evidence) -> dict[str, Any]:
    return {"id": item.id, "type": item.type, "kind": item.kind, "similarity": item.similarity}


def _image(image: DecidedImage) -> dict[str, Any]:
    view, layout = image.view, image.layout
    return {
        "image_id": image.image_id,
        "decision": image.decision.decision,
        "reason": image.decision.reason,
        "cause": image.decision.cause,
        "types": [_type(item) for item in image.decision.types],
        **_levels(image.decision),
        "prototypes": [_prototype(item) for item in image.decision.evidence],
        "region": image.region,
        "frame": view.frame if view else None,
        "width": layout.width if layout else None,
        "height": layout.height if layout else None,
        "digest": image.digest,
        "cached": image.cached,
        "evidence": image.evidence,
        **_limits(image),
    }


def _limits(image: DecidedImage) -> dict[str, Any]:
    """Return an image's optional fields: what was judged of it, where that is not all of it."""
    view, layout = image.view, image.layout
    fields: dict[str, Any] = {}
    if view is not None and view.background is not None:
        fields["background"] = view.background
    if layout is not None and (layout.reach > 1 or layout.beyond):
        fields["frames"] = {
            "judged": layout.frames,
            "reached": layout.reach,
            "beyond": layout.beyond,
        }
    if layout is not None and layout.partial:
        fields["partial"] = True
    return fields


def _pixels(begin: float, share: float, length: int) -> tuple[int, int]:
    """Return the first pixel of a part of a side, and the one after its last.

    Rounding errors of the shares must not touch a pixel more, hence the billionths.
    """
    first = math.floor(round(begin * length, 9))
    end = math.ceil(round((begin + share) * length, 9))
    first = min(max(first, 0), length - 1)
    return first, min(max(end, first + 1), length)


def decision_record(decided: Decided, role: str = "decisions") -> Outgoing:
    """Return the record of a decision alone, to be published under a role."""
    key = decided.post.post_id.encode(errors="backslashreplace")
    return Outgoing(role, key, _dumps(to_json(decided)))


def outgoing(decided: Decided, *, room: int) -> list[Outgoing]:
    """Return the records that a decided post is published as.

    Its decision; the flagged record where it is flagged; the dead letter where it could not be
    judged, whatever its decision; what has its copies removed later. Of a canary the decision
    alone, as nobody is to act on it. Or, instead of all of these, the record that tries it again;
    of a deletion that comes round, nothing else.

    Args:
        decided: The post with its decision.
        room: Bytes a dead letter's key, value and headers may have together; one that would not
            fit goes without its body, and a post that would not fit is not tried again.
    """
    removal = [] if decided.removal is None else [decided.removal]
    if decided.post.again:
        return removal
    if decided.retry is not None and decided.retry.size <= room:
        return [decided.retry]
    body = to_json(decided)
    key = decided.post.post_id.encode(errors="backslashreplace")
    records = [Outgoing("decisions", key, _dumps(body)), *removal]
    if decided.canary is not None:
        return records
    if decided.decision.decision == "flag":
        records.append(Outgoing("flagged", key, _dumps(_flagged(body, decided.images))))
    faults = dead_letter_faults(decided)
    if faults:
        records.append(dead_letter(decided.post.record, faults, room=room))
    return records


def _flagged(body: Mapping[str, Any], images: Sequence[DecidedImage]) -> dict[str, Any]:
    """Add the matching region's embedding to each image (base64 of little-endian float16)."""
    embedded = [
        {**entry, "embedding": _encoded(image.embedding)}
        for entry, image in zip(body["images"], images, strict=True)
    ]
    return {**body, "schema": FLAGGED_SCHEMA, "images": embedded}


def _encoded(embedding: NDArray[np.float16] | None) -> str | None:
    if embedding is None:
        return None
    return base64.b64encode(embedding.astype("<f2").tobytes()).decode()


def dead_letter_faults(decided: Decided) -> list[tuple[str, str]]:
    """Return (reason, cause) of everything about a post that could not be judged."""
    if decided.post.fault is not None:
        return [("malformed", decided.post.fault)]
    return [
        (image.decision.reason, image.decision.cause or "")
        for image in decided.images
        if image.decision.reason in UNJUDGED
    ]


def dead_letter(record: Record, faults: Sequence[tuple[str, str]], *, room: int) -> Outgoing:
    """Return a record as it came, with Kafka Connect's provenance headers.

    The headers are those of Kafka Connect's dead letter queue (KIP-298), so that its tools read
    them. Where the whole would not fit, the value is left out, and the key and headers that are
    not small; ``moderator.body`` and ``moderator.key`` then say so.
    """
    ours = _provenance(record, faults)
    known = {*(name for name, _ in ours), OMITTED_BODY, OMITTED_KEY, TOPIC_ID}
    theirs = tuple((name, value) for name, value in record.headers if name not in known)
    key = record.key
    if record.size + len(key or b"") + _size(theirs + ours) <= room:
        # Never null: a dead letter without a value would read as a deletion when replayed.
        return Outgoing("dead_letter", key, record.value or b"", theirs + ours)
    omitted = [(OMITTED_BODY, f"omitted: {record.size} bytes".encode())]
    if key is not None and len(key) > KEPT_BYTES:
        omitted.append((OMITTED_KEY, f"omitted: {len(key)} bytes".encode()))
        key = None
    small = [header for header in theirs if _size([header]) <= KEPT_BYTES][:KEPT_HEADERS]
    return Outgoing("dead_letter", key, b"", (*small, *ours, *omitted))


def _provenance(record: Record, faults: Sequence[tuple[str, str]]) -> Headers:
    reason = faults[0][0]
    texts = {
        "__connect.errors.topic": record.topic,
        "__connect.errors.partition": str(record.partition),
        "__connect.errors.offset": str(record.offset),
        "__connect.errors.connector.name": "moderator",
        # One process publishes, so the task is 0, as in its transactional id.
        "__connect.errors.task.id": "0",
        "__connect.errors.stage": "VALUE_CONVERTER" if reason == "malformed" else "TRANSFORMATION",
        "__connect.errors.class.name": "moderator",
        "__connect.errors.exception.class.name": reason,
        "__connect.errors.exception.message": "; ".join(": ".join(fault) for fault in faults),
        TIMESTAMP: str(record.timestamp),
        **({TOPIC_ID: record.topic_id} if record.topic_id else {}),
    }
    return tuple(
        (name, text[:MAX_MESSAGE].encode(errors="backslashreplace")) for name, text in texts.items()
    )


def _size(headers: Iterable[tuple[str, bytes]]) -> int:
    """Return the bytes of headers at most; each takes up to ten for its two lengths."""
    return sum(len(name.encode()) + len(value) + 10 for name, value in headers)


def _dumps(body: Mapping[str, Any]) -> bytes:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # A surrogate without its other half becomes JSON's own escape for it.
    return text.encode(errors="backslashreplace")
