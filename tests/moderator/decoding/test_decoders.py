"""The decode pool: what it decodes, and that bad images and dying processes cost nobody else.

Processes are made to hang with SIGSTOP and to die with SIGKILL, from outside, as it happens.
"""

import gc
import itertools
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from moderator.decoding import decoder, decoders
from moderator.decoding.decode import CAUSES, Undecodable, decode
from moderator.decoding.decode_process import READY, REQUEST
from moderator.decoding.decoder import LEAST_TIME, Budget, Job
from moderator.decoding.decoders import (
    DECODE_DEATHS,
    DEPTH,
    NURSERY_DEATHS,
    Decoded,
    DecodeLimits,
    DecodePool,
)
from moderator.decoding.nursery import Nursery
from moderator.decoding.view import MAX_CROPS, Layout
from moderator.slots import SlotArena
from tests.moderator.pictures import (
    FORMATS,
    SPEC,
    animation,
    encoded,
    hostile_gif,
    picture,
    png_header,
    slow_jpeg,
    tiff_of_one_tile,
)

pytestmark = pytest.mark.slow

root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can look into decode processes")

LIMITS = DecodeLimits(max_pixels=1_000_000, max_frames=3, timeout=20.0, memory=2**30)
PATIENT = DecodeLimits(max_pixels=10_000_000, max_frames=3, timeout=60.0, memory=2**30)
PNG = encoded(picture(), "PNG")


@contextmanager
def pool_of(
    processes: int = 2, slots: int = 8, limits: DecodeLimits = LIMITS
) -> Iterator[tuple[DecodePool, SlotArena]]:
    arena = SlotArena.for_frames(slots, SPEC, limits.max_frames)
    pool = DecodePool(arena, SPEC, processes=processes, limits=limits)
    try:
        until(lambda: len(pool.pids) == processes)
        yield pool, arena
    finally:
        pool.close()
        arena.close()


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "what was waited for did not come about"
        time.sleep(0.001)


def frames_of(arena: SlotArena, decoded: Decoded) -> list[np.ndarray]:
    return [
        arena.frame(decoded.slot, n, *size).copy() for n, size in enumerate(decoded.layout.sizes)
    ]


def cause(future: Future[Decoded]) -> str:
    with pytest.raises(Undecodable) as caught:
        future.result(60)
    return caught.value.cause


def slow_image(side: int = 1_000) -> bytes:
    """A run-length encoded BMP, each run of one pixel: Pillow takes it apart in Python."""
    row = b"\x01\x07" * side + b"\0\0"
    body = row * side + b"\0\1"
    offset = 14 + 40 + 1024
    head = b"BM" + struct.pack("<IHHI", offset + len(body), 0, 0, offset)
    info = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, len(body), 0, 0, 256, 256)
    return head + info + bytes(range(256)) * 4 + body


