"""Judge the posts once more with a candidate, beside the stream and without any effect on it.

Nobody waits for a shadow: it gets copies of what the active release has fetched, decoded or
embedded, and works on a thread of its own. What it cannot keep up with, or fails at, passes it by
and is counted. What it decides is published once the post's own decision is committed, by a
producer of its own: nothing about the shadow topic can hold up or spoil a transaction.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue

from prometheus_client import Counter

from models.release import Release
from moderator.assembly import same_embeddings
from moderator.batch import Batch, Picture, Seen
from moderator.decide import PostDecision
from moderator.decisions import Decided, decision_record
from moderator.decoding.decode import Undecodable
from moderator.decoding.decoders import Decoded
from moderator.rollout.servable import OpenOverlay, Servable, ready_servable
from moderator.rollout.shadow_topic import ShadowTopic
from moderator.settings import Settings
from moderator.slots import SlotArena

logger = logging.getLogger(__name__)

AGREEMENT = Counter(
    "moderator_shadow_decisions_total",
    "Posts decided by both, by what the stream's release and the shadow decided, and why.",
    ["decision", "reason", "shadow_decision", "shadow_reason"],
)
DROPPED = Counter(
    "moderator_shadow_dropped_total",
    "Posts that have no shadow decision, by cause: behind (it did not keep up), failed, stale "
    "(whether they were committed here is not known), other-network (a staged release judged "
    "them), unpublished.",
    ["cause"],
)

NICE = 10
"""How much the shadow's network gives way to the stream's."""

JOIN = 10.0
"""Seconds that a batch under way is waited for at the end."""


@dataclass(eq=False, slots=True)
class _Entry:
    """A post on its way through both: what the stream decided and what the shadow did, so far."""

    decision: PostDecision | None = None
    shadow: Decided | None = None


@dataclass(frozen=True, eq=False, slots=True)
class _Job:
    """A batch for the shadow; ``embedded`` if only matching is left."""

    batch: Batch
    embedded: bool


class Shadow:
    """Judges copies of batches with a candidate.

    Args:
        servable: The candidate; closed by ``close``.
        topic: Takes its decisions; closed by ``close``.
        leans: Whether it has no network of its own, and judges what the stream embeds.
        depth: Batches that it may have at a time.
    """

    def __init__(self, servable: Servable, topic: ShadowTopic, *, leans: bool, depth: int) -> None:
        self.servable = servable
        self._topic = topic
        self._leans = leans
        self._room = threading.BoundedSemaphore(depth)
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}
        self._work: SimpleQueue[_Job | Decided | None] = SimpleQueue()
        self._failed = False
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
        self._thread.start()

    def needs_bytes(self, servable: Servable) -> bool:
        """Whether the bytes of pictures that a release judges must be kept for this."""
        return not self._leans and not self._shares(servable)

    def offer_decoded(self, servable: Servable, batch: Batch) -> None:
        """Take a copy of a batch once it is decoded, if there is room; never waits or raises."""
        if self._leans or self._shares(servable) or not batch.keep:
            return
        same_input = servable.release.spec.input == self.servable.release.spec.input
        arena = servable.parts.arena if same_input else None
        self._offer(batch, lambda: _Job(self._decoded(batch, arena), embedded=False))
        for picture in batch.each():
            picture.data = None

    def offer_embedded(self, servable: Servable, batch: Batch) -> None:
        """Take a copy of a batch once it is embedded; never waits or raises."""
        if self._shares(servable):
            self._offer(batch, lambda: _Job(_embedded(batch), embedded=True))
        elif self._leans:
            DROPPED.labels("other-network").inc(len(batch.posts))

    def published(self, decided: Sequence[Decided], *, whole: bool) -> None:
        """Note what was committed of the stream; without ``whole``, it is not known of which."""
        stale = 0
        with self._lock:
            for each in decided:
                entry = self._entries.get(each.post.decision_id)
                if entry is None:
                    continue
                if each.retry is not None:
                    # Not decided yet: the shadow judges it again, too.
                    del self._entries[each.post.decision_id]
                elif whole:
                    entry.decision = each.decision
                    self._settle(each.post.decision_id, entry)
                else:
                    del self._entries[each.post.decision_id]
                    stale += 1
        DROPPED.labels("stale").inc(stale)

    def close(self) -> None:
        """Stop and free all of it; what is under way is dropped."""
        self._closed = True
        self._work.put(None)
        self._thread.join(JOIN)
        self._topic.close()
        self.servable.close()

    def _shares(self, servable: Servable) -> bool:
        return same_embeddings(servable.release, self.servable.release)

    def _offer(self, batch: Batch, copy: Callable[[], _Job]) -> None:
        if self._closed or not self._room.acquire(blocking=False):
            DROPPED.labels("behind").inc(len(batch.posts))
            return
        try:
            job = copy()
        except Exception as error:
            self._room.release()
            self._fail(batch, error)
            return
        with self._lock:
            self._entries.update((post.decision_id, _Entry()) for post in batch.posts)
        self._work.put(job)

    def _decoded(self, batch: Batch, arena: SlotArena | None) -> Batch:
        """Copy a batch with the bytes of its pictures, and their pixels if ``arena`` has them."""
        seen: dict[str, Seen] = {}
        for name, each in batch.seen.items():
            seen[name] = Seen(name)
            if arena is not None and each.decoding is not None:
                seen[name].decoding = self._pixels(each, each.decoding, arena)
        pictures = [
            [Picture(p.image, p.data, fault=p.fault) for p in row] for row in batch.pictures
        ]
        return Batch(batch.posts, pictures, batch.opened, batch.level, seen=seen, measured=False)

    def _pixels(
        self, seen: Seen, decoding: Future[Decoded], arena: SlotArena
    ) -> Future[Decoded] | None:
        """Copy frames into a slot of this; None where there is none, to be decoded here."""
        copied: Future[Decoded] = Future()
        if seen.fault is not None:
            copied.set_exception(Undecodable(seen.fault[1]))
            return copied
        ours = self.servable.parts.arena
        slot = ours.try_acquire()
        if slot is None:
            return None
        theirs = decoding.result()
        for number, size in enumerate(theirs.layout.sizes):
            ours.frame(slot, number, *size)[...] = arena.frame(theirs.slot, number, *size)
        copied.set_result(Decoded(slot, theirs.layout))
        return copied

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            if isinstance(work, Decided):
                if not self._topic.send(decision_record(work, "shadow")):
                    DROPPED.labels("unpublished").inc()
                continue
            try:
                self._judge(work)
            except Exception as error:
                self._fail(work.batch, error)
                self.servable.parts.examiner.drop(work.batch)
            finally:
                self._room.release()

    def _judge(self, job: _Job) -> None:
        examiner = self.servable.parts.examiner
        if not job.embedded:
            examiner.prepare(job.batch)
            examiner.embed(job.batch)
        decided = examiner.judge(job.batch)
        with self._lock:
            for each in decided:
                entry = self._entries.get(each.post.decision_id)
                if entry is not None:
                    entry.shadow = each
                    self._settle(each.post.decision_id, entry)

    def _settle(self, decision_id: str, entry: _Entry) -> None:
        """Count and publish what both have decided; the lock is held."""
        if entry.decision is None or entry.shadow is None:
            return
        del self._entries[decision_id]
        one, other = entry.decision, entry.shadow.decision
        AGREEMENT.labels(one.decision, one.reason, other.decision, other.reason).inc()
        self._work.put(entry.shadow)

    def _fail(self, batch: Batch, error: Exception) -> None:
        with self._lock:
            for post in batch.posts:
                self._entries.pop(post.decision_id, None)
        DROPPED.labels("failed").inc(len(batch.posts))
        if not self._failed:
            self._failed = True
            reason = " ".join(str(error).split()) or type(error).__name__
            logger.warning("the shadow fails, the stream goes on: %s", reason)


def _embedded(batch: Batch) -> Batch:
    """Copy a batch with what its pictures were embedded to."""
    seen = {
        name: Seen(
            name,
            fault=each.fault,
            layout=each.layout,
            cached=each.cached,
            embeddings=each.embeddings,
            shed=each.shed,
        )
        for name, each in batch.seen.items()
    }
    pictures = [
        [Picture(p.image, fault=p.fault, seen=seen[p.seen.digest] if p.seen else None) for p in row]
        for row in batch.pictures
    ]
    return Batch(batch.posts, pictures, batch.opened, batch.level, seen=seen, measured=False)


def cast_shadow(
    settings: Settings,
    release: Release,
    open_overlay: OpenOverlay,
    stop: threading.Event,
    active: Servable,
) -> Shadow:
    """Make a candidate ready to shadow the active release.

    One of the same network uses its embeddings. Any other has processes and slots of its own, and
    a network in a process that gives way: it takes no slot, thread or lock that posts wait for.

    Raises:
        BadRelease: The network fails its self-test on the device.
        BadNetwork: There is no such device.
        Unavailable: A process ended or did not answer in time.
    """
    leans = same_embeddings(active.release, release)
    depth = settings.releases.shadow_batches
    pipeline = settings.pipeline.model_copy(
        update={"embedder": "process", "decode_processes": 1, "batches_in_flight": depth}
    )
    aside = settings.model_copy(update={"pipeline": pipeline})
    servable = ready_servable(
        aside, release, open_overlay, stop, active if leans else None, nice=NICE
    )
    return Shadow(
        servable,
        ShadowTopic(settings.kafka, settings.topics.shadow_topic),
        leans=leans,
        depth=depth,
    )
