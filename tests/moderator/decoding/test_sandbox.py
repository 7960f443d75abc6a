"""What a decode process can do once a hostile image has taken it over: next to nothing.

Deeds are tried from inside real decode processes; see ``probing_process``.
"""

import ctypes
import errno
import json
import os
import platform
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from models.spec import InputSpec
from moderator.concerns.all import Settings
from moderator.decoding import decoders, sandbox
from moderator.decoding.copies import CopyPool
from moderator.decoding.decode import Undecodable
from moderator.decoding.decoders import CONFINED, DECODE_DEATHS, DecodeLimits, DecodePool
from moderator.decoding.nursery import Nursery
from moderator.slots import SlotArena
from tests.fuzz.damage import damaged
from tests.moderator.decoding.probing_process import DEEDS, IPC_RMID
from tests.moderator.decoding.test_landlock import version
from tests.moderator.pictures import FORMATS, animation, encoded, picture

SPEC = InputSpec(sizes=((64, 64),))

FREE = {"memory", "stderr", "scribble", "descriptors"}
"""Deeds that a decode process may do: all of them touch what is its own alone."""

KILLED = {"x32", "abort", "spin"}

IPC_CREAT = 0o1000


class Probing(Nursery):
    module = "tests.moderator.decoding.probing_process"


def limits(mode: str = "required", timeout: float = 20.0) -> DecodeLimits:
    return DecodeLimits(1_000_000, 3, timeout=timeout, memory=2**30, sandbox=mode)  # type: ignore[arg-type]


@contextmanager
def pool_of(given: DecodeLimits) -> Iterator[tuple[DecodePool, SlotArena]]:
    arena = SlotArena.for_frames(4, SPEC, 3)
    pool = DecodePool(arena, SPEC, processes=1, limits=given)
    try:
        yield pool, arena
    finally:
        pool.close()
        arena.close()


def told(pool: DecodePool, arena: SlotArena, *deeds: str, **given: object) -> dict[str, str]:
    decoded = pool.submit(json.dumps({"deeds": deeds, **given}).encode()).result(300)
    text = arena.frame(decoded.slot, 0, *decoded.layout.sizes[0]).tobytes().rstrip(b"\0")
    pool.release(decoded.slot)
    answers: dict[str, str] = json.loads(text)
    return answers


@pytest.fixture
def aims(tmp_path) -> Iterator[dict[str, object]]:
    """What belongs to the worker and its user, and must outlast a process that is taken over."""
    secret = tmp_path / "password"
    secret.touch(0o600)
    secret.write_text("hunter2")
    libc = ctypes.CDLL(None, use_errno=True)
    ids = {
        "semaphore": libc.semget(0, 1, 0o600 | IPC_CREAT),
        "queue": libc.msgget(0, 0o600 | IPC_CREAT),
        "memory": libc.shmget(0, ctypes.c_size_t(4_096), 0o600 | IPC_CREAT),
    }
    assert min(ids.values()) >= 0
    yield {"worker": os.getpid(), "secret": str(secret), **ids}
    libc.semctl(ids["semaphore"], 0, IPC_RMID)
    libc.msgctl(ids["queue"], IPC_RMID, None)
    libc.shmctl(ids["memory"], IPC_RMID, None)


@pytest.fixture
def probing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoders, "Nursery", Probing)


needs_seccomp = pytest.mark.skipif(
    sandbox.refusal() is not None, reason="this kernel has no seccomp"
)


@needs_seccomp
def test_a_confined_process_can_do_no_more_than_decode(probing, aims) -> None:
    with pool_of(limits()) as (pool, arena):
        answers = told(pool, arena, *(deed for deed in DEEDS if deed not in KILLED), **aims)
        assert CONFINED._value.get() == 1
    assert {name for name, came in answers.items() if came == "done"} == FREE
    # Python has errors of its own for threads and limits; too much memory is the cap's answer.
    odd = {
        "thread": "RuntimeError",
        "cpu-limit": "ValueError",
        "limit-files": "ValueError",
        "limit-memory": "ValueError",
        "much-memory": "ENOMEM",
    }
    others = {name: came for name, came in answers.items() if name not in FREE}
    assert others == dict.fromkeys(others, "EPERM") | odd


