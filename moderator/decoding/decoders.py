"""A pool of processes that decode images into slots of shared memory. Knows nothing of posts.

A bad image may take its process down, never the worker: the process is replaced, the image is
tried once more alone in a fresh one and then set aside, and the images beside it are decoded as if
nothing had happened.
"""

import contextlib
import logging
import selectors
import socket
import threading
import time
from collections import deque
from concurrent.futures import Future, InvalidStateError

from prometheus_client import Counter, Gauge

from models.spec import InputSpec
from moderator.decoding import sandbox
from moderator.decoding.animation import MAX_REACH
from moderator.decoding.decode import MIN_SIDE, Undecodable
from moderator.decoding.decoder import NO_SLOT, Decoded, DecodeLimits, Decoder, Job
from moderator.decoding.nursery import Nursery
from moderator.decoding.view import WHOLE, View, most_views
from moderator.slots import SlotArena

__all__ = ["DecodeLimits", "DecodePool", "Decoded"]

logger = logging.getLogger(__name__)

DECODE_DEATHS = Counter(
    "moderator_decode_process_deaths_total",
    "Decode processes that ended, by cause; idle: without having had an image.",
    ["cause"],
)
CONFINED = Gauge(
    "moderator_decode_processes_confined",
    "1 while decode processes can do no more than decode, 0 where they have no sandbox.",
)

DEPTH = 2
"""Images that a process has in hand: one that it decodes, and one to go on with at once."""

DEATHS = 2
"""Processes that an image may cost before it is set aside."""

NURSERY_DEATHS = 3
"""Ends of the nursery at which an image was decoded before it is set aside: once is not its fault.
"""

START_TIMEOUT = 30.0
"""Seconds in which a process must be ready."""

LONGEST_BACK_OFF = 5.0
"""Seconds between starts where processes end without having had an image."""


