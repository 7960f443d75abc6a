"""Leave a process only what decoding takes: no network, no files to write, no other processes.

Installs a seccomp filter that refuses system calls with EPERM. It cannot be taken off again, and
children would have it too. Knows nothing of images, sockets or settings.

Source: seccomp(2), prctl(2), and ``linux/filter.h``, ``linux/seccomp.h``, ``linux/audit.h``.
"""

import ctypes
import errno
import os
import platform
import resource
import struct
import sys

from moderator.decoding.syscalls import CONDITIONAL, DENIED

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

NUMBER, ARCHITECTURE = 0, 4
"""Where the number of a call and its architecture stand in what a filter sees."""

X32 = 0x40000000
"""Numbers from here on are those of x32, by which every call could be made once more."""

O_TMPFILE = 0o20000000
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | O_TMPFILE
"""Flags of which none may be set where a file is opened."""

OWNERSHIP = (8, 10, 15)
"""``F_SETOWN``, ``F_SETSIG`` and ``F_SETOWN_EX`` of fcntl: by them another process is signalled."""

Instruction = tuple[int, int, int, int]
"""Code, places to jump if true and if not, and the operand."""


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
    place, audit, _ = ARCHITECTURES[machine]
    code = [
        (LOAD, 0, 0, ARCHITECTURE),
        (JUMP_IF_EQUAL, 1, 0, audit),
        (RETURN, 0, 0, KILL_PROCESS),
        (LOAD, 0, 0, NUMBER),
    ]
    if machine == "x86_64":
        code += [(JUMP_IF_AT_LEAST, 0, 1, X32), (RETURN, 0, 0, KILL_PROCESS)]
    for numbers in DENIED.values():
        code += _only(numbers[place], [(RETURN, 0, 0, REFUSE)])
    for name, numbers in CONDITIONAL.items():
        code += _only(numbers[place], _conditions(name))
    return [*code, (RETURN, 0, 0, ALLOW)]


def _only(number: int | None, then: list[Instruction]) -> list[Instruction]:
    """Return instructions that apply to one call and return; those of no call are none."""
    return [] if number is None else [(JUMP_IF_EQUAL, 0, len(then), number), *then]


def _conditions(name: str) -> list[Instruction]:
    refuse, allow = (RETURN, 0, 0, REFUSE), (RETURN, 0, 0, ALLOW)
    if name in ("open", "openat"):
        flags = _argument(1 if name == "open" else 2)
        return [flags, (JUMP_IF_ANY_BIT, 0, 1, WRITING), refuse, allow]
    if name == "fcntl":
        owner, signal, owner_too = OWNERSHIP
        return [
            _argument(1),
            (JUMP_IF_EQUAL, 2, 0, owner),
            (JUMP_IF_EQUAL, 1, 0, signal),
            (JUMP_IF_EQUAL, 0, 1, owner_too),
            refuse,
            allow,
        ]
    # Limits may be asked for, and the one on CPU time is set anew for every image: only one's own.
    return [
        _argument(0),
        (JUMP_IF_EQUAL, 0, 6, 0),
        _argument(1),
        (JUMP_IF_EQUAL, 5, 0, resource.RLIMIT_CPU),
        _argument(2),
        (JUMP_IF_EQUAL, 0, 2, 0),
        _argument(2, high=True),
        (JUMP_IF_EQUAL, 1, 0, 0),
        refuse,
        allow,
    ]


def _argument(index: int, *, high: bool = False) -> Instruction:
    """Load the lower half of an argument, or the upper one; both machines store it first."""
    return (LOAD, 0, 0, 16 + 8 * index + (4 if high else 0))


def _seccomp(operation: int, given: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    number = ARCHITECTURES[platform.machine()][2]
    if libc.syscall(number, operation, 0, given):
        code = ctypes.get_errno()
        raise SandboxRefused(code, os.strerror(code))