def test_the_same_deeds_succeed_where_there_is_no_sandbox(probing, aims, capfd) -> None:
    free = (
        "descriptors", "socket", "socketpair", "open-to-write", "memory-file", "read-file",
        "read-secret", "worker-environment", "lease", "lock", "list-folder", "status",
        "remove-semaphore", "remove-queue", "remove-memory", "executable", "make-executable",
        "kill-worker",
    )  # fmt: skip
    with pool_of(limits("off")) as (pool, arena):
        answers = told(pool, arena, *free, "write-file", "much-memory", "stderr", **aims)
        assert CONFINED._value.get() == 0
    assert answers == {
        **dict.fromkeys(free, "done"),
        # Limits hold without a sandbox too.
        "write-file": "EFBIG",
        "much-memory": "ENOMEM",
        "stderr": "done",
    }
    assert "nobody wants" not in "".join(capfd.readouterr())


def test_what_takes_a_process_over_changes_no_picture_that_is_decoded(probing) -> None:
    with pool_of(limits("preferred")) as (pool, arena):
        image = json.dumps({"deeds": ["memory"]}).encode()
        decoded = pool.submit(image).result(60)
        before = arena.buffer(decoded.slot).copy()
        assert told(pool, arena, "scribble") == {"scribble": "done"}
        assert np.array_equal(arena.buffer(decoded.slot), before)
        others = [arena.buffer(slot) for slot in range(4) if slot != decoded.slot]
        assert not any((each == 255).any() for each in others)


@needs_seccomp
@pytest.mark.parametrize(
    "deed",
    [
        "abort",
        pytest.param("x32", marks=pytest.mark.skipif(platform.machine() != "x86_64", reason="x32")),
    ],
)
def test_what_ends_the_process_is_set_aside_after_the_second(probing, deed) -> None:
    before = DECODE_DEATHS.labels("crash")._value.get()
    with pool_of(limits()) as (pool, arena):
        with pytest.raises(Undecodable, match="crash"):
            told(pool, arena, deed)
        assert told(pool, arena, "memory") == {"memory": "done"}
    assert DECODE_DEATHS.labels("crash")._value.get() == before + 2


def test_what_computes_for_ever_is_decided_within_its_time_and_not_tried_again(probing) -> None:
    before = DECODE_DEATHS.labels("timeout")._value.get()
    with pool_of(limits("preferred", timeout=0.5)) as (pool, arena):
        assert told(pool, arena, "memory")
        begin = time.monotonic()
        with pytest.raises(Undecodable, match="timeout"):
            told(pool, arena, "spin")
        assert time.monotonic() - begin < 5
    assert DECODE_DEATHS.labels("timeout")._value.get() == before + 1


@pytest.mark.slow
def test_the_limit_on_cpu_time_holds_where_nobody_looks(probing, monkeypatch) -> None:
    monkeypatch.setattr(DecodePool, "_check_deadlines", lambda self: None)
    with (
        pool_of(limits("preferred", timeout=0.001)) as (pool, arena),
        pytest.raises(Undecodable, match="crash"),
    ):
        told(pool, arena, "spin")


class Watching(Nursery):
    module = "tests.moderator.decoding.watching_process"


def samples() -> list[bytes]:
    """Return a sound file of each kind, and damaged ones of which many fail somewhere."""
    sources = [encoded(picture(200, 90), kind) for kind in FORMATS]
    sources += [animation(kind, 4) for kind in ("PNG", "WEBP", "GIF", "TIFF", "AVIF")]
    sources += [
        encoded(picture(200, 90), "TIFF", compression=c)
        for c in ("tiff_lzw", "jpeg", "packbits", "tiff_adobe_deflate")
    ]
    sources += [encoded(picture(200, 90).convert(mode), "PNG") for mode in ("LA", "P", "RGBA", "1")]
    sources += [encoded(picture(200, 90).convert(mode), "TIFF") for mode in ("CMYK", "LAB", "F")]
    return sources


@needs_seccomp
def test_every_format_is_decoded_in_the_sandbox() -> None:
    with pool_of(limits()) as (pool, _):
        for data in samples():
            decoded = pool.submit(data).result(60)
            pool.release(decoded.slot)


