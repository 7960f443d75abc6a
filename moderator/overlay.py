"""The overlay: prototypes added or removed since the release, from the ``prototypes`` topic.

Every member reads the topic to its end before it is ready, and follows it from then on, outside
the consumer group. What is of another network, of a wrong dimension or not finite is skipped and
counted. Knows nothing of posts.
"""

import base64
import json
import logging
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from prometheus_client import Counter, Gauge

from models.prototypes import KINDS
from moderator.errors import BadInput
from moderator.following import TopicFollower, TopicReading
from moderator.match import Added, Matcher

logger = logging.getLogger(__name__)

SCHEMA = "prototype/1"

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
    """A record of the prototypes topic that cannot be applied; ``cause`` is a metric's label."""

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
        embedding: float32[D], L2-normalised; None for an override.
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


def decode_prototype(
    key: bytes | None, value: bytes | None, network: str, dimension: int
) -> Added | str:
    """Read a record of the prototypes topic: a prototype, or the id of one removed.

    Raises:
        Skipped: It is not for this network, or not one that can be served.
    """
    prototype_id = _prototype_id(key, network)
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
    if len(raw) != 4 * dimension:
        raise Skipped("dimension", f"prototype {prototype_id} does not have {dimension} numbers")
    # In float64, where squares of float32 neither overflow nor vanish.
    embedding = np.frombuffer(raw, "<f4").astype(np.float64)
    norm = float(np.linalg.norm(embedding))
    if not math.isfinite(norm) or norm == 0:
        raise Skipped("not-finite", f"the embedding of {prototype_id} is zero or not finite")
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

    def _apply(self, records: Sequence[Any], reached: int, *, at_end: bool) -> None:  # noqa: ARG002
        """Hand on what was read; what another step would have read makes no difference."""
        changes: dict[str, Added | None] = {}
        for record in records:
            try:
                change = decode_prototype(record.key, record.value, self._network, self._dimension)
            except Skipped as error:
                self._skip(record.offset, error)
                continue
            name = change if isinstance(change, str) else change.prototype_id
            # Taken out first: the order is that of each prototype's last change.
            changes.pop(name, None)
            changes[name] = None if isinstance(change, str) else change
        added = [change for change in changes.values() if change is not None]
        removed = [name for name, change in changes.items() if change is None]
        self._serve(added, removed, reached)

    def _serve(self, added: list[Added], removed: list[str], version: int) -> None:
        if added or removed or version > self._version:
            self._matcher.apply(added, removed, version)
            self._version = version
            OVERLAY_VERSION.set(version)

    def _skip(self, offset: int, error: Skipped) -> None:
        OVERLAY_SKIPPED.labels(error.cause).inc()
        # While networks change over, the topic holds prototypes of both, and that is all right.
        level = logging.DEBUG if error.cause == "network" else logging.WARNING
        logger.log(level, "prototypes topic, offset %d skipped: %s", offset, error)