class DecodePool:
    """Decodes images in processes of its own, in the order in which they come.

    One thread does all of it. An image gets a slot when its turn comes, so that slots go out in
    the order of submission.

    Args:
        arena: The slots; each must have room for the views of as many frames as ``limits`` allows.
        spec: The sizes that the network takes.
        processes: How many decode processes there are.
        limits: What an image may take.
        copy_side: Instead of frames for the network, make safe copies of this longest side.

    Raises:
        ValueError: The slots have too little room.
    """

    def __init__(
        self,
        arena: SlotArena,
        spec: InputSpec,
        *,
        processes: int,
        limits: DecodeLimits,
        copy_side: int = 0,
    ) -> None:
        if not copy_side and arena.frames < most_views(limits.max_frames):
            raise ValueError(f"slots of {arena.frames} frames for {limits.max_frames} of an image")
        self._arena = arena
        self._limits = limits
        self._sizes = frozenset(spec.sizes)
        given = {
            "input": spec.to_json(),
            "memory": limits.memory,
            "max_pixels": limits.max_pixels,
            "max_frames": limits.max_frames,
            "copy_side": copy_side,
            "timeout": limits.timeout,
            "sandbox": limits.sandbox,
        }
        self._nursery = Nursery(arena, given)
        self._decoders: list[Decoder] = []
        self._wanted = processes
        self._idle_deaths = 0
        self._next_start = 0.0
        self._queue: deque[Job] = deque()
        self._suspects: deque[Job] = deque()
        self._lock = threading.Lock()
        self._closing = False
        self._waking = False
        self._starved = False
        self._reported = False
        self._selector = selectors.DefaultSelector()
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="decode", daemon=True)
        self._thread.start()

    @property
    def pids(self) -> list[int]:
        """Ids of the decode processes that are ready."""
        return [decoder.pid for decoder in tuple(self._decoders) if decoder.ready]

    @property
    def pending(self) -> int:
        """Images that are not decoded yet, those in hand included."""
        in_hand = sum(len(decoder.jobs) for decoder in tuple(self._decoders))
        return len(self._queue) + len(self._suspects) + in_hand

    def submit(
        self,
        data: bytes,
        *,
        frames: int | None = None,
        seed: int | None = None,
        view: View | None = None,
    ) -> Future[Decoded]:
        """Begin to decode an image; never waits.

        Args:
            data: The file.
            frames: Frames of an animation that are wanted at most; None: as the limits say.
            seed: Chooses among frames, below 2**64; None: chance does.
            view: Where copies are made, what they are to show.

        Returns:
            A future that raises ``Undecodable`` where the bytes are no image that is judged. Once
            it has a result, its slot must be released. It is cancelled when the pool closes.
        """
        future: Future[Decoded] = Future()
        with self._lock:
            if self._closing:
                future.cancel()
                return future
            wanted = self._limits.max_frames if frames is None else frames
            job = Job(data, future, wanted, view or WHOLE)
            job.seed = job.seed if seed is None else seed
            self._queue.append(job)
        self._wake()
        return future

    def release(self, slot: int) -> None:
        """Give the slot of a decoded image back."""
        self._arena.release(slot)
        if self._starved:
            self._wake()

    def close(self) -> None:
        """End the processes; futures not done yet are cancelled."""
        with self._lock:
            self._closing = True
        self._wake()
        self._thread.join(1)
        if self._thread.is_alive():
            # The thread waits for a start that takes long: this makes it fail.
            self._nursery.close()
        self._thread.join()
        self._waker.close()

    def _wake(self) -> None:
        if self._waking:
            return
        self._waking = True
        # Once it is closed there is nothing left to wake.
        with contextlib.suppress(OSError):
            self._waker.send(b"\0")

    def _run(self) -> None:
        try:
            while not self._closing:
                self._staff()
                self._feed()
                for key, events in self._selector.select(self._patience()):
                    if key.data is None:
                        self._woken.recv(4096)
                        # Cleared before the queue is looked at: no later wake is lost.
                        self._waking = False
                    else:
                        self._attend(key.data, events)
                self._check_deadlines()
        finally:
            self._abandon()

    def _staff(self) -> None:
        """Start the processes that are missing, unless the last ones came to nothing."""
        while len(self._decoders) < self._wanted and time.monotonic() >= self._next_start:
            try:
                self._start()
            except OSError as error:
                if not self._closing:
                    logger.error("no decode process could be started (%s); trying again", error)
                self._back_off()

    def _start(self) -> None:
        pid, connection = self._nursery.fork()
        timeout, now = self._limits.timeout, time.monotonic()
        decoder = Decoder(pid, connection, timeout=timeout, now=now, start=START_TIMEOUT)
        self._decoders.append(decoder)
        self._selector.register(connection, selectors.EVENT_READ, decoder)

    def _back_off(self) -> None:
        self._idle_deaths += 1
        delay = min(LONGEST_BACK_OFF, 0.05 * 2 ** min(self._idle_deaths, 10))
        self._next_start = time.monotonic() + delay

    def _feed(self) -> None:
        """Hand out what is queued: suspects alone to fresh processes, the others in order."""
        for decoder in [d for d in self._decoders if d.ready and d.fresh]:
            if self._suspects:
                self._give(decoder, self._suspects.popleft())
                decoder.alone = True
        for depth in range(DEPTH):
            for decoder in tuple(self._decoders):
                if not decoder.ready or decoder.alone or len(decoder.jobs) != depth:
                    continue
                job = self._next_job()
                if job is None:
                    return
                self._give(decoder, job)

    def _next_job(self) -> Job | None:
        """Return the first image in the queue, with a slot; None if there is none of either."""
        while self._queue:
            job = self._queue[0]
            if job.future.cancelled():
                self._free(self._queue.popleft())
                continue
            if job.slot == NO_SLOT:
                slot = self._arena.try_acquire()
                self._starved = slot is None
                # Asked for again: one may have come free before its giver saw the need.
                slot = self._arena.try_acquire() if slot is None else slot
                if slot is None:
                    return None
                job.slot = slot
            return self._queue.popleft()
        return None

    def _give(self, decoder: Decoder, job: Job) -> None:
        try:
            decoder.give(job, time.monotonic())
        except OSError:
            self._bury(decoder, "crash")
            return
        self._idle_deaths = 0
        self._watch(decoder)

    def _watch(self, decoder: Decoder) -> None:
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if decoder.sending else 0)
        if self._selector.get_key(decoder.connection).events != events:
            self._selector.modify(decoder.connection, events, decoder)

    def _attend(self, decoder: Decoder, events: int) -> None:
        try:
            if events & selectors.EVENT_READ:
                for line in decoder.receive():
                    self._take(decoder, line)
            if events & selectors.EVENT_WRITE and decoder in self._decoders:
                decoder.send()
                self._watch(decoder)
        except OSError:
            self._bury(decoder, "crash")
        except ValueError as error:
            logger.error("decode process %d answers %s; it is replaced", decoder.pid, error)
            self._bury(decoder, "crash")

    def _take(self, decoder: Decoder, line: bytes) -> None:
        if decoder not in self._decoders:
            return
        if not decoder.ready:
            decoder.begin(line)
            self._report(confined=decoder.confined)
            return
        job, result = decoder.answered(line, time.monotonic())
        if isinstance(result, Decoded):
            if not self._plausible(result):
                decoder.jobs.appendleft(job)
                raise ValueError(f"what no image gives, {line[:80]!r}")
            self._finish(job, result)
        elif result == "memory":
            # What is left of its memory may be in pieces: a fresh process may have enough.
            decoder.jobs.appendleft(job)
            self._bury(decoder, result)
        else:
            self._set_aside(job, result)

    def _report(self, *, confined: bool) -> None:
        CONFINED.set(confined)
        if not confined and self._limits.sandbox != "off" and not self._reported:
            self._reported = True
            reason = sandbox.refusal() or "the filter was refused"
            logger.warning("decode processes run without their sandbox: %s", reason)

    def _plausible(self, decoded: Decoded) -> bool:
        """Whether it is what ``decode`` can give: some views of the input's sizes."""
        layout = decoded.layout
        width, height = layout.width, layout.height
        known = all(size in self._sizes for size in layout.sizes)
        sides = min(width, height) >= MIN_SIDE and width * height <= self._limits.max_pixels
        fitting = layout.sound(self._limits.max_frames) and layout.reach <= MAX_REACH
        return known and sides and fitting

    def _bury(self, decoder: Decoder, cause: str) -> None:
        """Replace a process; the image that it was at is suspect, those behind it are not."""
        self._decoders.remove(decoder)
        self._selector.unregister(decoder.connection)
        forked = self._nursery.bury(decoder.pid)
        if cause == "crash" and decoder.jobs:
            decoder.charge(time.monotonic())
        jobs = decoder.end()
        if not jobs:
            DECODE_DEATHS.labels("idle").inc()
            logger.warning("decode process %d ended without an image", decoder.pid)
            self._back_off()
            return
        if not forked:
            self._resume(decoder, jobs)
            return
        DECODE_DEATHS.labels(cause).inc()
        logger.warning("decode process %d ended at an image (%s)", decoder.pid, cause)
        suspect, *others = jobs
        self._queue.extendleft(reversed(others))
        suspect.deaths += 1
        if suspect.deaths < DEATHS:
            self._suspects.append(suspect)
        else:
            self._set_aside(suspect, cause)

    def _resume(self, decoder: Decoder, jobs: list[Job]) -> None:
        """Decode anew what a process had in hand that ended with the nursery.

        All processes end with it, so hardly any of their images can be to blame.
        """
        logger.warning("decode process %d ended with the one that forked it", decoder.pid)
        jobs[0].nursery_deaths += 1
        if jobs[0].nursery_deaths >= NURSERY_DEATHS:
            self._set_aside(jobs.pop(0), "crash")
        (self._suspects if decoder.alone else self._queue).extendleft(reversed(jobs))

    def _check_deadlines(self) -> None:
        now = time.monotonic()
        for decoder in tuple(self._decoders):
            if decoder.deadline is not None and decoder.deadline <= now:
                if decoder.jobs and decoder.computes():
                    # Its image is slow in itself. One that was stopped or starved has a second try.
                    decoder.jobs[0].deaths = DEATHS
                self._bury(decoder, "timeout")

    def _patience(self) -> float | None:
        """Return the seconds until something is due by itself; None where nothing is."""
        due = [d.deadline for d in self._decoders if d.deadline is not None]
        if len(self._decoders) < self._wanted:
            due.append(self._next_start)
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _finish(self, job: Job, decoded: Decoded) -> None:
        try:
            job.future.set_result(decoded)
        except InvalidStateError:
            self._free(job)

    def _set_aside(self, job: Job, cause: str) -> None:
        self._free(job)
        with contextlib.suppress(InvalidStateError):
            job.future.set_exception(Undecodable(cause))

    def _free(self, job: Job) -> None:
        if job.slot != NO_SLOT:
            self._arena.release(job.slot)
            job.slot = NO_SLOT

    def _abandon(self) -> None:
        """End everything; nothing is decoded any more."""
        with self._lock:
            self._closing = True
        jobs = [*self._queue, *self._suspects]
        self._nursery.close()
        for decoder in self._decoders:
            jobs.extend(decoder.end())
        self._decoders.clear()
        for job in jobs:
            job.future.cancel()
            self._free(job)
        self._selector.close()
        self._woken.close()