@needs_seccomp
@pytest.mark.parametrize("copies", [False, True])
def test_nothing_is_imported_or_opened_once_a_process_is_confined(monkeypatch, copies) -> None:
    monkeypatch.setattr(decoders, "Nursery", Watching)
    files = samples() + [damaged(5, number).data for number in range(200)]
    deaths = DECODE_DEATHS.labels("crash")._value.get()
    pool: DecodePool
    if copies:
        pool = CopyPool(SPEC, processes=2, limits=limits(), max_side=64)
    else:
        arena = SlotArena.for_frames(4, SPEC, 3)
        pool = DecodePool(arena, SPEC, processes=2, limits=limits())
    causes = Counter[str]()
    try:
        for future in [pool.submit(data) for data in files]:
            try:
                pool.release(future.result(60).slot)
                causes["none"] += 1
            except Undecodable as error:
                causes[error.cause] += 1
    finally:
        pool.close()
    assert causes["crash"] == 0
    assert DECODE_DEATHS.labels("crash")._value.get() == deaths
    assert causes["none"] > 50
    assert causes["corrupt"] > 20


# --- where the kernel refuses


class Refusing(Nursery):
    module = "tests.moderator.decoding.refusing_process"


def test_a_kernel_that_refuses_is_told_of_once_and_measured(monkeypatch, caplog) -> None:
    monkeypatch.setattr(decoders, "Nursery", Refusing)
    with pool_of(limits("preferred")) as (pool, _):
        data = encoded(picture(), "PNG")
        assert pool.submit(data).result(60).layout.width == 128
        (pid,) = pool.pids
        pool._nursery.bury(pid)
        pool.release(pool.submit(data).result(60).slot)
        while pool.pids in ([], [pid]):
            time.sleep(0.01)
        assert CONFINED._value.get() == 0
    lines = [r.getMessage() for r in caplog.records if "without their sandbox" in r.getMessage()]
    assert len(lines) == 1


class Landlocked(Nursery):
    module = "tests.moderator.decoding.landlocked_process"


@pytest.mark.skipif(version() < 1, reason="this kernel has no Landlock")
def test_landlock_holds_where_the_filter_is_refused(monkeypatch, aims) -> None:
    monkeypatch.setattr(decoders, "Nursery", Landlocked)
    deeds = ("read-file", "read-secret", "worker-environment", "worker-memory", "own-memory")
    with pool_of(limits("preferred")) as (pool, arena):
        answers = told(pool, arena, *deeds, "socket", **aims)
        assert CONFINED._value.get() == 0
    assert answers == {**dict.fromkeys(deeds, "EACCES"), "socket": "done"}


def test_where_it_is_required_nothing_is_decoded_without_it(monkeypatch, caplog) -> None:
    monkeypatch.setattr(decoders, "Nursery", Refusing)
    with pool_of(limits("required")) as (pool, _):
        future = pool.submit(encoded(picture(), "PNG"))
        while "SandboxRefused" not in caplog.text:
            time.sleep(0.01)
        assert not future.done()
    assert future.cancelled()


def test_required_and_impossible_is_one_line_at_the_start(monkeypatch) -> None:
    from moderator.assembly import decode_limits
    from moderator.errors import BadSettings

    monkeypatch.setattr(sandbox, "refusal", lambda: "the kernel refuses seccomp filters")
    given = Settings(limits={"decode_sandbox": "required"}).limits
    with pytest.raises(BadSettings, match="decode_sandbox is required but the kernel refuses"):
        decode_limits(given)
    assert decode_limits(Settings().limits).sandbox == "preferred"


@pytest.mark.parametrize("machine", ["riscv64", "armv7l"])
def test_a_machine_without_a_filter_is_refused_in_words(monkeypatch, machine) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert machine in (sandbox.refusal() or "")
    with pytest.raises(sandbox.SandboxRefused):
        sandbox.confine()


# --- the filter itself


