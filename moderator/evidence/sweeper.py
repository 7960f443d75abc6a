"""Remove copies: those kept for their time, on a thread of a member, and by commands."""

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from prometheus_client import Counter
from rich.console import Console

from moderator.errors import BadSettings, Unavailable
from moderator.evidence.files import Files, open_files
from moderator.evidence.migration import migrate
from moderator.evidence.store import EvidenceStore
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
                    self._store.check_layout()
            except Exception as error:
                # Every store's package raises errors of its own; the next look tries again.
                logger.warning("evidence cannot be swept: %s: %s", type(error).__name__, error)


def run_sweep(evidence: Evidence, out: Console) -> int:
    """Remove copies that were kept for their time; print how many went.

    Raises:
        BadSettings: No place is set, or it is of no known store.
        Unavailable: The store fails.
    """
    store = EvidenceStore(_files(evidence))
    swept = _tried(lambda: store.sweep(time.time() - evidence.evidence_retention))
    out.print(f"{swept.copies} copies removed, {swept.deletions} deletions forgotten")
    _tried(store.check_layout)
    return 0


def run_delete(evidence: Evidence, post_ids: tuple[str, ...], out: Console) -> int:
    """Remove all copies of posts, and keep none of these posts any more; print a line a post.

    Returns:
        The exit code: 0, or 1 where copies of a post could not be removed.

    Raises:
        BadSettings: No place is set, or it is of no known store.
    """
    store = EvidenceStore(_files(evidence))
    failed = False
    for post_id in post_ids:
        try:
            said = f"{store.delete_all(post_id)} copies removed"
        except Exception as error:
            # Every store's package raises errors of its own.
            failed = True
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            said = f"failed, copies may be left: {reason}"
        out.file.write(f"{post_id}\t{said}\n")
    return 1 if failed else 0


def run_migrate(evidence: Evidence, out: Console) -> int:
    """Move copies from the layout of earlier versions; print a line for each file.

    Raises:
        BadSettings: No place is set, or it is of no known store.
        Unavailable: The store fails.
    """
    moving = migrate(_files(evidence), time.time() - evidence.evidence_retention)
    moved = removed = 0
    while (each := _tried(lambda: next(moving, None))) is not None:
        moved += each.target is not None
        removed += each.target is None
        said = (
            f"moved    {each.source}  {each.target}" if each.target else f"removed  {each.source}"
        )
        out.file.write(f"{said}\n")
    out.file.write(
        f"{moved} moved; {removed} removed, which no post shows any more or for too long\n"
    )
    return 0


def _files(evidence: Evidence) -> Files:
    if evidence.evidence_url is None:
        raise BadSettings("no evidence_url is set; name the folder or store that holds copies")
    return open_files(evidence.evidence_url)


def _tried(call: Callable[[], T]) -> T:
    try:
        return call()
    except Unavailable:
        raise
    except Exception as error:
        raise Unavailable(
            f"the evidence store fails: {type(error).__name__}: {error}; mend it and run this again"
        ) from error
