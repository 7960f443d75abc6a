"""Which of two records of one post came first, also where their topic was made anew."""

from dataclasses import dataclass

from moderator.records import Record

UNKNOWN = "unknown"
"""What a place's text says in place of a topic id that is not known."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record lies.

    ``topic_id`` is Kafka's id of the topic, which a topic made anew does not keep; empty where it
    is not known. ``timestamp`` is in milliseconds since 1970, negative where there is none.
    ``past`` says whether that topic is gone, another one having taken its name; it is known of
    records at hand alone, and no part of the text.
    """

    topic_id: str
    partition: int
    offset: int
    timestamp: int
    past: bool | None = None

    @classmethod
    def of(cls, record: Record) -> "Place":
        """Return the place of a record."""
        past = record.past if record.topic_id else None
        at = (record.topic_id, record.partition, record.offset, record.timestamp)
        return cls(*at, past)

    @classmethod
    def parse(cls, text: str) -> "Place | None":
        """Return what ``str`` gave a text for, None where the text is another."""
        topic_id, *numbers = text.split("_")
        try:
            partition, offset, timestamp = map(int, numbers)
        except ValueError:
            return None
        return cls("" if topic_id == UNKNOWN else topic_id, partition, offset, timestamp)

    def __str__(self) -> str:
        numbers = f"{self.partition}_{self.offset}_{self.timestamp}"
        return f"{self.topic_id or UNKNOWN}_{numbers}"

    def before(self, deletion: "Place") -> bool:
        """Whether a post's record at this place came before a deletion of the post.

        Offsets tell within a partition; the topic that is there now comes after one that is gone.
        Only where neither helps, timestamps do: of partitions that were added, since a post's key
        then moves, and of posts without a key. When in doubt, it did come before.
        """
        if self.topic_id == deletion.topic_id:
            if self.partition == deletion.partition:
                return self.offset < deletion.offset
        elif not self.topic_id:
            return True
        elif deletion.topic_id:
            if self.past is not None:
                return self.past
            if deletion.past is not None:
                return not deletion.past
        return self._older(deletion)

    def _older(self, deletion: "Place") -> bool:
        known = self.timestamp >= 0 and deletion.timestamp >= 0
        return self.timestamp <= deletion.timestamp if known else True