def judged(code: list[sandbox.Instruction], audit: int, number: int, *given: int) -> int:
    """Run a filter the slow and obvious way; returns what it says."""
    words = [number, audit, 0, 0]
    for argument in (*given, *[0] * 6)[:6]:
        words += [argument & 0xFFFFFFFF, argument >> 32]
    at = accumulator = 0
    while True:
        kind, true, false, operand = code[at]
        at += 1
        if kind == sandbox.RETURN:
            return operand
        if kind == sandbox.LOAD:
            accumulator = words[operand // 4]
            continue
        holds = {
            sandbox.JUMP_IF_EQUAL: accumulator == operand,
            sandbox.JUMP_IF_AT_LEAST: accumulator >= operand,
            sandbox.JUMP_IF_ANY_BIT: bool(accumulator & operand),
        }[kind]
        at += true if holds else false


VALUES = sorted({*range(512), *(1 << n for n in range(64)), *((1 << n) - 1 for n in range(65))})
"""Values of arguments that are tried: small ones, each bit, and all bits below each."""

PERMITTED: dict[str, tuple[int, Callable[[int], bool]]] = {
    "read": (0, lambda fd: True),
    "write": (0, lambda fd: True),
    "mmap": (2, lambda protection: not protection & 4),
    "mprotect": (2, lambda protection: not protection & 4),
    "munmap": (0, lambda address: True),
    "mremap": (0, lambda address: True),
    "brk": (0, lambda address: True),
    # MADV_DONTNEED, MADV_FREE, MADV_HUGEPAGE
    "madvise": (2, lambda advice: advice in (4, 8, 14)),
    # To wait and to wake, always private: no locks of the kernel's own, no other process's words.
    "futex": (
        1,
        lambda operation: operation in (128, 129, 128 + 9, 128 + 10, 256 + 128 + 9),
    ),
    "clock_gettime": (0, lambda clock: clock <= 7),
    "getrandom": (0, lambda address: True),
    "sched_yield": (0, lambda nothing: True),
    "rt_sigreturn": (0, lambda nothing: True),
    "exit": (0, lambda code: True),
    "exit_group": (0, lambda code: True),
}
"""All calls that may ever come through: which argument is looked at, and what it may be, of which
the kernel takes 32 bits."""

HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}

NEWEST = 1_024
"""Far beyond the last number that any kernel has."""


UNFILTERED = (335, 336) if platform.machine() == "x86_64" else ()
"""``uretprobe`` and ``uprobe``, which newer kernels hide from filters: except from their own
trampoline, they do nothing but fail, or end the process by a signal."""


def numbers(machine: str) -> dict[str, int]:
    """Return the number of every system call, as the kernel's headers say."""
    if not HEADERS[machine].exists():
        pytest.skip("the kernel's headers are not installed")
    lines = re.findall(
        r"^#define __NR(?:3264)?_(\w+)\s+(\d+)$", HEADERS[machine].read_text(), re.MULTILINE
    )
    return {name: int(number) for name, number in lines}


@pytest.mark.parametrize("machine", sorted(sandbox.ARCHITECTURES))
def test_of_all_system_calls_the_filter_lets_through_these_alone(machine) -> None:
    audit = sandbox.ARCHITECTURES[machine][1]
    code = sandbox.program(machine)
    known = numbers(machine)
    assert len(known) > 280
    permitted = {known[name]: rule for name, rule in PERMITTED.items()}
    for number in (*range(NEWEST), 2**30 - 1):
        if number not in permitted:
            assert judged(code, audit, number) == sandbox.REFUSE
            assert judged(code, audit, number, *[2**64 - 1] * 6) == sandbox.REFUSE
            continue
        place, allows = permitted[number]
        for value in VALUES:
            given = [0] * 6
            given[place] = value
            allowed = allows(value & 0xFFFFFFFF)
            expected = sandbox.ALLOW if allowed else sandbox.REFUSE
            assert judged(code, audit, number, *given) == expected, (number, value)


@pytest.mark.parametrize("machine", sorted(sandbox.ARCHITECTURES))
def test_calls_of_other_architectures_end_the_process(machine) -> None:
    code = sandbox.program(machine)
    audit = sandbox.ARCHITECTURES[machine][1]
    i386, arm = 0x40000003, 0x40000028
    others = {a for _, a, _ in sandbox.ARCHITECTURES.values()} - {audit}
    for foreign in (i386, arm, 0, *others):
        for number in range(NEWEST):
            assert judged(code, foreign, number) == sandbox.KILL_PROCESS
    if machine == "x86_64":
        for number in (sandbox.X32, sandbox.X32 + 1, 2**31, 2**32 - 1):
            assert judged(code, audit, number) == sandbox.KILL_PROCESS


