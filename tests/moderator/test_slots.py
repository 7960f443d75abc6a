"""Slots of shared memory: who holds them, what fits, and what another process sees."""

import multiprocessing
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from models.spec import InputSpec
from moderator.slots import ArenaHandle, SlotArena


def fill(handle: ArenaHandle, slot: int, value: int) -> None:
    SlotArena.attach(handle).frame(slot, 1, 4, 5)[...] = value


def test_slots_are_handed_out_once_and_come_back() -> None:
    arena = SlotArena(3, 100)
    held = [arena.acquire() for _ in range(3)]
    assert sorted(held) == [0, 1, 2]
    assert arena.free == 0
    assert arena.try_acquire() is None
    arena.release(held[1])
    assert arena.free == 1
    assert arena.try_acquire() == held[1]


def test_a_slot_released_twice_or_never_held_is_an_error() -> None:
    arena = SlotArena(2, 100)
    slot = arena.acquire()
    arena.release(slot)
    for wrong in (slot, 1, 2, -1):
        with pytest.raises(ValueError, match="nobody holds it"):
            arena.release(wrong)
    assert arena.free == 2


def test_waiting_ends_with_the_time_or_with_a_release() -> None:
    arena = SlotArena(1, 100)
    slot = arena.acquire()
    with pytest.raises(TimeoutError, match="none of 1 slots"):
        arena.acquire(timeout=0.01)
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(arena.acquire, 30)
        arena.release(slot)
        assert waiting.result(30) == slot


def test_many_threads_never_hold_one_slot_together() -> None:
    arena = SlotArena(4, 100)
    holders = [threading.Lock() for _ in range(4)]

    def take_and_give(_: int) -> bool:
        slot = arena.acquire(timeout=30)
        alone = holders[slot].acquire(blocking=False)
        if alone:
            holders[slot].release()
        arena.release(slot)
        return alone

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(take_and_give, range(2_000)))
    assert arena.free == 4


def test_frames_are_views_that_do_not_overlap() -> None:
    arena = SlotArena(3, 2 * 4 * 5 * 3, frames=2)
    frames = {(slot, n): arena.frame(slot, n, 4, 5) for slot in range(3) for n in range(2)}
    for number, frame in enumerate(frames.values()):
        frame[...] = number
    for number, ((slot, n), frame) in enumerate(frames.items()):
        assert frame.shape == (4, 5, 3)
        assert frame.flags.c_contiguous
        assert (arena.frame(slot, n, 4, 5) == number).all()
        assert np.shares_memory(frame, arena.buffer(slot))


@pytest.mark.parametrize(
    ("slot", "index", "height", "width"),
    [(2, 0, 1, 1), (-1, 0, 1, 1), (0, 2, 1, 1), (0, -1, 1, 1), (0, 0, 0, 5), (0, 0, 5, -1),
     (0, 0, 4_000, 4_000)],
)  # fmt: skip
def test_frames_that_do_not_exist_are_an_error(slot, index, height, width) -> None:
    arena = SlotArena(2, 2_000, frames=2)
    with pytest.raises(ValueError, match="is not among 2 slots"):
        arena.frame(slot, index, height, width)


@pytest.mark.parametrize(("slots", "size", "frames"), [(0, 1, 1), (1, 0, 1), (1, 1, 0), (-1, 1, 1)])
def test_an_arena_of_nothing_is_an_error(slots, size, frames) -> None:
    with pytest.raises(ValueError, match="all need 1"):
        SlotArena(slots, size, frames=frames)


def test_an_arena_for_frames_holds_those_of_every_size() -> None:
    spec = InputSpec(sizes=((64, 64), (48, 96), (96, 50)))
    arena = SlotArena.for_frames(2, spec, 3)
    for height, width in spec.sizes:
        assert arena.frame(1, 2, height, width).shape == (height, width, 3)


def test_another_process_writes_into_the_same_slots() -> None:
    arena = SlotArena(2, 2 * 4 * 5 * 3, frames=2)
    process = multiprocessing.get_context("spawn").Process(
        target=fill, args=(arena.handle(), 1, 77)
    )
    process.start()
    process.join(60)
    assert process.exitcode == 0
    assert (arena.frame(1, 1, 4, 5) == 77).all()
    assert (arena.frame(1, 0, 4, 5) == 0).all()
    assert (arena.buffer(0) == 0).all()


def test_a_discarded_slot_reads_as_zeros_and_is_whole() -> None:
    arena = SlotArena(2, 10_000)
    arena.buffer(0)[...] = 5
    arena.buffer(1)[...] = 6
    arena.discard(0)
    assert (arena.buffer(0) == 0).all()
    assert (arena.buffer(1) == 6).all()
    arena.buffer(0)[...] = 7
    assert (arena.buffer(0) == 7).all()


def test_nobody_can_shrink_the_file_under_the_others() -> None:
    arena = SlotArena(2, 10_000)
    with pytest.raises(OSError, match="not permitted"):
        os.ftruncate(arena.fd, 0)


def test_the_memory_outlives_the_descriptor() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    arena = SlotArena(2, 10_000)
    view = arena.buffer(1)
    arena.close()
    view[...] = 3
    assert (arena.buffer(1) == 3).all()
    del arena, view
    assert len(list(Path("/proc/self/fd").iterdir())) == before
