"""Leave a process what decoding takes and nothing else: no files, no network, no other processes.

A seccomp filter lets through the few system calls of ``CALLS`` and refuses every other one with
EPERM, those included that kernels do not have yet. It cannot be taken off again.

Source: seccomp(2), prctl(2), ``linux/filter.h``, ``linux/seccomp.h``, ``linux/audit.h``,
``asm/unistd_64.h`` and ``asm-generic/unistd.h``.
"""

import ctypes
import errno
import mmap
import os
import platform
import struct
import sys
from dataclasses import dataclass

ARCHITECTURES = {
    "x86_64": (0, 0xC000003E, 317),
    "aarch64": (1, 0xC00000B7, 277),
}
"""By machine: the place of its numbers, its audit architecture, and the number of ``seccomp``."""

PR_SET_NO_NEW_PRIVS = 38
SECCOMP_SET_MODE_FILTER = 1
SECCOMP_GET_ACTION_AVAIL = 2

ALLOW = 0x7FFF0000
KILL_PROCESS = 0x80000000
REFUSE = 0x00050000 | errno.EPERM

LOAD = 0x20
JUMP_IF_EQUAL = 0x15
JUMP_IF_AT_LEAST = 0x35
JUMP_IF_ANY_BIT = 0x45
RETURN = 0x06

NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16
"""Where the number of a call, its architecture and its arguments stand in what a filter sees."""

X32 = 0x40000000
"""Numbers from here on are those of x32, by which every call could be made once more."""

Instruction = tuple[int, int, int, int]
"""Code, places to jump if true and if not, and the operand."""


@dataclass(frozen=True, slots=True)
class Call:
    """A system call that decoding takes, by its numbers, which never change.

    With ``argument``, the lower half of that argument must have no bit of ``without``, or be one
    of ``values``. The kernel takes no more than the lower half of any of them.
    """

    x86_64: int
    aarch64: int
    argument: int | None = None
    without: int = 0
    values: tuple[int, ...] = ()


# In the order of use: the filter goes through them one by one.
CALLS = {
    # its own socket, by the only descriptor that is left open besides /dev/null
    "read": Call(0, 63),
    "write": Call(1, 64),
    # its own memory, never to be executed
    "mmap": Call(9, 222, argument=2, without=mmap.PROT_EXEC),
    "munmap": Call(11, 215),
    "brk": Call(12, 214),
    "mremap": Call(25, 216),
    "mprotect": Call(10, 226, argument=2, without=mmap.PROT_EXEC),
    # MADV_DONTNEED, MADV_FREE, MADV_HUGEPAGE: what allocators and numpy advise
    "madvise": Call(28, 233, argument=2, values=(4, 8, 14)),
    # FUTEX_WAIT, FUTEX_WAKE and their bitset forms, private to the process: locks of one thread
    "futex": Call(202, 98, argument=1, values=(128, 129, 137, 138, 393)),
    # The clocks that belong to no other process; without a vDSO they take a call.
    "clock_gettime": Call(228, 113, argument=0, values=tuple(range(8))),
    "getrandom": Call(318, 278),
    "sched_yield": Call(24, 124),
    # the end
    "rt_sigreturn": Call(15, 139),
    "exit_group": Call(231, 94),
    "exit": Call(60, 93),
}
"""All that a decode process does once everything is imported: no file is opened any more."""


class SandboxRefused(OSError):
    """The kernel, or what stands between it and us, does not take the filter."""


def refusal() -> str | None:
    """Return why this system cannot confine a process, in a few words; None where it can."""
    machine = platform.machine()
    if sys.platform != "linux" or machine not in ARCHITECTURES or struct.calcsize("P") != 8:
        return f"there is no filter for {sys.platform} on {machine}"
    wanted = ctypes.c_uint32(REFUSE & ~0xFFFF)
    try:
        _seccomp(SECCOMP_GET_ACTION_AVAIL, ctypes.byref(wanted))
    except SandboxRefused as error:
        return f"the kernel refuses seccomp filters ({error.strerror})"
    return None


def confine() -> None:
    """Refuse this process, from now on, all that decoding does not take.

    Only the calling thread is confined: there must be no other.

    Raises:
        SandboxRefused: It cannot be done here; nothing has changed.
    """
    reason = refusal()
    if reason is not None:
        raise SandboxRefused(errno.ENOSYS, reason)
    code = b"".join(struct.pack("=HBBI", *each) for each in program(platform.machine()))
    # A sock_fprog: the count of instructions, and after a gap where they are.
    instructions = ctypes.create_string_buffer(code, len(code))
    told = struct.pack("@HP", len(code) // 8, ctypes.addressof(instructions))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise SandboxRefused(ctypes.get_errno(), "prctl refuses PR_SET_NO_NEW_PRIVS")
    _seccomp(SECCOMP_SET_MODE_FILTER, ctypes.create_string_buffer(told, len(told)))


def program(machine: str) -> list[Instruction]:
    """Return the filter for a machine, one of ``ARCHITECTURES``."""
    audit = ARCHITECTURES[machine][1]
    code = [
        (LOAD, 0, 0, ARCHITECTURE),
        (JUMP_IF_EQUAL, 1, 0, audit),
        (RETURN, 0, 0, KILL_PROCESS),
        (LOAD, 0, 0, NUMBER),
    ]
    if machine == "x86_64":
        code += [(JUMP_IF_AT_LEAST, 0, 1, X32), (RETURN, 0, 0, KILL_PROCESS)]
    for call in CALLS.values():
        then = _judgement(call)
        number = call.x86_64 if machine == "x86_64" else call.aarch64
        code += [(JUMP_IF_EQUAL, 0, len(then), number), *then]
    return [*code, (RETURN, 0, 0, REFUSE)]


def _judgement(call: Call) -> list[Instruction]:
    """Return the instructions that apply to a call of a known number; they always return."""
    refuse, allow = (RETURN, 0, 0, REFUSE), (RETURN, 0, 0, ALLOW)
    if call.argument is None:
        return [allow]
    # Both machines store the lower half first.
    load = (LOAD, 0, 0, ARGUMENTS + 8 * call.argument)
    if call.without:
        return [load, (JUMP_IF_ANY_BIT, 0, 1, call.without), refuse, allow]
    left = len(call.values)
    equal = [(JUMP_IF_EQUAL, left - at, 0, value) for at, value in enumerate(call.values)]
    return [load, *equal, refuse, allow]


def _seccomp(operation: int, given: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    number = ARCHITECTURES[platform.machine()][2]
    if libc.syscall(number, operation, 0, given):
        code = ctypes.get_errno()
        raise SandboxRefused(code, os.strerror(code))
