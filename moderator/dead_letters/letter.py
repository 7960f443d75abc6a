"""One dead letter: what was wrong with which record, and that record as it came. Pure.

The other side of ``moderator.decisions.dead_letter``. Knows nothing of clients or of people.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moderator.decisions import OMITTED_BODY, OMITTED_KEY, TIMESTAMP, TOPIC_ID
from moderator.errors import BadInput
from moderator.records import UNREADABLE, Headers, Record, utc

CONNECT = "__connect.errors."
"""What the names of Kafka Connect's headers begin with (KIP-298)."""

REPLAYED = "moderator.dead-letter"
"""Header of a post that was replayed: the id of the dead letter that it came from."""

OURS = frozenset({TIMESTAMP, TOPIC_ID, OMITTED_BODY, OMITTED_KEY, REPLAYED})


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record of the dead-letter topic, as it was read."""

    record: Record

    @property
    def id(self) -> str:
        """``<partition>-<offset>`` in the dead-letter topic."""
        return f"{self.record.partition}-{self.record.offset}"

    @property
    def reason(self) -> str:
        """Why its post could not be judged, such as ``undecodable``."""
        return self._said("exception.class.name")

    @property
    def message(self) -> str:
        """What was wrong, image by image."""
        return self._said("exception.message")

    @property
    def decision_id(self) -> str:
        """The id of the decision of its post, whose coordinates it holds."""
        return "-".join(map(self._said, ("topic", "partition", "offset")))

    @property
    def headers(self) -> Headers:
        """The headers that the record came with."""
        return tuple(
            (name, value)
            for name, value in self.record.headers
            if not name.startswith(CONNECT) and name not in OURS
        )

    @property
    def origin(self) -> Record:
        """The record that this is of, as it came; what the letter does not say is -1 or empty."""
        found = dict(self.record.headers)
        numbers = [self._said("partition"), self._said("offset")]
        numbers.append(found.get(TIMESTAMP, b"").decode(errors="replace"))
        partition, offset, timestamp = (_number(text) for text in numbers)
        return Record(
            self._said("topic"),
            partition,
            offset,
            timestamp,
            self.record.key,
            self.record.value,
            self.headers,
            topic_id=found.get(TOPIC_ID, b"").decode(errors="replace"),
        )

    @property
    def lost(self) -> str | None:
        """What of the record is not there, in a word or a few; None where it is whole."""
        found = dict(self.record.headers)
        for name, what in ((OMITTED_BODY, "its body"), (OMITTED_KEY, "its key")):
            if name in found:
                text = found[name].decode(errors="replace").removeprefix("omitted: ")
                return f"{what} ({text}) was left out"
        if UNREADABLE in found:
            return "its body could not be read at the broker"
        return None

    def to_json(self) -> dict[str, Any]:
        """Return what is known of it, without its body."""
        key = self.record.key
        return {
            "id": self.id,
            "time": utc(self.record.timestamp),
            "reason": self.reason,
            "message": self.message,
            "decision_id": self.decision_id,
            "key": None if key is None else key.decode(errors="backslashreplace"),
            "bytes": self.record.size,
            "lost": self.lost,
            "headers": shown(self.record.headers),
        }

    def replayed(self, topic: str, refusal: str | None = None) -> Headers:
        """Return the headers with which the record is posted again.

        Args:
            topic: The dead-letter topic.
            refusal: Why it is not to be posted again, if anything is known against it.

        Raises:
            BadInput: The record is not whole, or not to be posted again; the text is one line.
        """
        if self.lost is not None:
            raise BadInput(f"dead letter {self.id} cannot be replayed: {self.lost}; post it anew")
        if refusal is not None:
            raise BadInput(f"dead letter {self.id} is not replayed: {refusal}")
        return (*self.headers, (REPLAYED, f"{topic}-{self.id}".encode()))

    def _said(self, name: str) -> str:
        return dict(self.record.headers).get(f"{CONNECT}{name}", b"").decode(errors="replace")


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return -1


def shown(headers: Headers) -> Mapping[str, str]:
    """Return headers as text; the values of one that comes twice with a comma between them."""
    texts: dict[str, str] = {}
    for name, value in headers:
        text = value.decode(errors="backslashreplace")
        texts[name] = f"{texts[name]}, {text}" if name in texts else text
    return texts
