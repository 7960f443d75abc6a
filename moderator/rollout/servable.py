"""A release that can judge posts: its parts, its overlay read to the end, and warmed.

A servable counts the batches that it has open, so that it is closed only after the last of them.
"""

import threading
import time
from collections.abc import Callable

import numpy as np

from models.errors import BadRelease
from models.release import Release
from moderator.assembly import Parts, build
from moderator.embedder import Frame
from moderator.errors import Unavailable
from moderator.following import TopicReading
from moderator.overlay import Overlay
from moderator.settings import Settings

WARMING = 60.0
"""Seconds that decode processes and a first pass of the network may take."""

IDLE = 0.05

OpenOverlay = Callable[[], TopicReading | None]
"""Opens the prototypes topic; None where it cannot be had, or there is none."""


class Servable:
    """One release, ready to judge.

    Args:
        parts: What examines posts with it; closed by ``close``.
        overlay: Follows the prototypes topic for it; None without one.
    """

    def __init__(self, parts: Parts, overlay: Overlay | None) -> None:
        self.parts = parts
        self._overlay = overlay
        self._open = 0
        self._changed = threading.Condition()
        self.since = time.time()

    @property
    def release(self) -> Release:
        """The release."""
        return self.parts.release

    @property
    def caught_up(self) -> bool:
        """Whether the prototypes topic has been read to its end."""
        return self._overlay is None or self._overlay.caught_up

    def enter(self) -> None:
        """Begin a batch."""
        with self._changed:
            self._open += 1

    def leave(self) -> None:
        """End a batch."""
        with self._changed:
            self._open -= 1
            self._changed.notify_all()

    def await_idle(self, stop: threading.Event) -> None:
        """Wait until no batch is open, or until stopped."""
        with self._changed:
            while self._open and not stop.is_set():
                self._changed.wait(IDLE)

    def close(self) -> None:
        """Stop and free all of it; no batch may be open any more."""
        if self._overlay is not None:
            self._overlay.stop()
        self.parts.close()


def ready_servable(
    settings: Settings,
    release: Release,
    open_overlay: OpenOverlay,
    stop: threading.Event,
    beside: Servable | None = None,
    *,
    nice: int = 0,
) -> Servable:
    """Build everything of a release, read the overlay for its network, and warm it.

    Args:
        settings: Limits, processes, device, cache and the operator's choices.
        release: Verified; the self-test is run here.
        open_overlay: Opens the prototypes topic from its beginning.
        stop: Ends the wait for the overlay's end early; the servable is then not ready.
        beside: Goes on meanwhile; see ``assembly.build``.
        nice: How much a process of the network gives way to others, 0..19.

    Raises:
        BadRelease: The network fails its self-test on the device.
        BadNetwork: There is no such device.
        BadSettings: A host, store or URL that the settings name is none.
        Unavailable: A process ended or did not answer in time.
    """
    parts = build(settings, release, beside=beside.parts if beside else None, nice=nice)
    overlay = None
    try:
        reader = open_overlay()
        if reader is not None:
            overlay = Overlay(
                reader, parts.matcher, release.network_digest, release.index.dimension
            )
            overlay.start()
        warm(parts)
        while overlay is not None and not overlay.caught_up and not stop.is_set():
            stop.wait(IDLE)
    except BaseException:
        if overlay is not None:
            overlay.stop()
        parts.close()
        raise
    return Servable(parts, overlay)


def warm(parts: Parts) -> None:
    """Wait for the decode processes, and send a frame of each size through network and index.

    Raises:
        Unavailable: There was no answer in time.
        BadRelease: Network and index do not fit each other.
    """
    deadline = time.monotonic() + WARMING
    while not parts.pool.pids:
        if time.monotonic() > deadline:
            raise Unavailable(f"no decode process was ready within {WARMING:g} s")
        time.sleep(IDLE)
    try:
        slot = parts.arena.acquire(WARMING)
    except TimeoutError as error:
        raise Unavailable(str(error)) from None
    try:
        for height, width in parts.release.spec.input.sizes:
            parts.arena.frame(slot, 0, height, width)[...] = 128
            rows = parts.embedder.submit([Frame(slot, 0, height, width)]).result(WARMING)
            index = parts.matcher.served.index
            embeddings = rows[:, : rows.shape[1] - parts.release.classes].astype(np.float32)
            index.query(embeddings, parts.release.policy.neighbours)
    except TimeoutError:
        raise Unavailable(f"the network gave nothing within {WARMING:g} s") from None
    except ValueError as error:
        raise BadRelease(f"release {parts.release.id} cannot judge: {error}") from None
    finally:
        parts.pool.release(slot)