def confined(program: str, *given: object) -> subprocess.CompletedProcess[str]:
    """Run a program in which ``call`` makes a system call and ``libc`` is there, confined."""
    head = """
import ctypes, json, mmap, os, sys
from moderator.decoding.sandbox import confine
libc = ctypes.CDLL(None, use_errno=True)
given = json.loads(sys.argv[1])
def call(number, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(number, *map(ctypes.c_long, arguments))
    return result, ctypes.get_errno()
def say(what):
    os.write(1, json.dumps(what).encode() + b"\\n")
"""
    return subprocess.run(
        [sys.executable, "-c", head + program, json.dumps(given)],
        capture_output=True,
        text=True,
        timeout=60,
    )


@needs_seccomp
def test_the_kernel_refuses_all_that_is_not_permitted() -> None:
    known = numbers(platform.machine())
    permitted = {known[name] for name in PERMITTED}
    program = """
confine()
for number in given[0]:
    os.write(1, b"%d " % number)
    answer = call(number, 0, 0, 0, 0, 0, 0)
    if answer != (-1, 1):
        say(["not refused", number, answer])
os.write(1, b"end")
os._exit(0)
"""
    others = [n for n in range(NEWEST) if n not in permitted and n not in UNFILTERED]
    done = confined(program, others)
    assert done.stdout == " ".join(map(str, others)) + " end"
    assert (done.returncode, done.stderr) == (0, "")
    for number in UNFILTERED:
        done = confined(program, [number])
        answer = re.escape(json.dumps(["not refused", number, [-1, errno.ENXIO]]))
        assert re.fullmatch(rf"{number} ({answer}\n)?(end)?", done.stdout)
        assert -done.returncode in (0, signal.SIGILL)


@needs_seccomp
def test_the_kernel_looks_at_arguments() -> None:
    known = numbers(platform.machine())
    program = """
n = given[0]
page = libc.mmap
page.restype = ctypes.c_void_p
anonymous = 0x22
confine()
address = call(n["mmap"], 0, 4096, 3, anonymous, -1, 0)
memory = mmap.mmap(-1, 4096)
at = ctypes.addressof(ctypes.c_char.from_buffer(memory))
say({
    "mmap": call(n["mmap"], 0, 4096, 7, anonymous, -1, 0),
    "mprotect": call(n["mprotect"], at, 4096, 5),
    "poison": call(n["madvise"], at, 4096, 100),
    "lock": call(n["futex"], at, 6 | 128, 0, 0, 0, 0),
    "shared": call(n["futex"], at, 1, 1, 0, 0, 0),
    "clock": call(n["clock_gettime"], (~1 << 3) | 2, at),  # the time that process 1 has had
})
say({
    "mprotect": call(n["mprotect"], at, 4096, 3),
    "advice": call(n["madvise"], at, 4096, 4),
    "wake": call(n["futex"], at, 129, 1, 0, 0, 0),
    "clock": call(n["clock_gettime"], 1, at),
})
os._exit(0)
"""
    done = confined(program, known)
    refused, allowed = map(json.loads, done.stdout.splitlines())
    assert all(answer == [-1, errno.EPERM] for answer in refused.values()), refused
    assert all(answer == [0, 0] for answer in allowed.values()), allowed


@needs_seccomp
@pytest.mark.skipif(platform.machine() != "x86_64", reason="i386 calls are x86_64's")
def test_a_call_of_i386_ends_the_process() -> None:
    program = """
memory = mmap.mmap(-1, 4096, prot=7)
memory.write(b"\\xb8\\x14\\0\\0\\0\\xcd\\x80\\xc3")  # mov eax, 20 (getpid); int 0x80; ret
run = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))
say(given)
confine()
say(run())
"""
    done = confined(program)
    assert done.stdout == "[]\n"
    # SIGSEGV where the kernel does not know i386 at all.
    assert -done.returncode in (signal.SIGSYS, signal.SIGSEGV)


@pytest.mark.parametrize("machine", sorted(HEADERS))
def test_numbers_are_those_of_the_kernels_headers(machine) -> None:
    known = numbers(machine)
    for name, call in sandbox.CALLS.items():
        assert (call.x86_64 if machine == "x86_64" else call.aarch64) == known[name]