def ended(pid: int) -> bool:
    """Whether a process is gone, or a zombie that nobody else has to do with."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def nursery_of(pool: DecodePool) -> int:
    """The id of the parent of the decode processes."""
    return int(Path(f"/proc/{pool.pids[0]}/stat").read_text().rsplit(")", 1)[1].split()[1])


def entries(folder: str) -> set[str]:
    return {path.name for path in Path(folder).iterdir()}


# --- what it decodes


def test_frames_in_slots_are_those_of_the_decoder() -> None:
    sources = [encoded(picture(200, 90), kind) for kind in FORMATS]
    sources += [animation(kind, 7) for kind in ("GIF", "WEBP")]
    with pool_of() as (pool, arena):
        for data in sources:
            decoded = pool.submit(data).result(60)
            whole = decode(data, SPEC, max_pixels=1_000_000, max_frames=7)
            layout = decoded.layout
            assert (layout.width, layout.height) == (whole.width, whole.height)
            assert (layout.reach, layout.frames) == (whole.reach, min(3, whole.reach))
            # Which frames of an animation these are is left to chance.
            expected = dict(zip(whole.views, whole.frames, strict=True))
            for view, mine in zip(layout.views, frames_of(arena, decoded), strict=True):
                assert np.array_equal(mine, expected[view])
            pool.release(decoded.slot)
        assert arena.free == 8


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "empty"),
        (b"no image", "format"),
        (PNG[:40], "corrupt"),
        (png_header(60_000, 60_000), "pixels"),
        (encoded(picture(2, 2), "PNG"), "too-small"),
    ],
)
def test_causes_come_through_and_their_slots_come_back(data, expected) -> None:
    with pool_of(1) as (pool, arena):
        pids = pool.pids
        assert cause(pool.submit(data)) == expected
        assert arena.free == 8
        assert pool.pids == pids


def test_many_more_images_than_slots() -> None:
    with pool_of(2, slots=3) as (pool, arena):
        futures = [pool.submit(PNG) for _ in range(100)]
        for future in futures:
            pool.release(future.result(60).slot)
        assert arena.free == 3
        assert pool.pending == 0


def test_slots_go_out_in_the_order_of_submission() -> None:
    with pool_of(2, slots=2) as (pool, _):
        futures = [pool.submit(PNG) for _ in range(6)]
        for first in (0, 2, 4):
            pair = [futures[first].result(60), futures[first + 1].result(60)]
            assert not any(future.done() for future in futures[first + 2 :])
            for decoded in pair:
                pool.release(decoded.slot)


def test_an_image_larger_than_any_buffer() -> None:
    data = encoded(picture(), "PNG") + bytes(30_000_000)
    with pool_of(1) as (pool, _):
        futures = [pool.submit(data) for _ in range(3)]
        assert [future.result(60).layout.width for future in futures] == [128] * 3


def test_a_cancelled_image_costs_no_slot() -> None:
    with pool_of(1, slots=2) as (pool, arena):
        held = [pool.submit(PNG).result(60) for _ in range(2)]
        queued = [pool.submit(PNG) for _ in range(3)]
        assert queued[0].cancel()
        assert queued[1].cancel()
        for decoded in held:
            pool.release(decoded.slot)
        pool.release(queued[2].result(60).slot)
        until(lambda: arena.free == 2)


def test_an_image_cancelled_while_it_is_decoded_gives_its_slot_back() -> None:
    with pool_of(1) as (pool, arena):
        (pid,) = pool.pids
        os.kill(pid, signal.SIGSTOP)
        future = pool.submit(PNG)
        until(lambda: arena.free == 7)
        assert future.cancel()
        os.kill(pid, signal.SIGCONT)
        until(lambda: arena.free == 8)
        assert pool.pids == [pid]


# --- processes that hang or die


def test_a_process_killed_at_an_image_loses_none() -> None:
    with pool_of(1) as (pool, arena):
        (pid,) = pool.pids
        os.kill(pid, signal.SIGSTOP)
        futures = [pool.submit(PNG) for _ in range(6)]
        until(lambda: arena.free == 8 - DEPTH)
        os.kill(pid, signal.SIGKILL)
        decoded = [future.result(60) for future in futures]
        assert len({each.slot for each in decoded}) == 6
        assert pid not in pool.pids
        for each in decoded:
            pool.release(each.slot)
        assert arena.free == 8


def test_a_process_that_hangs_is_replaced_and_its_image_decoded() -> None:
    limits = DecodeLimits(1_000_000, 3, timeout=0.5, memory=2**30)
    with pool_of(2, limits=limits) as (pool, _):
        pid = pool.pids[0]
        os.kill(pid, signal.SIGSTOP)
        assert [pool.submit(PNG).result(60).layout.width for _ in range(6)] == [128] * 6
        until(lambda: ended(pid))
        until(lambda: len(pool.pids) == 2)


def test_an_image_that_takes_too_long_is_set_aside_alone() -> None:
    limits = DecodeLimits(100_000_000, 3, timeout=0.4, memory=2**30)
    with pool_of(1, limits=limits) as (pool, arena):
        before = [pool.submit(PNG) for _ in range(2)]
        slow = pool.submit(slow_image(3_000))
        behind = [pool.submit(PNG) for _ in range(2)]
        assert cause(slow) == "timeout"
        for future in (*before, *behind):
            pool.release(future.result(60).slot)
        assert arena.free == 8


def test_an_image_that_takes_too_much_memory_is_set_aside_alone() -> None:
    limits = DecodeLimits(64_000_000, 3, timeout=30, memory=2**28)
    # Its header is that of a small picture.
    large = tiff_of_one_tile(32_768)
    with pool_of(1, limits=limits) as (pool, arena):
        futures = [pool.submit(data) for data in (PNG, large, PNG)]
        assert cause(futures[1]) == "memory"
        for future in (futures[0], futures[2]):
            pool.release(future.result(60).slot)
        assert arena.free == 8


def test_images_of_a_post_share_its_time_and_ordinary_ones_are_decoded_all_the_same() -> None:
    limits = DecodeLimits(100_000_000, 3, timeout=30, memory=2**30)
    budget = Budget(0.2)
    with pool_of(1, limits=limits) as (pool, arena):
        # Each takes some 30 s.
        slow = [pool.submit(slow_jpeg(2_000, salt=n), budgets=[budget]) for n in range(3)]
        ordinary = pool.submit(PNG, budgets=[budget])
        assert [cause(future) for future in slow] == ["timeout"] * 3
        pool.release(ordinary.result(60).slot)
        assert budget.left <= 0.2 - 3 * LEAST_TIME
        assert arena.free == 8


@pytest.mark.parametrize(
    ("spent", "left", "expected"),
    [
        (0, [], 4),
        (0, [16], 4),
        (0, [3], 3),
        (3, [16], 1),
        (0, [3, 16], 4),
        (0, [-1, 2], 2),
        (0, [-1], LEAST_TIME),
        (9, [16], LEAST_TIME),
    ],
)
def test_an_image_has_time_while_one_of_its_posts_has_it(spent, left, expected) -> None:
    job = Job(b"", Future(), 1, spent=spent, budgets=[Budget(each) for each in left])
    assert job.time(4) == expected


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's choice is Linux's")
def test_decode_processes_are_the_first_to_go_where_memory_runs_out() -> None:
    with pool_of(2) as (pool, _):
        scores = [Path(f"/proc/{pid}/oom_score_adj").read_text().strip() for pid in pool.pids]
        assert scores == ["1000", "1000"]


@contextmanager
def killing(pool: DecodePool, arena: SlotArena) -> Iterator[list[int]]:
    """Kill every decode process as soon as it has an image; yields the ids of those killed."""
    killed: list[int] = []
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set():
            for pid in pool.pids:
                if pid not in killed and arena.free < arena.slots:
                    killed.append(pid)
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            time.sleep(0.0005)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield killed
    finally:
        stop.set()
        thread.join()


def test_an_image_that_kills_twice_is_set_aside_and_the_next_is_decoded() -> None:
    with pool_of(1, slots=2) as (pool, arena):
        with killing(pool, arena) as killed:
            assert cause(pool.submit(slow_image())) == "crash"
        assert len(killed) == 2
        decoded = pool.submit(PNG).result(60)
        pool.release(decoded.slot)
        assert arena.free == 2


def die(deaths: int) -> None:
    slow = slow_image(600)
    with pool_of(2, slots=4) as (pool, arena):
        with killing(pool, arena) as killed:
            while len(killed) < deaths:
                futures = [pool.submit(slow) for _ in range(8)]
                assert {cause(future) for future in futures} == {"crash"}
                assert arena.free == 4
        until(lambda: len(pool.pids) == 2)
        pool.release(pool.submit(PNG).result(60).slot)
        assert arena.free == 4
        until(lambda: all(ended(pid) for pid in killed))
        nursery = nursery_of(pool)
        children = Path(f"/proc/{nursery}/task/{nursery}/children").read_text().split()
        assert len(children) <= 4


def deaths_leave_nothing(deaths: int) -> None:
    descriptors = len(entries("/proc/self/fd"))
    shared = entries("/dev/shm")
    die(deaths)
    gc.collect()
    assert len(entries("/proc/self/fd")) <= descriptors
    assert entries("/dev/shm") <= shared


def test_deaths_leave_nothing_behind() -> None:
    deaths_leave_nothing(50)


@pytest.mark.slow
def test_a_thousand_deaths_leave_nothing_behind() -> None:
    deaths_leave_nothing(1_000)


def test_neighbours_of_the_dying_are_decoded_right() -> None:
    random_ = random.Random(3)
    sources = [encoded(picture(100 + n, 90), "PNG") for n in range(40)]
    expected = [decode(data, SPEC, max_pixels=1_000_000, max_frames=3).frames for data in sources]
    with pool_of(2, slots=40) as (pool, arena):
        futures = [pool.submit(data) for data in sources]
        kills = 6
        for at in sorted(random_.sample(range(30), kills)):
            with suppress(Undecodable):
                futures[at].result(60)
            with suppress(ProcessLookupError):
                os.kill(random_.choice(pool.pids or [2**22 + 1]), signal.SIGKILL)
        crashed = 0
        for future, frames in zip(futures, expected, strict=True):
            try:
                decoded = future.result(60)
            except Undecodable as error:
                crashed += error.cause == "crash"
                continue
            assert np.array_equal(frames_of(arena, decoded)[0], frames[0])
        assert crashed <= kills // 2
        until(lambda: len(pool.pids) == 2)


def test_a_process_killed_idle_is_replaced() -> None:
    with pool_of(2) as (pool, _):
        first = pool.pids
        for pid in first:
            os.kill(pid, signal.SIGKILL)
        until(lambda: len(pool.pids) == 2 and not set(pool.pids) & set(first))
        assert pool.submit(PNG).result(60).layout.width == 128


def test_the_nursery_killed_is_replaced_with_all_of_its_processes() -> None:
    with pool_of(2) as (pool, arena):
        first = pool.pids
        nursery = nursery_of(pool)
        os.kill(nursery, signal.SIGKILL)
        until(lambda: len(pool.pids) == 2 and not set(pool.pids) & set(first))
        pool.release(pool.submit(PNG).result(60).slot)
        until(lambda: all(ended(pid) for pid in first))
        assert arena.free == 8


def kill_nursery(pool: DecodePool, arena: SlotArena) -> None:
    """Kill the nursery while its only process is at an image, and wait for the next one."""
    until(lambda: arena.free == arena.slots - 2 and len(pool.pids) == 1)
    (first,) = pool.pids
    os.kill(first, signal.SIGSTOP)
    os.kill(nursery_of(pool), signal.SIGKILL)
    until(lambda: pool.pids not in ([], [first]))


def test_the_end_of_the_nursery_is_not_blamed_on_images() -> None:
    with pool_of(1, limits=PATIENT) as (pool, arena):
        os.kill(pool.pids[0], signal.SIGSTOP)
        futures = [pool.submit(slow_image(2_000)), pool.submit(PNG)]
        for _ in range(NURSERY_DEATHS - 1):
            kill_nursery(pool, arena)
        for future in futures:
            pool.release(future.result(60).slot)
        assert arena.free == 8


def test_an_image_at_which_the_nursery_always_ends_is_set_aside_alone() -> None:
    with pool_of(1, limits=PATIENT) as (pool, arena):
        os.kill(pool.pids[0], signal.SIGSTOP)
        futures = [pool.submit(slow_image(2_000)), pool.submit(PNG)]
        for _ in range(NURSERY_DEATHS):
            kill_nursery(pool, arena)
        assert cause(futures[0]) == "crash"
        pool.release(futures[1].result(60).slot)
        assert arena.free == 8


class Taken(Nursery):
    """A nursery whose first processes are taken over: they answer every image as told."""

    answer: bytes
    left: int
    pids = itertools.count(2**22 + 1)

    def fork(self, room: SlotArena) -> tuple[int, socket.socket]:
        if not type(self).left:
            return super().fork(room)
        type(self).left -= 1
        ours, theirs = socket.socketpair()
        threading.Thread(target=self._lie, args=(theirs,), daemon=True).start()
        return next(self.pids), ours

    def bury(self, pid: int) -> bool:
        return super().bury(pid) if pid <= 2**22 else True

    def _lie(self, theirs: socket.socket) -> None:
        with theirs, suppress(OSError):
            theirs.sendall(READY)
            if request := theirs.recv(REQUEST.size):
                number = b"%d" % REQUEST.unpack(request)[0]
                theirs.sendall(self.answer.replace(b"NUMBER", number) + b"\n")
            while theirs.recv(2**16):
                pass


def lie(**changes: object) -> bytes:
    """The answer to a picture of 128 by 128 pixels, but for a few things."""
    return json.dumps(Layout(128, 128, ((64, 64),)).to_json() | changes).encode()


def test_the_answer_that_the_lies_are_made_from_can_be(monkeypatch) -> None:
    monkeypatch.setattr(decoders, "Nursery", Taken)
    monkeypatch.setattr(Taken, "answer", b"[NUMBER, " + lie() + b"]", raising=False)
    monkeypatch.setattr(Taken, "left", 1, raising=False)
    with pool_of(1) as (pool, _):
        assert pool.submit(PNG).result(60).layout == Layout(128, 128, ((64, 64),))


@pytest.mark.parametrize(
    "answer",
    [
        lie(width=float("inf")),
        lie(height=-float("inf")),
        lie(width=float("nan")),
        lie(width=128.0),
        lie(width="128"),
        lie(sizes=[[float("inf"), 64]]),
        b"[" * 60_000,
        b'{"width":' * 5_000,
        lie(sizes=[], views=[]),
        lie(views=[]),
        lie(sizes=[[64, 64]] * 4, views=[[n, None, None] for n in range(4)], reach=4),
        lie(
            sizes=[[64, 64]] * (2 + MAX_CROPS),
            views=[[0, None, None], *([0, None, [0, 0, 9, n]] for n in range(1, 2 + MAX_CROPS))],
        ),
        lie(views=[[0, None, [0, 0, 9, 9]]]),
        lie(sizes=[[64, 64]] * 2, views=[[0, "white", None]] * 2),
        lie(sizes=[[64, 65]]),
        lie(sizes=[[0, 0]]),
        lie(sizes=[[-64, -64]]),
        lie(sizes=[[640_000, 640_000]]),
        lie(width=0),
        lie(width=-128, height=-128),
        lie(width=10**12, height=16),
        lie(width=1001, height=1001),
        lie(views=[[1, None, None]]),
        lie(views=[[-1, None, None]]),
        lie(views=[[0, "grey", None]]),
        lie(views=[[0, ["white"], None]]),
        lie(views=[[0, None, [0, 0, 129, 128]]]),
        lie(views=[[0, None, [9, 0, 9, 128]]]),
        lie(views=[[0, None, [0, 0, 128]]]),
        lie(reach=0),
        lie(reach=100_000),
        lie(beyond=1),
        lie(partial=None),
        json.dumps([128, 128, [[64, 64]], 1]).encode(),
        b"{}",
        b"null",
        b'"no cause"',
        b"\xff\xfe",
    ],
)
def test_a_process_that_answers_what_cannot_be_is_replaced(monkeypatch, answer) -> None:
    monkeypatch.setattr(decoders, "Nursery", Taken)
    monkeypatch.setattr(Taken, "answer", b"[NUMBER, " + answer + b"]", raising=False)
    monkeypatch.setattr(Taken, "left", 2, raising=False)
    with pool_of(1) as (pool, arena):
        assert cause(pool.submit(PNG)) == "crash"
        pool.release(pool.submit(PNG).result(60).slot)
        assert arena.free == 8
        assert nursery_of(pool)


SOUND = lie()


@pytest.mark.parametrize(
    "answer",
    [
        # Without a number, with that of another one, a text, and a word too many.
        SOUND,
        b"[0, " + SOUND + b"]",
        b'["NUMBER", ' + SOUND + b"]",
        b"[NUMBER, " + SOUND + b", 0]",
    ],
)
def test_an_answer_without_the_number_of_its_image_is_none(monkeypatch, answer) -> None:
    monkeypatch.setattr(decoders, "Nursery", Taken)
    monkeypatch.setattr(Taken, "answer", answer, raising=False)
    monkeypatch.setattr(Taken, "left", 2, raising=False)
    with pool_of(1) as (pool, arena):
        assert cause(pool.submit(PNG)) == "crash"
        pool.release(pool.submit(PNG).result(60).slot)
        assert arena.free == 8


@pytest.mark.parametrize(
    "behind", [b"[NUMBER, " + SOUND + b"]", b"[0, " + SOUND + b"]", SOUND, b'"empty"']
)
def test_no_process_answers_for_the_image_behind(monkeypatch, behind) -> None:
    """It was taken over by the first, whose number it knows, and does not read on."""
    monkeypatch.setattr(decoders, "Nursery", Taken)
    answer = b"[NUMBER, " + SOUND + b"]\n" + behind
    monkeypatch.setattr(Taken, "answer", answer, raising=False)
    monkeypatch.setattr(Taken, "left", 1, raising=False)
    expected = decode(PNG, SPEC, max_pixels=1_000_000, max_frames=3).frames[0]
    with pool_of(1) as (pool, arena):
        futures = [pool.submit(PNG) for _ in range(2)]
        first, second = (future.result(60) for future in futures)
        assert not frames_of(arena, first)[0].any()
        assert np.array_equal(frames_of(arena, second)[0], expected)


def test_a_process_is_replaced_after_so_many_images(monkeypatch) -> None:
    monkeypatch.setattr(decoder, "LIFETIME", 5)
    deaths = {cause: DECODE_DEATHS.labels(cause)._value.get() for cause in ("idle", "crash")}
    with pool_of(2) as (pool, arena):
        seen = set(pool.pids)
        for _ in range(40):
            futures = [pool.submit(PNG) for _ in range(4)]
            for future in futures:
                pool.release(future.result(60).slot)
            seen |= set(pool.pids)
        until(lambda: len(pool.pids) == 2)
        # No process has two rounds' images, so that none comes and goes unseen.
        assert len(seen) >= 160 // 5 - 2
        assert arena.free == 8
        until(lambda: all(ended(pid) or pid in pool.pids for pid in seen))
    for name, count in deaths.items():
        assert DECODE_DEATHS.labels(name)._value.get() == count


@root
def test_each_process_has_slots_of_its_own() -> None:
    with pool_of(2) as (pool, arena):
        files = []
        for pid in pool.pids:
            maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
            files.append({line.split()[4] for line in maps if "memfd:" in line})
        assert [len(each) for each in files] == [1, 1]
        assert files[0] != files[1]
        assert str(os.fstat(arena.fd).st_ino) not in files[0] | files[1]


def test_nothing_of_a_picture_is_left_for_the_next_one() -> None:
    with pool_of(1) as (pool, _):
        for _ in range(DEPTH + 1):
            pool.release(pool.submit(PNG).result(60).slot)
        rooms = [each.room for each in pool._decoders]
        assert not any(room.buffer(slot).any() for room in rooms for slot in range(room.slots))


def test_signals_of_the_terminal_do_not_end_it() -> None:
    with pool_of(1) as (pool, _):
        (pid,) = pool.pids
        nursery = nursery_of(pool)
        for each in (pid, nursery):
            os.kill(each, signal.SIGINT)
            os.kill(each, signal.SIGTERM)
        assert pool.submit(PNG).result(60).layout.width == 128
        assert pool.pids == [pid]


# --- what a process may do


def test_processes_are_restrained() -> None:
    with pool_of(1) as (pool, _):
        pool.submit(PNG).result(60)
        folder = Path(f"/proc/{pool.pids[0]}")
        limits = {
            line[:25].strip(): line[26:].split()[0]
            for line in (folder / "limits").read_text().splitlines()
        }
        assert limits["Max core file size"] == "0"
        assert int(limits["Max open files"]) <= 32
        assert 2**30 < int(limits["Max address space"]) < 2**32


@root
def test_processes_are_told_no_secrets(monkeypatch) -> None:
    monkeypatch.setenv("MODERATOR_KAFKA_PASSWORD", "open sesame")
    with pool_of(1) as (pool, _):
        folder = Path(f"/proc/{pool.pids[0]}")
        assert "open sesame" not in (folder / "environ").read_text()
        maps = (folder / "maps").read_text()
        assert "numpy" in maps
        assert "torch" not in maps
        assert "kafka" not in maps


PARENT = """
import sys, time
from moderator.decoding.decoders import *
from moderator.slots import SlotArena
from tests.moderator.pictures import SPEC
arena = SlotArena.for_frames(2, SPEC, 1)
pool = DecodePool(arena, SPEC, processes=2, limits=DecodeLimits(10**6, 1, 5.0, 2**30))
while len(pool.pids) < 2:
    time.sleep(0.01)
