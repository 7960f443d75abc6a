"""Remove copies that have been kept for their time: on a thread of a member, or by a command."""

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from prometheus_client import Counter
from rich.console import Console

from moderator.errors import BadSettings, Unavailable
from moderator.evidence.files import open_files
from moderator.evidence.store import EvidenceStore
from moderator.records import Record
from moderator.settings import Evidence

logger = logging.getLogger(__name__)

T = TypeVar("T")

SWEPT = Counter("moderator_evidence_swept_total", "Safe copies removed as they were kept for long.")

LOOK = 60.0
"""Seconds between looks whether a sweep is due; the members share when the last one was."""


class Sweeper:
    """Sweeps at intervals, on a thread of its own, until it is closed.

    Args:
        store: What is swept; of the members that look, one does it.
        retention: Seconds that copies are kept.
        interval: Seconds between sweeps.
        look: Seconds between looks.
    """

    def __init__(
        self, store: EvidenceStore, retention: float, interval: float, look: float = LOOK
    ) -> None:
        self._store = store
        self._retention = retention
        self._interval = interval
        self._look = min(look, interval)
        self._closing = threading.Event()
        threading.Thread(target=self._run, name="evidence-sweep", daemon=True).start()

    def close(self) -> None:
        """Stop after the sweep under way, which nobody waits for."""
        self._closing.set()

    def _run(self) -> None:
        while not self._closing.wait(self._look):
            try:
                if self._store.due(self._interval):
                    SWEPT.inc(self._store.sweep(time.time() - self._retention).copies)
            except Exception as error:
                # Every store's package raises errors of its own; the next look tries again.
                logger.warning("evidence cannot be swept: %s: %s", type(error).__name__, error)


def run_sweep(evidence: Evidence, out: Console) -> int:
    """Remove copies that were kept for their time; print how many went.

    Raises:
        BadSettings: No place is set, or it is of no known store.
        Unavailable: The store fails.
    """
    store = _store(evidence)
    swept = _tried(lambda: store.sweep(time.time() - evidence.evidence_retention))
    out.print(f"{swept.copies} copies removed, {swept.names} names of posts that showed them")
    return 0


def run_delete(evidence: Evidence, post_ids: tuple[str, ...], out: Console) -> int:
    """Remove what posts showed, as their authors' deletions do; print a line a post.

    Raises:
        BadSettings: No place is set, or it is of no known store.
        Unavailable: The store fails.
    """
    store = _store(evidence)
    for post_id in post_ids:
        # Of no topic: it orders by time, and so comes after all there is.
        record = Record("", -1, 0, int(time.time() * 1000), post_id.encode(), None)
        gone = _tried(partial(store.delete, post_id, record))
        out.file.write(f"{post_id}\t{gone} copies removed\n")
    return 0


def _store(evidence: Evidence) -> EvidenceStore:
    if evidence.evidence_url is None:
        raise BadSettings("no evidence_url is set; name the folder or store that holds copies")
    return EvidenceStore(open_files(evidence.evidence_url))


def _tried(call: Callable[[], T]) -> T:
    try:
        return call()
    except Unavailable:
        raise
    except Exception as error:
        raise Unavailable(
            f"the evidence store fails: {type(error).__name__}: {error}; mend it and run this again"
        ) from error
