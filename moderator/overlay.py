"""The overlay: prototypes added or removed since the release, from the ``prototypes`` topic.

Every member reads the topic to its end before it is ready, and follows it from then on, outside
the consumer group. The last record of each key is all that counts, so that members agree whether
or not they have read what compaction has since removed: a removal is a record with a value, and
one that cannot be applied (another network, a wrong dimension, not finite) takes back what the
overlay said of its prototype, and is counted.
"""

import base64
import json
import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from prometheus_client import Counter, Gauge

from models.prototypes import KINDS, NORM_TOLERANCE
from moderator.errors import BadInput
from moderator.following import TopicFollower, TopicReading
from moderator.match import Added, Change, Matcher

logger = logging.getLogger(__name__)

SCHEMA = "prototype/1"

REMOVED = "removed"
"""Kind of a record that removes its prototype."""

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
"""Content digest of a picture, as ``records.digest`` gives it."""

MAX_TEXT = 256
"""Longest id, type or name of a prototype, in characters: decisions repeat them."""

OVERLAY_VERSION = Gauge(
    "moderator_overlay_version", "Offset up to which the prototypes topic has been applied."
)
OVERLAY_SKIPPED = Counter(
    "moderator_overlay_skipped_total",
    "Records of the prototypes topic that were not applied, by cause.",
    ["cause"],
)


class Skipped(BadInput):
    """A record of the prototypes topic that cannot be applied; ``cause`` is a metric's label.

    ``prototype_id`` is that of its key, None where the key is not one of this network.
    """

    prototype_id: str | None = None

    def __init__(self, cause: str, text: str) -> None:
        super().__init__(text)
        self.cause = cause


def encode_prototype(
    prototype_id: str,
    network: str,
    type: str,  # noqa: A002 - the record's field
    kind: str,
    embedding: NDArray[np.float32] | None,
    *,
    family: str,
    display_name: str,
    digest: str | None = None,
) -> tuple[bytes, bytes]:
    """Return key and value of a record of the prototypes topic.

    Args:
        prototype_id: Unique over the release and the overlay; an existing one is replaced. At most
            256 characters, as are the texts below.
        network: Digest of the network that the embedding belongs to.
        type: Type of firearm; empty for an override that passes.
        kind: ``firearm``, ``lookalike`` or ``override``.
        embedding: float32[D], L2-normalised; None for an override. Float16, as ``flagged`` records
            hold it, is read as well.
        family: Group of the type.
        display_name: The type as people read it.
        digest: Content digest of the picture, for an override.
    """
    body = {
        "schema": SCHEMA,
        "prototype_id": prototype_id,
        "network": network,
        "type": type,
        "family": family,
        "display_name": display_name,
        "kind": kind,
        "embedding": None
        if embedding is None
        else base64.b64encode(np.asarray(embedding, "<f4").tobytes()).decode(),
        "digest": digest,
    }
    return f"{network}/{prototype_id}".encode(), json.dumps(body).encode()


def encode_removal(prototype_id: str, network: str) -> tuple[bytes, bytes]:
    """Return key and value of a record that removes a prototype, the release's own or an added one.

    It has a value: a record without one is dropped by compaction in time, and members that start
    later would serve the release's own prototype again.

    Args:
        prototype_id: As ``encode_prototype`` takes it.
        network: Digest of the network whose prototype it is.
    """
    return encode_prototype(prototype_id, network, "", REMOVED, None, family="", display_name="")


def decode_prototype(
    key: bytes | None, value: bytes | None, network: str, dimension: int
) -> Added | str:
    """Read a record of the prototypes topic: a prototype, or the id of one removed.

    Raises:
        Skipped: It is not for this network, or not one that can be served.
    """
    prototype_id = _prototype_id(key, network)
    try:
        return _change(prototype_id, value, network, dimension)
    except Skipped as error:
        error.prototype_id = prototype_id
        raise


def _change(prototype_id: str, value: bytes | None, network: str, dimension: int) -> Added | str:
    if value is None:
        return prototype_id
    try:
        body = json.loads(value)
    except (ValueError, RecursionError):
        raise Skipped("malformed", f"prototype {prototype_id} is not JSON") from None
    if not isinstance(body, dict):
        raise Skipped("malformed", f"prototype {prototype_id} is not a JSON object")
    if body.get("schema") != SCHEMA:
        raise Skipped("schema", f"prototype {prototype_id} does not have schema {SCHEMA}")
    if body.get("network", network) != network:
        raise Skipped("network", f"prototype {prototype_id} is of another network than its key")
    if body.get("kind") == REMOVED:
        return prototype_id
    if body.get("kind") not in KINDS:
        raise Skipped("malformed", f"prototype {prototype_id} has no known kind")
    return _added(prototype_id, body, dimension)


def _prototype_id(key: bytes | None, network: str) -> str:
    try:
        owner, _, prototype_id = (key or b"").decode().partition("/")
    except UnicodeDecodeError:
        raise Skipped("malformed", "a prototype whose key is not UTF-8") from None
    if not 0 < len(prototype_id) <= MAX_TEXT:
        raise Skipped("malformed", f"a key that is not <network>/<id of 1 to {MAX_TEXT}>")
    if owner != network:
        raise Skipped("network", f"prototype {prototype_id} is of another network")
    return prototype_id


