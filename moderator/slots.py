"""Fixed slots of shared memory that hold decoded frames. Knows nothing of images or processes."""

import fcntl
import mmap
import os
import tempfile
import threading
from collections import deque
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from models.spec import InputSpec
from moderator.decoding.view import most_views

CHANNELS = 3


@dataclass(frozen=True, slots=True)
class ArenaHandle:
    """What another process needs to map the same slots.

    ``fd`` is a descriptor of the process that holds the handle. Where a handle is pickled as an
    argument of a ``multiprocessing`` process, the descriptor is duplicated into that process.
    """

    fd: int
    slots: int
    slot_bytes: int
    frames: int

    def __reduce__(self) -> tuple[Any, ...]:
        from multiprocessing import reduction

        duplicate = reduction.DupFd(self.fd)
        return _received, (duplicate, self.slots, self.slot_bytes, self.frames)


class SlotArena:
    """Slots of equal size in one anonymous file that several processes map.

    The file has no name, so the kernel frees it with the last process that maps it, however that
    one ends. Only the process that made the arena hands slots out; others read and write them.

    Args:
        slots: How many slots there are.
        slot_bytes: Bytes of a slot at least; rounded up to whole pages.
        frames: Frames that fit into a slot, each into an equal part of it.

    Raises:
        ValueError: A figure is not positive.
    """

    def __init__(self, slots: int, slot_bytes: int, *, frames: int = 1) -> None:
        if min(slots, slot_bytes, frames) < 1:
            raise ValueError(f"{slots} slots of {slot_bytes} bytes and {frames} frames: all need 1")
        pages = -(-slot_bytes // mmap.PAGESIZE)
        self._map_file(_anonymous_file(slots * pages * mmap.PAGESIZE), slots, pages, frames)
        self._free.extend(range(slots))

    @classmethod
    def for_frames(cls, slots: int, spec: InputSpec, max_frames: int) -> Self:
        """Return an arena whose slots hold all views of a picture, of any of the input's sizes.

        Memory is used only where views are written, and most pictures have one.
        """
        frames = most_views(max_frames)
        return cls(slots, frames * spec.max_pixels * CHANNELS, frames=frames)

    @classmethod
    def attach(cls, handle: ArenaHandle) -> Self:
        """Map the slots of another process's arena; the handle's descriptor is taken over."""
        arena = cls.__new__(cls)
        pages = handle.slot_bytes // mmap.PAGESIZE
        arena._map_file(handle.fd, handle.slots, pages, handle.frames)
        return arena

    def _map_file(self, fd: int, slots: int, pages: int, frames: int) -> None:
        self.fd = fd
        self.slots = slots
        self.slot_bytes = pages * mmap.PAGESIZE
        self.frames = frames
        self.frame_bytes = self.slot_bytes // frames
        self._map = mmap.mmap(fd, slots * self.slot_bytes)
        self._bytes = np.frombuffer(self._map, np.uint8).reshape(slots, self.slot_bytes)
        self._free: deque[int] = deque()
        self._taken: set[int] = set()
        self._changed = threading.Condition()

    @property
    def free(self) -> int:
        """Slots that nobody holds."""
        return len(self._free)

    def handle(self) -> ArenaHandle:
        """Return what another process needs to attach to this arena."""
        return ArenaHandle(self.fd, self.slots, self.slot_bytes, self.frames)

    def acquire(self, timeout: float | None = None) -> int:
        """Take a free slot, waiting for one at most ``timeout`` seconds; None waits for ever.

        Raises:
            TimeoutError: No slot came free in time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._free, timeout):
                raise TimeoutError(f"none of {self.slots} slots came free within {timeout} s")
            slot = self._free.popleft()
            self._taken.add(slot)
            return slot

    def try_acquire(self) -> int | None:
        """Take a free slot if there is one."""
        with self._changed:
            if not self._free:
                return None
            slot = self._free.popleft()
            self._taken.add(slot)
            return slot

    def release(self, slot: int) -> None:
        """Give a slot back; nobody may read or write it afterwards.

        Raises:
            ValueError: Nobody holds the slot.
        """
        with self._changed:
            if slot not in self._taken:
                raise ValueError(f"slot {slot} is released but nobody holds it")
            self._taken.remove(slot)
            self._free.append(slot)
            self._changed.notify()

    def frame(self, slot: int, index: int, height: int, width: int) -> NDArray[np.uint8]:
        """Return a writable view of a frame, uint8[height, width, 3]; nothing is copied.

        Raises:
            ValueError: There is no such slot or frame, or the frame does not fit.
        """
        size = height * width * CHANNELS
        inside = 0 <= slot < self.slots and 0 <= index < self.frames
        if not inside or height < 1 or width < 1 or size > self.frame_bytes:
            raise ValueError(
                f"frame {index} of slot {slot}, {height}x{width}, is not among {self.slots} slots "
                f"of {self.frames} frames of {self.frame_bytes} bytes"
            )
        start = index * self.frame_bytes
        flat: NDArray[np.uint8] = self._bytes[slot, start : start + size]
        return flat.reshape(height, width, CHANNELS)

    def buffer(self, slot: int) -> NDArray[np.uint8]:
        """Return a writable view of a whole slot, uint8[slot_bytes]."""
        whole: NDArray[np.uint8] = self._bytes[slot]
        return whole

    def discard(self, slot: int) -> None:
        """Give a slot's memory back to the system; the slot then reads as zeros."""
        if hasattr(mmap, "MADV_REMOVE"):
            self._map.madvise(mmap.MADV_REMOVE, slot * self.slot_bytes, self.slot_bytes)

    def close(self) -> None:
        """Close the descriptor; the memory goes with the last view of it."""
        os.close(self.fd)


def _received(duplicate: Any, slots: int, slot_bytes: int, frames: int) -> ArenaHandle:
    return ArenaHandle(duplicate.detach(), slots, slot_bytes, frames)


def _anonymous_file(size: int) -> int:
    """Return the descriptor of a file of zeros without a name; memory is used where written."""
    if not hasattr(os, "memfd_create"):
        with tempfile.TemporaryFile() as file:
            file.truncate(size)
            return os.dup(file.fileno())
    fd = os.memfd_create("moderator-slots", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    # A process that shrank the file would kill all others at their next access to it.
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return fd
