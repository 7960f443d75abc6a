"""Find the decisions that were published of a range of posts. Changes nothing, judges nothing."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from moderator.records import Record
from moderator.replaying.outcome import Outcome, outcome
from moderator.replaying.ranges import RangeReader, Window
from moderator.replaying.span import Moment
from moderator.replaying.store import OutcomeStore, Place

EARLIER = 3_600_000
"""Milliseconds by which a post's own timestamp may be ahead of the brokers' clock, usually."""

Metering = Callable[[Sequence[Window]], Callable[[], None]]
"""Is told what will be read, and gives what to call at each record."""

PUT = 500
"""Decisions that are kept at once."""


class PublishedDecisions:
    """Reads the decisions topic into a store.

    Args:
        reader: Of the decisions topic.
        posts_topic: Whose posts' decisions are wanted.
        windows: Where the posts lie.
    """

    def __init__(self, reader: RangeReader, posts_topic: str, windows: Sequence[Window]) -> None:
        self._reader = reader
        self._topic = posts_topic
        self._wanted = {window.partition: window for window in windows}
        self.unreadable = 0

    def fill(self, store: OutcomeStore, begin: int, meter: Metering) -> None:
        """Read decisions from those published at ``begin`` on, and the older if any are missing.

        Args:
            store: Where those that are wanted go.
            begin: Time of the oldest post in milliseconds since 1970.
            meter: Is told what will be read, and gives what to call at each record.

        Raises:
            Unavailable: They cannot be read.
        """
        recent = self._reader.windows(Moment(max(0, begin - EARLIER)), "latest")
        self._read(store, recent, meter)
        if recent and len(store) >= sum(window.size for window in self._wanted.values()):
            return
        # A clock may have been wrong: nothing is said to be missing before all was looked at.
        starts = {window.partition: window.begin for window in recent}
        older = [
            Window(w.partition, w.begin, min(w.end, starts.get(w.partition, w.end)))
            for w in self._reader.windows("earliest", "latest")
        ]
        self._read(store, [window for window in older if window.size > 0], meter, only_missing=True)

    def _read(
        self,
        store: OutcomeStore,
        windows: Sequence[Window],
        meter: Metering,
        *,
        only_missing: bool = False,
    ) -> None:
        """Keep what is wanted of ranges, or only that of posts that have nothing later."""
        advance = meter(windows)
        found: list[tuple[Place, Outcome]] = []
        for record in self._reader.read_all(windows):
            advance()
            found += self._of(record)
            if len(found) >= PUT:
                store.put(each for each in found if not only_missing or store.get(each[0]) is None)
                found = []
        store.put(each for each in found if not only_missing or store.get(each[0]) is None)

    def _of(self, record: Record) -> Iterator[tuple[Place, Outcome]]:
        try:
            body = json.loads(record.value or b"")
            place = self._place(body)
            if place is not None:
                yield place, outcome(body)
        except (ValueError, KeyError, TypeError, RecursionError):
            self.unreadable += 1

    def _place(self, body: Mapping[str, Any]) -> Place | None:
        source = body["source"]
        window = self._wanted.get(source["partition"])
        inside = window is not None and window.begin <= source["offset"] < window.end
        return (
            (source["partition"], source["offset"])
            if inside and source["topic"] == self._topic
            else None
        )
