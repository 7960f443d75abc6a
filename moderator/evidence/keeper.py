"""Keep copies for the posts of a batch before it is published, and remove those of deleted posts.

A batch waits for the store for a bounded time, and behind a breaker not at all while it fails:
what has no copy by then has no evidence. A deletion that is not done by then is published in the
same transaction as its decision, to be read again and done later (``moderator.retries``), so that
it outlives this member.
"""

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import CancelledError, Future, wait
from dataclasses import replace
from functools import partial
from typing import Any, Protocol, TypeVar

from prometheus_client import Counter, Histogram

from moderator.caching.breaker import Breaker
from moderator.decisions import Decided, DecidedImage
from moderator.decoding.decode import Undecodable
from moderator.decoding.view import WHOLE, View
from moderator.evidence.store import EvidenceStore, OldLayoutError, copy_name
from moderator.evidence.threads import Threads
from moderator.records import Partition, Post
from moderator.retries import deletion

logger = logging.getLogger(__name__)

COPIES = Counter("moderator_evidence_copies_total", "Images of which a safe copy is kept.")
FAILURES = Counter(
    "moderator_evidence_failures_total",
    "Images without a safe copy: store (it failed), timeout (it was too slow), bypass (it was not "
    "asked, as it failed before), busy (too many wait), deleted (their post was), bytes (they were "
    "not at hand any more), or decode.",
    ["cause"],
)
REMOVED = Counter("moderator_evidence_removed_total", "Safe copies removed with their posts.")
POSTPONED = Counter(
    "moderator_evidence_deletions_postponed_total",
    "Tries to remove the copies of a deleted post that failed or took too long; each is made again "
    "(deletions_topic).",
)
SECONDS = Histogram(
    "moderator_evidence_seconds",
    "Seconds that a batch waits for its copies.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)

MAX_WAITING = 1024
"""Calls that may wait for a thread, so that a slow store does not fill the memory."""

CAUSES = {Undecodable: "decode", TimeoutError: "timeout", CancelledError: "busy"}

T = TypeVar("T")

_Key = tuple[str, str, View | None]


class Copying(Protocol):
    """The part of a copy pool that keeping uses."""

    def copied(self, data: bytes, view: View, timeout: float) -> bytes:
        """Return a copy of a view of an image."""
        ...


class Keeper:
    """Keeps copies and removes them, for one member.

    Args:
        store: Where they are kept.
        copying: Makes them.
        everything: Keep those of all posts; else of flagged ones alone.
        timeout: Seconds that a batch waits at most.
        connections: Copies written, and deletions done, at once.
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
        self._told = False
        self._threads = Threads(connections, "evidence")

    @property
    def failing(self) -> bool:
        """Whether the store failed when it was last asked."""
        return not self._breaker.closed

    def keep(self, decided: Sequence[Decided], data: Mapping[str, bytes]) -> list[Decided]:
        """Return the posts with where their copies lie, once these are there or time is up.

        The copies of deleted posts are removed meanwhile; what is not done of it goes with the
        post, as its ``removal``.

        Args:
            decided: A batch, in the order in which it was read.
            data: The pictures' bytes, by content digest.
        """
        begin = time.monotonic()
        deleted = {_place(each.post): each.post for each in decided if each.post.removal}
        wanted = self._wanted(decided, data)
        if not (deleted or wanted):
            return list(decided)
        if not (self._breaker.closed or self._breaker.probe_due()):
            FAILURES.labels("bypass").inc(len(wanted))
            return [_postponed(each, ()) for each in decided]
        end = begin + self._timeout
        removals = {place: self._begun(partial(self._removed, post))
                    for place, post in deleted.items()}  # fmt: skip
        copies = {key: self._begun(partial(self._kept, *each, data[key[1]], end))
                  for key, each in wanted.items()}  # fmt: skip
        awaited: list[Future[Any]] = [*removals.values(), *copies.values()]
        wait(awaited, max(0.0, end - time.monotonic()))
        done = [place for place, future in removals.items() if self._done(future)]
        found = {key: self._taken(future) for key, future in copies.items()}
        SECONDS.observe(time.monotonic() - begin)
        return [_with_evidence(_postponed(each, done), found) for each in decided]

    def close(self) -> None:
        """Stop; what is under way goes on until it ends by itself."""
        self._threads.close()

    def _wanted(
        self, decided: Sequence[Decided], data: Mapping[str, bytes]
    ) -> dict[_Key, tuple[Post, DecidedImage]]:
        """Return the images to be copied; those whose bytes are not there are counted."""
        wanted = {
            _key(each.post, image): (each.post, image)
            for each in decided
            if self._is_shown(each)
            for image in each.images
            if image.digest is not None and image.view is not None
        }
        there = {key: each for key, each in wanted.items() if key[1] in data}
        FAILURES.labels("bytes").inc(len(wanted) - len(there))
        return there

    def _is_shown(self, decided: Decided) -> bool:
        # Nobody reviews a canary, and what is tried again has no images yet.
        if decided.canary is not None or decided.retry is not None:
            return False
        return self._everything or decided.decision.decision == "flag"

    def _begun(self, call: Callable[[], T]) -> "Future[T]":
        if self._threads.waiting < MAX_WAITING:
            return self._threads.submit(call)
        refused: Future[T] = Future()
        refused.set_exception(CancelledError("too many calls wait"))
        return refused

    def _removed(self, post: Post) -> int:
        return self._store.delete(post.post_id, post.record)

    def _kept(self, post: Post, image: DecidedImage, data: bytes, end: float) -> str | None:
        digest, view = image.digest or "", image.view or WHOLE

        def make() -> bytes:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError("nobody waits for the copy any more")
            return self._copying.copied(data, view, left)

        return self._store.keep(post.post_id, post.record, copy_name(digest, view), make)

    def _done(self, future: "Future[int]") -> bool:
        """Return whether a deletion is done; the breaker is told how it went."""
        error = self._error(future)
        if error is None:
            REMOVED.inc(future.result())
            self._answered()
        elif isinstance(error, OldLayoutError):
            # The store did answer; the deletion waits until somebody has moved the copies.
            self._answered()
            if not self._told:
                logger.error("copies of deleted posts may be left: %s", error)
            self._told = True
        else:
            self._missed(error)
        return error is None

    def _taken(self, future: "Future[str | None]") -> str | None:
        """Return where a copy lies, None where it does not; the breaker is told how it went."""
        error = self._error(future)
        if error is None:
            self._answered()
            (COPIES if future.result() else FAILURES.labels("deleted")).inc()
            return future.result()
        cause = next((name for kind, name in CAUSES.items() if isinstance(error, kind)), "store")
        FAILURES.labels(cause).inc()
        if cause == "decode":
            # It is the picture that could not be copied; the store did answer.
            self._answered()
        else:
            self._missed(error)
        return None

    def _error(self, future: "Future[Any]") -> BaseException | None:
        """Return why a call failed; nobody waits any more for one that has no answer."""
        if not future.done():
            future.cancel()
            return TimeoutError(f"no answer within {self._timeout:g} s")
        return future.exception()

    def _answered(self) -> None:
        if self._breaker.succeeded():
            logger.warning("evidence is kept again")

    def _missed(self, error: BaseException) -> None:
        if self._breaker.failed():
            why = f"{type(error).__name__}: {error}".splitlines()[0]
            logger.error("no evidence is kept, and none of deleted posts removed: %s", why)


def _key(post: Post, image: DecidedImage) -> _Key:
    return post.decision_id, image.digest or "", image.view


def _place(post: Post) -> tuple[Partition, int]:
    return post.read.source, post.read.offset


def _postponed(decided: Decided, done: Collection[tuple[Partition, int]]) -> Decided:
    if not decided.post.removal or _place(decided.post) in done:
        return decided
    POSTPONED.inc()
    return replace(decided, removal=deletion(decided))


def _with_evidence(decided: Decided, found: Mapping[_Key, str | None]) -> Decided:
    images = tuple(
        replace(image, evidence=found.get(_key(decided.post, image))) for image in decided.images
    )
    return replace(decided, images=images)
