"""What a decode process can do once a hostile image has taken it over: next to nothing.

Deeds are tried from inside real decode processes; see ``probing_process``.
"""

import json
import platform
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from models.spec import InputSpec
from moderator.concerns.all import Settings
from moderator.decoding import decoders, sandbox, syscalls
from moderator.decoding.decode import Undecodable
from moderator.decoding.decoders import CONFINED, DECODE_DEATHS, DecodeLimits, DecodePool
from moderator.decoding.nursery import Nursery
from moderator.slots import SlotArena
from tests.moderator.decoding.probing_process import DEEDS
from tests.moderator.pictures import FORMATS, animation, encoded, picture

SPEC = InputSpec(sizes=((64, 64),))

FREE = ("read-file", "read-limits", "cpu-limit", "memory", "stderr", "descriptors")
"""Deeds that a decode process may do: some of them it has to."""

KILLED = ("x32", "abort", "spin")


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


def told(pool: DecodePool, arena: SlotArena, *deeds: str) -> dict[str, str]:
    decoded = pool.submit(json.dumps(deeds).encode()).result(60)
    text = arena.frame(decoded.slot, 0, *decoded.layout.sizes[0]).tobytes().rstrip(b"\0")
    pool.release(decoded.slot)
    answers: dict[str, str] = json.loads(text)
    return answers


@pytest.fixture
def probing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoders, "Nursery", Probing)


needs_seccomp = pytest.mark.skipif(
    sandbox.refusal() is not None, reason="this kernel has no seccomp"
)


@needs_seccomp
def test_a_confined_process_can_do_no_more_than_decode(probing) -> None:
    with pool_of(limits()) as (pool, arena):
        answers = told(pool, arena, *(deed for deed in DEEDS if deed not in KILLED))
        assert CONFINED._value.get() == 1
    free = {name for name, outcome in answers.items() if outcome == "done"}
    assert free == set(FREE)
    # Python has errors of its own for threads and limits; too much memory is the cap's answer.
    odd = {
        "thread": "RuntimeError",
        "limit-files": "ValueError",
        "limit-memory": "ValueError",
        "much-memory": "ENOMEM",
    }
    others = {name: outcome for name, outcome in answers.items() if name not in FREE}
    assert others == dict.fromkeys(others, "EPERM") | odd


def test_the_same_deeds_succeed_where_there_is_no_sandbox(probing, capfd) -> None:
    tried = ("socket", "socketpair", "open-to-write", "memory-file", "send-descriptor")
    with pool_of(limits("off")) as (pool, arena):
        answers = told(pool, arena, *tried[:4], "write-file", "much-memory", "stderr")
        assert CONFINED._value.get() == 0
    assert answers == {
        **dict.fromkeys(tried[:4], "done"),
        # Limits hold without a sandbox too.
        "write-file": "EFBIG",
        "much-memory": "ENOMEM",
        "stderr": "done",
    }
    assert "nobody wants" not in "".join(capfd.readouterr())


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
            pool.submit(json.dumps([deed]).encode()).result(60)
        assert told(pool, arena, "read-file") == {"read-file": "done"}
    assert DECODE_DEATHS.labels("crash")._value.get() == before + 2


def test_what_computes_for_ever_is_decided_within_its_time_and_not_tried_again(probing) -> None:
    before = DECODE_DEATHS.labels("timeout")._value.get()
    with pool_of(limits("preferred", timeout=0.5)) as (pool, arena):
        assert told(pool, arena, "read-file")
        begin = time.monotonic()
        with pytest.raises(Undecodable, match="timeout"):
            pool.submit(b'["spin"]').result(60)
        assert time.monotonic() - begin < 5
    assert DECODE_DEATHS.labels("timeout")._value.get() == before + 1


@pytest.mark.slow
def test_the_limit_on_cpu_time_holds_where_nobody_looks(probing, monkeypatch) -> None:
    monkeypatch.setattr(DecodePool, "_check_deadlines", lambda self: None)
    with (
        pool_of(limits("preferred", timeout=0.01)) as (pool, _),
        pytest.raises(Undecodable, match="crash"),
    ):
        pool.submit(b'["spin"]').result(60)


