"""Keep decisions on disk by where their posts lie, so that memory does not grow with the range."""

import json
import sqlite3
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from moderator.replaying.outcome import Outcome

Place = tuple[int, int]
"""Partition and offset of a post's record."""


class OutcomeStore:
    """A temporary file of outcomes; gone when it is closed."""

    def __init__(self) -> None:
        # An empty name is SQLite's for a temporary file, which it deletes itself.
        self._file = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._file.execute("PRAGMA journal_mode=OFF")
        self._file.execute("PRAGMA synchronous=OFF")
        self._file.execute(
            "CREATE TABLE outcomes (partition INTEGER, place INTEGER, body TEXT, "
            "PRIMARY KEY (partition, place)) WITHOUT ROWID"
        )

    def put(self, outcomes: Iterable[tuple[Place, Outcome]]) -> None:
        """Keep outcomes; a later one of a post replaces an earlier."""
        rows = [(*place, json.dumps(each.to_json())) for place, each in outcomes]
        self._file.executemany("INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?)", rows)

    def get(self, place: Place) -> Outcome | None:
        """Return the outcome of a post, None where there is none."""
        found = self._file.execute(
            "SELECT body FROM outcomes WHERE partition = ? AND place = ?", place
        ).fetchone()
        return None if found is None else Outcome.from_json(json.loads(found[0]))

    def __len__(self) -> int:
        count: int = self._file.execute("SELECT count(*) FROM outcomes").fetchone()[0]
        return count

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
