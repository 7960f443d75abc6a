"""Remove what deleted posts showed, for as long as it takes. Knows nothing of batches."""

import logging
import threading
from collections import OrderedDict
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field

from prometheus_client import Counter, Gauge

from moderator.evidence.store import EvidenceStore
from moderator.records import Post

logger = logging.getLogger(__name__)

REMOVED = Counter("moderator_evidence_removed_total", "Safe copies removed with their posts.")
PENDING = Gauge(
    "moderator_evidence_deletions_pending", "Deleted posts whose copies are not removed yet."
)
FAILED = Counter(
    "moderator_evidence_deletions_failed_total",
    "Tries to remove what a deleted post showed that failed.",
)
DROPPED = Counter(
    "moderator_evidence_deletions_dropped_total",
    "Deleted posts whose copies stay until they are swept, as too many failed or the member ended.",
)

PAUSES = (0.5, 30.0)
"""Seconds until a failed one is tried again at first, and at most."""

MAX_PENDING = 100_000
"""Deletions kept for another try, about 100 MB; beyond, the oldest is left to the sweep."""

THREADS = 4


@dataclass(eq=False, slots=True)
class _Deletion:
    post: Post
    tried: Future[int] = field(default_factory=Future)


class Deletions:
    """Deletions that are on their way, on threads of their own.

    They are done one after the other of each post, and tried again after a pause where the store
    fails: the first that fails holds up those behind it, as they would fail too.

    Args:
        store: What they are done in.
    """

    def __init__(self, store: EvidenceStore) -> None:
        self._store = store
        self._waiting: OrderedDict[str, _Deletion] = OrderedDict()
        self._busy = 0
        self._pause = 0.0
        self._changed = threading.Condition()
        self._closing = False
        PENDING.set_function(lambda: float(self.pending))
        for _ in range(THREADS):
            threading.Thread(target=self._run, name="evidence-deletions", daemon=True).start()

    @property
    def failing(self) -> bool:
        """Whether the last one failed."""
        return self._pause > 0

    @property
    def pending(self) -> int:
        """Deletions that are not done."""
        return len(self._waiting) + self._busy

    def submit(self, post: Post) -> Future[int]:
        """Begin to remove what a post showed before its record.

        Returns:
            A future of how many copies went at the first try; where that fails, more follow.
        """
        deletion = _Deletion(post)
        with self._changed:
            # A later deletion of a post removes all that an earlier one would.
            earlier = self._waiting.pop(post.post_id, None)
            if earlier is not None:
                deletion.tried.add_done_callback(lambda _: _settle(earlier, 0))
            if len(self._waiting) >= MAX_PENDING:
                self._waiting.popitem(last=False)
                DROPPED.inc()
            self._waiting[post.post_id] = deletion
            self._changed.notify()
        return deletion.tried

    def close(self, timeout: float) -> None:
        """Wait for what is on its way, at most so many seconds, and stop."""
        with self._changed:
            self._pause = 0.0
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self.pending, timeout)
            self._closing = True
            left = self.pending
            self._changed.notify_all()
        if left:
            DROPPED.inc(left)
            logger.error(
                "what %d deleted posts showed is still kept, until it is swept or `moderator "
                "evidence delete` removes it",
                left,
            )

    def _run(self) -> None:
        while (deletion := self._next()) is not None:
            try:
                gone = self._store.delete(deletion.post.post_id, deletion.post.record)
            except Exception as error:
                self._failed(deletion, error)
            else:
                self._done(deletion, gone)

    def _next(self) -> _Deletion | None:
        with self._changed:
            if self._pause:
                self._changed.wait_for(lambda: self._closing or not self._pause, self._pause)
            self._changed.wait_for(lambda: self._closing or self._waiting)
            if self._closing:
                return None
            _, deletion = self._waiting.popitem(last=False)
            self._busy += 1
            return deletion

    def _done(self, deletion: _Deletion, gone: int) -> None:
        REMOVED.inc(gone)
        with self._changed:
            self._busy -= 1
            self._pause = 0.0
            self._changed.notify_all()
        _settle(deletion, gone)

    def _failed(self, deletion: _Deletion, error: Exception) -> None:
        FAILED.inc()
        with self._changed:
            self._busy -= 1
            first = self._pause == 0
            self._pause = min(max(2 * self._pause, PAUSES[0]), PAUSES[1])
            # Unless the post was deleted once more meanwhile, which does for both.
            if deletion.post.post_id not in self._waiting:
                self._waiting[deletion.post.post_id] = deletion
                self._waiting.move_to_end(deletion.post.post_id, last=False)
            self._changed.notify_all()
        _settle(deletion, 0)
        if first:
            logger.error("what deleted posts showed cannot be removed yet: %s", error)


def _settle(deletion: _Deletion, gone: int) -> None:
    with suppress(InvalidStateError):
        deletion.tried.set_result(gone)