@needs_seccomp
def test_every_format_is_decoded_in_the_sandbox() -> None:
    sources = [encoded(picture(200, 90), kind) for kind in FORMATS]
    sources += [animation(kind, 4) for kind in ("PNG", "WEBP", "GIF", "TIFF", "AVIF")]
    sources += [
        encoded(picture(200, 90), "TIFF", compression=c)
        for c in ("tiff_lzw", "jpeg", "packbits", "tiff_adobe_deflate")
    ]
    with pool_of(limits()) as (pool, _):
        for data in sources:
            decoded = pool.submit(data).result(60)
            pool.release(decoded.slot)


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


def calls(machine: str) -> dict[str, int]:
    place = sandbox.ARCHITECTURES[machine][0]
    every = {**syscalls.DENIED, **syscalls.CONDITIONAL}
    return {name: n[place] for name, n in every.items() if n[place] is not None}  # type: ignore[misc]


@pytest.mark.parametrize("machine", sorted(sandbox.ARCHITECTURES))
def test_the_filter_says_of_every_call_what_it_should(machine) -> None:
    place, audit, _ = sandbox.ARCHITECTURES[machine]
    code = sandbox.program(machine)
    assert len(code) < 4096
    numbers = calls(machine)
    denied = {n[place] for n in syscalls.DENIED.values()}
    for number in range(1_000):
        if number in denied:
            assert judged(code, audit, number) == sandbox.REFUSE
        elif number not in numbers.values():
            assert judged(code, audit, number) == sandbox.ALLOW
    foreign = next(a for _, a, _ in sandbox.ARCHITECTURES.values() if a != audit)
    assert judged(code, foreign, 0) == sandbox.KILL_PROCESS
    if machine == "x86_64":
        assert judged(code, audit, sandbox.X32 + 1) == sandbox.KILL_PROCESS


@pytest.mark.parametrize("machine", sorted(sandbox.ARCHITECTURES))
@pytest.mark.parametrize(
    ("name", "given", "allowed"),
    [
        ("openat", (0, 1, 0), True),
        ("openat", (0, 1, 0o2000000), True),
        ("openat", (0, 1, 0o1), False),
        ("openat", (0, 1, 0o2), False),
        ("openat", (0, 1, 0o101), False),
        ("openat", (0, 1, 0o100), False),
        ("openat", (0, 1, 0o1000), False),
        ("openat", (0, 1, 0o20000000), False),
        ("fcntl", (0, 1), True),
        ("fcntl", (0, 3), True),
        ("fcntl", (0, 8), False),
        ("fcntl", (0, 10), False),
        ("fcntl", (0, 15), False),
        ("prlimit64", (0, 7, 0, 1), True),
        ("prlimit64", (0, 7, 1, 0), False),
        ("prlimit64", (0, 7, 2**32, 0), False),
        ("prlimit64", (0, 0, 1, 0), True),
        ("prlimit64", (1, 0, 1, 0), False),
        ("prlimit64", (1, 7, 0, 1), False),
    ],
)
def test_some_calls_depend_on_what_they_are_given(machine, name, given, allowed) -> None:
    code = sandbox.program(machine)
    audit = sandbox.ARCHITECTURES[machine][1]
    expected = sandbox.ALLOW if allowed else sandbox.REFUSE
    assert judged(code, audit, calls(machine)[name], *given) == expected


HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}


@pytest.mark.parametrize("machine", sorted(HEADERS))
def test_numbers_are_those_of_the_kernels_headers(machine) -> None:
    if not HEADERS[machine].exists():
        pytest.skip("the kernel's headers are not installed")
    lines = re.findall(
        r"^#define __NR(?:3264)?_(\w+)\s+(\d+)$", HEADERS[machine].read_text(), re.MULTILINE
    )
    known = {name: int(number) for name, number in lines}
    compared = {name: number for name, number in calls(machine).items() if name in known}
    assert len(compared) > 100
    assert compared == {name: known[name] for name in compared}