print(*pool.pids, flush=True)
time.sleep(600)
"""


def test_processes_end_with_a_parent_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 2
        assert not any(ended(pid) for pid in pids)
        parent.kill()
    until(lambda: all(ended(pid) for pid in pids))


# --- the end


def test_closing_cancels_what_is_not_done_and_ends_all() -> None:
    with pool_of(2) as (pool, arena):
        pids = pool.pids
        done = pool.submit(PNG)
        done.result(60)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        futures = [pool.submit(PNG) for _ in range(20)]
        until(lambda: arena.free < 7)
        pool.close()
        for future in futures:
            with pytest.raises(CancelledError):
                future.result(0)
        assert pool.submit(PNG).cancelled()
        until(lambda: all(ended(pid) for pid in pids))
        assert arena.free == 7
        pool.release(done.result().slot)
        assert arena.free == 8


def test_closing_at_once_or_twice_is_fine() -> None:
    arena = SlotArena.for_frames(2, SPEC, 3)
    pool = DecodePool(arena, SPEC, processes=2, limits=LIMITS)
    future = pool.submit(PNG)
    pool.close()
    pool.close()
    assert future.cancelled() or future.result(0).layout.width == 128


def test_futures_may_be_given_back_from_their_own_callbacks() -> None:
    with pool_of(2, slots=2) as (pool, arena):
        futures = [pool.submit(PNG) for _ in range(30)]
        for future in futures:
            future.add_done_callback(lambda done: pool.release(done.result().slot))
        for future in futures:
            future.result(60)
        until(lambda: arena.free == 2)


# --- damage of every kind


def test_every_damaged_file_gets_an_answer() -> None:
    random_ = random.Random(11)
    sources = [encoded(picture(80, 60), kind) for kind in FORMATS]
    sources += [animation(kind, 4, 32) for kind in ("PNG", "WEBP", "GIF", "TIFF", "AVIF")]
    damaged = [damage(random_, random_.choice(sources)) for _ in range(60)]
    damaged += [hostile_gif(100_000), png_header(60_000, 60_000)]
    with pool_of(2, slots=70) as (pool, arena):
        outcomes = set()
        for future in [pool.submit(data) for data in damaged]:
            try:
                pool.release(future.result(60).slot)
            except Undecodable as error:
                outcomes.add(error.cause)
            else:
                outcomes.add("decoded")
        assert {"decoded", "corrupt", "pixels"} <= outcomes <= {"decoded", *CAUSES}
        until(lambda: len(pool.pids) == 2)
        assert arena.free == 70


def damage(random_: random.Random, data: bytes) -> bytes:
    """Flip bytes, cut, repeat or blow up a figure, near the start where structure is."""
    mutated = bytearray(data)
    for _ in range(random_.randint(1, 6)):
        at = min(random_.randrange(len(mutated)), random_.randrange(len(mutated)))
        match random_.randrange(5):
            case 0:
                mutated[at] = random_.randrange(256)
            case 1:
                mutated[at : at + 4] = random_.choice([b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff"])
            case 2:
                del mutated[at : at + random_.randint(1, 40)]
            case 3:
                mutated[at:at] = mutated[at : at + random_.randint(1, 400)]
            case _:
                mutated = mutated[: max(30, len(mutated) - random_.randint(1, 200))]
    return bytes(mutated)
