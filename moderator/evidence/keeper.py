"""Keep copies for the posts of a batch before it is published. The store may fail; this may not.

A batch waits for its copies for a bounded time, and behind a breaker not at all while the store
fails; what is not there by then has no evidence. Deletions are never given up while the member
lives: those that fail are tried again until they are done.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future, wait
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from prometheus_client import Counter, Histogram

from moderator.caching.breaker import Breaker
from moderator.decisions import Decided, DecidedImage
from moderator.decoding.decode import Undecodable
from moderator.decoding.view import WHOLE, View
from moderator.evidence.deletions import Deletions
from moderator.evidence.store import EvidenceStore, copy_name
from moderator.evidence.threads import Threads
from moderator.records import Post

logger = logging.getLogger(__name__)

COPIES = Counter("moderator_evidence_copies_total", "Images of which a safe copy is kept.")
FAILURES = Counter(
    "moderator_evidence_failures_total",
    "Images without a safe copy: store (it failed), timeout (it was too slow), bypass (it was not "
    "asked, as it failed before), busy (too many wait), deleted (their post was), or decode.",
    ["cause"],
)
SECONDS = Histogram(
    "moderator_evidence_seconds",
    "Seconds that a batch waits for its copies.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)

MAX_WAITING = 1024
"""Copies that may wait for a thread, so that a slow store does not fill the memory."""

CAUSES = {Undecodable: "decode", TimeoutError: "timeout", CancelledError: "timeout"}


class Copying(Protocol):
    """The part of a copy pool that keeping uses."""

    def copied(self, data: bytes, view: View, timeout: float) -> bytes:
        """Return a copy of the frame of an image that a view sees."""
        ...


class Keeper:
    """Keeps copies and removes them, for one member.

    Args:
        store: Where they are kept.
        copying: Makes them.
        everything: Keep those of all posts; else of flagged ones alone.
        timeout: Seconds that a batch waits at most.
        connections: Copies written at once.
    """

    def __init__(
        self,
        store: EvidenceStore,
        copying: Copying,
        *,
        everything: bool,
        timeout: float,
        connections: int,
    ) -> None:
        self._store = store
        self._copying = copying
        self._everything = everything
        self._timeout = timeout
        self._breaker = Breaker()
        self._threads = Threads(connections, "evidence")
        self._deletions = Deletions(store)

    def keep(self, decided: Sequence[Decided], data: Mapping[str, bytes]) -> list[Decided]:
        """Return the posts with where their copies lie, once these are there or time is up.

        What deleted posts showed is removed meanwhile.

        Args:
            decided: A batch, in the order in which it was read.
            data: The pictures' bytes, by content digest.
        """
        begin = time.monotonic()
        end = begin + self._timeout
        deletions = [self._deletions.submit(each.post) for each in decided if each.post.deleted]
        kept = self._kept([each for each in decided if self._wanted(each)], data, end)
        if not (deletions or kept):
            return list(decided)
        patient = self._breaker.closed and not self._deletions.failing
        awaited: list[Future[Any]] = [*kept.values(), *(deletions if patient else ())]
        wait(awaited, max(0.0, end - time.monotonic()))
        if patient and not all(each.done() for each in deletions):
            # They go on; but the next batches need not wait as long for theirs.
            self._slow()
        found = {key: self._taken(future) for key, future in kept.items()}
        SECONDS.observe(time.monotonic() - begin)
        return [_with_evidence(each, found) for each in decided]

    def close(self) -> None:
        """Stop; deletions that are not done are tried once more, within the time of a batch."""
        self._deletions.close(self._timeout)
        self._threads.close()

    def _wanted(self, decided: Decided) -> bool:
        # Nobody reviews a canary, and what is tried again has no images yet.
        if decided.canary is not None or decided.retry is not None:
            return False
        return self._everything or decided.decision.decision == "flag"

    def _kept(
        self, decided: Sequence[Decided], data: Mapping[str, bytes], end: float
    ) -> dict["_Key", "Future[str | None]"]:
        """Begin to keep the copies of posts; those that fail at once are not there."""
        wanted = {
            _key(each.post, image): (each.post, image)
            for each in decided
            for image in each.images
            if image.digest in data and image.view is not None
        }
        if not wanted:
            return {}
        if not (self._breaker.closed or self._breaker.probe_due()):
            FAILURES.labels("bypass").inc(len(wanted))
            return {}
        return {key: self._begun(*each, data, end) for key, each in wanted.items()}

    def _begun(
        self, post: Post, image: DecidedImage, data: Mapping[str, bytes], end: float
    ) -> "Future[str | None]":
        digest, view = image.digest or "", image.view or WHOLE
        if self._threads.waiting >= MAX_WAITING:
            refused: Future[str | None] = Future()
            refused.cancel()
            return refused
        make = partial(self._copy, data[digest], view, end)
        keep: Callable[[], str | None] = partial(
            self._store.keep, post.post_id, post.record, copy_name(digest, view), make
        )
        return self._threads.submit(keep)

    def _copy(self, data: bytes, view: View, end: float) -> bytes:
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError("nobody waits for the copy any more")
        return self._copying.copied(data, view, left)

    def _taken(self, future: "Future[str | None]") -> str | None:
        """Return where a copy lies, None where it does not; the breaker is told how it went."""
        if future.cancelled():
            self._missed("busy", "too many copies wait")
            return None
        if not future.done():
            future.cancel()
            self._missed("timeout", f"no answer within {self._timeout:g} s")
            return None
        error = future.exception()
        if error is None:
            self._answered()
            (COPIES if future.result() else FAILURES.labels("deleted")).inc()
            return future.result()
        cause = next((name for kind, name in CAUSES.items() if isinstance(error, kind)), "store")
        if cause == "decode":
            # It is the picture that could not be copied; the store did answer.
            FAILURES.labels(cause).inc()
            self._answered()
        else:
            self._missed(cause, f"{type(error).__name__}: {error}")
        return None

    def _answered(self) -> None:
        if self._breaker.succeeded():
            logger.warning("evidence is kept again")

    def _missed(self, cause: str, why: str) -> None:
        FAILURES.labels(cause).inc()
        if self._breaker.failed():
            logger.error("no evidence is kept: %s", why.splitlines()[0])

    def _slow(self) -> None:
        if self._breaker.failed():
            logger.error("removing what deleted posts showed takes over %g s", self._timeout)


_Key = tuple[str, str, View | None]


def _key(post: Post, image: DecidedImage) -> _Key:
    return post.decision_id, image.digest or "", image.view


def _with_evidence(decided: Decided, found: Mapping[_Key, str | None]) -> Decided:
    images = tuple(
        replace(image, evidence=found.get(_key(decided.post, image))) for image in decided.images
    )
    return replace(decided, images=images)