def _added(prototype_id: str, body: Mapping[str, Any], dimension: int) -> Added:
    override = body["kind"] == "override"
    name, digest = _text(body.get("type")), body.get("digest")
    if not name and not (override and body.get("type") == ""):
        raise Skipped("malformed", f"prototype {prototype_id} has no type")
    if override and not (isinstance(digest, str) and DIGEST.fullmatch(digest)):
        raise Skipped("malformed", f"override {prototype_id} names no picture")
    return Added(
        prototype_id=prototype_id,
        type=name,
        kind=body["kind"],
        family=_text(body.get("family")) or name,
        display_name=_text(body.get("display_name")) or name,
        embedding=None if override else _embedding(prototype_id, body, dimension),
        digest=digest if override else None,
    )


def _text(value: object) -> str:
    """Return a text that is one and neither empty nor too long, else an empty one."""
    fits = isinstance(value, str) and len(value) <= MAX_TEXT
    return str(value).encode(errors="replace").decode() if fits else ""


def _embedding(prototype_id: str, body: Mapping[str, Any], dimension: int) -> NDArray[np.float32]:
    encoded = body.get("embedding")
    try:
        raw = base64.b64decode(encoded, validate=True) if isinstance(encoded, str) else b""
    except ValueError:
        raise Skipped("malformed", f"the embedding of {prototype_id} is not base64") from None
    if not raw:
        raise Skipped("malformed", f"prototype {prototype_id} has no embedding")
    if len(raw) not in (2 * dimension, 4 * dimension):
        raise Skipped("dimension", f"prototype {prototype_id} does not have {dimension} numbers")
    half = len(raw) == 2 * dimension
    # In float64, where squares of float32 neither overflow nor vanish.
    embedding = np.frombuffer(raw, "<f2" if half else "<f4").astype(np.float64)
    norm = float(np.linalg.norm(embedding)) if np.isfinite(embedding).all() else 0.0
    if norm == 0:
        raise Skipped("not-finite", f"the embedding of {prototype_id} is zero or not finite")
    if half and abs(norm - 1) > NORM_TOLERANCE:
        # Half as many float32 are as many bytes, and their bits are float16 of any size.
        raise Skipped("dimension", f"prototype {prototype_id} is not {dimension} float16 of norm 1")
    return (embedding / norm).astype(np.float32)


class Overlay(TopicFollower):
    """Follows the prototypes topic and hands its changes to the matcher, on a thread of its own.

    Args:
        reader: Of the topic's one partition, from its beginning; it is closed in the end.
        matcher: Is given the changes.
        network: Digest of the network whose prototypes count.
        dimension: Of its embeddings.
    """

    def __init__(
        self, reader: TopicReading, matcher: Matcher, network: str, dimension: int
    ) -> None:
        super().__init__(reader, "prototypes")
        self._matcher = matcher
        self._network = network
        self._dimension = dimension
        self._version = 0
        self._changes: dict[str, Change] = {}
        self._anew = False

    def _restart(self) -> None:
        self._changes, self._anew = {}, True

    def _apply(self, records: Sequence[Any], reached: int, *, at_end: bool) -> None:
        """Hand on what was read; what another step would have read makes no difference."""
        for record in records:
            self._take(record)
        # Of a topic made anew, nothing is served before all of it is known.
        if at_end or not self._anew:
            self._serve(reached)

    def _take(self, record: Any) -> None:
        change: Change
        try:
            decoded = decode_prototype(record.key, record.value, self._network, self._dimension)
        except Skipped as error:
            self._skip(record.offset, error)
            if error.prototype_id is None:
                return
            name, change = error.prototype_id, "forgotten"
        else:
            name = decoded if isinstance(decoded, str) else decoded.prototype_id
            change = "removed" if isinstance(decoded, str) else decoded
        if record.value is None:
            logger.warning(
                "prototypes topic, offset %d removes %s without a value: once compaction drops "
                "it, members that start later serve the release's own again; remove it with a "
                "record of kind %r",
                record.offset,
                name,
                REMOVED,
            )
        # Taken out first: the order is that of each prototype's last change.
        self._changes.pop(name, None)
        self._changes[name] = change

    def _serve(self, version: int) -> None:
        if self._changes or self._anew or version > self._version:
            self._matcher.apply(self._changes, version, anew=self._anew)
            if self._anew:
                logger.warning("overlay rebuilt: version %d, %d before", version, self._version)
            self._changes, self._anew = {}, False
            self._version = version
            OVERLAY_VERSION.set(version)

    def _skip(self, offset: int, error: Skipped) -> None:
        OVERLAY_SKIPPED.labels(error.cause).inc()
        # While networks change over, the topic holds prototypes of both, and that is all right.
        level = logging.DEBUG if error.cause == "network" else logging.WARNING
        logger.log(level, "prototypes topic, offset %d skipped: %s", offset, error)
