"""What runs apart from the worker to decode images: a nursery, and the processes it forks.

The nursery imports everything once and never touches an image; it forks a decode process within
milliseconds, so that one that dies is cheaply replaced. Imports neither torch nor anything of
Kafka. What goes over the sockets is plain bytes and JSON: a process that a hostile image took over
must not be able to make the worker unpickle anything.
"""

import contextlib
import ctypes
import gc
import json
import os
import resource
import signal
import socket
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.spec import InputSpec
from moderator.decoding import sandbox
from moderator.decoding.decode import Undecodable, decode
from moderator.decoding.safe_copy import safe_copy
from moderator.decoding.view import BACKGROUNDS, Layout, View
from moderator.slots import ArenaHandle, SlotArena

REQUEST = struct.Struct("<IIQIBQ")
"""Before an image's bytes: the slot to decode into, most frames, the seed that chooses them; of the
view that a copy is to show, the frame and the code of its background; how many bytes follow."""

FORK = struct.Struct("<q")
"""Asked of the nursery, with a socket: the dead process to reap, or 0. Answered: the new one's."""

READY = b'"ready"\n'
"""The first line of a decode process; later ones answer its images one by one, in order."""

UNCONFINED = b'"ready, unconfined"\n'
"""The first line instead, of one that could do more than decode."""

MAX_FILES = 16
"""Files that a decode process may have open: its sockets, the slots, and little else."""

CPU_GRACE = 2
"""Whole seconds of CPU time on top of an image's time: its parent, who says why, comes first."""

WALK_SHARE = 0.5
"""Of an image's time, after which no further frame of an animation is looked at: those seen by then
are judged, where a time-out would leave none."""

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Fork a decode process at every request, until the parent is gone."""
    given = json.loads(sys.argv[1])
    # The member drains on these; until then it needs images decoded.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _die_with_parent()
    arena = SlotArena.attach(ArenaHandle(**given["arena"]))
    arena.close()
    spec = InputSpec.from_json(given["input"])
    control = socket.socket(fileno=given["control"])
    gc.freeze()
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, FORK.size, 1)
        if not message:
            return
        _reap(*FORK.unpack(message))
        theirs = socket.socket(fileno=descriptors[0])
        pid = os.fork()
        if pid == 0:
            control.close()
            _decode_process(theirs, arena, spec, given)
        theirs.close()
        control.sendall(FORK.pack(pid))


def _reap(pid: int) -> None:
    # Until now a zombie held the id, so that the parent could never kill another process by it.
    if pid:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


def _decode_process(
    connection: socket.socket, arena: SlotArena, spec: InputSpec, given: Mapping[str, Any]
) -> None:
    """Decode until the parent is gone; never returns into the nursery's code."""
    try:
        _die_with_parent()
        _silence()
        _restrain(given["memory"])
        connection.sendall(READY if _confine(given["sandbox"]) else UNCONFINED)
        limits = {"max_pixels": given["max_pixels"], "max_frames": given["max_frames"]}
        copy_side = given.get("copy_side", 0)
        serve(connection, arena, spec, limits, given["timeout"], copy_side=copy_side)
    except (ConnectionError, EOFError):
        pass
    except BaseException as error:
        # No answer that is agreed on, so that it is logged and this process replaced.
        with contextlib.suppress(OSError):
            connection.sendall(json.dumps({type(error).__name__: str(error)}).encode() + b"\n")
        os._exit(1)
    os._exit(0)


def serve(
    connection: socket.socket,
    arena: SlotArena,
    spec: InputSpec,
    limits: Mapping[str, int],
    timeout: float,
    *,
    copy_side: int = 0,
) -> None:
    """Answer every image before the next is begun, so that a death is the first unanswered one's.

    With ``copy_side``, the answers are safe copies of that longest side.

    Raises:
        ConnectionError, EOFError: The parent is gone.
    """
    stream = connection.makefile("rb")
    while header := stream.read(REQUEST.size):
        slot, frames, seed, frame, background, length = REQUEST.unpack(header)
        data = stream.read(length)
        if len(data) < length:
            raise EOFError
        _allow_cpu(timeout)
        if copy_side:
            view = View(frame, BACKGROUNDS[background])
            answer = _copied(data, arena.buffer(slot), view, limits["max_pixels"], copy_side)
        else:
            fewer = {**limits, "max_frames": min(frames, limits["max_frames"]), "seed": seed}
            answer = _answer(data, slot, arena, spec, {**fewer, "seconds": timeout * WALK_SHARE})
        connection.sendall(json.dumps(answer).encode() + b"\n")


def _answer(
    data: bytes, slot: int, arena: SlotArena, spec: InputSpec, limits: Mapping[str, Any]
) -> dict[str, Any] | str:
    try:
        image = decode(data, spec, **limits)
    except Undecodable as error:
        return error.cause
    layout = image.layout
    for number, (frame, size) in enumerate(zip(image.frames, layout.sizes, strict=True)):
        arena.frame(slot, number, *size)[...] = frame
    return layout.to_json()


def _copied(
    data: bytes, room: NDArray[np.uint8], view: View, max_pixels: int, side: int
) -> dict[str, Any] | str:
    """Answer with the size of a safe copy, and how many of the slot's bytes it has."""
    try:
        copy = safe_copy(data, view, max_side=side, max_pixels=max_pixels)
    except Undecodable as error:
        return error.cause
    if len(copy.data) > len(room):
        return "memory"
    room[: len(copy.data)] = np.frombuffer(copy.data, np.uint8)
    return Layout(copy.width, copy.height, ((1, len(copy.data)),)).to_json()


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _silence() -> None:
    """Keep off the member's output what C libraries, and those who take them over, may say."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _restrain(memory: int) -> None:
    """Limit what a bad image can take; the time it takes is the parent's to watch."""
    most = _address_space() + memory
    limits = {
        resource.RLIMIT_AS: most,
        resource.RLIMIT_CORE: 0,
        # Where the sandbox is missing these two still hold: nothing written, nothing forked.
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_NOFILE: MAX_FILES,
    }
    for limit, value in limits.items():
        resource.setrlimit(limit, (value, value))


def _confine(mode: str) -> bool:
    """Return whether this process can do no more than decode.

    Raises:
        SandboxRefused: It could do more, and the mode is ``required``.
    """
    if mode == "off":
        return False
    try:
        sandbox.confine()
    except sandbox.SandboxRefused:
        if mode == "required":
            raise
        return False
    return True


def _allow_cpu(timeout: float) -> None:
    """End this process if the next image takes more, even where the parent does not look."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    most = int(used.ru_utime + used.ru_stime + timeout) + CPU_GRACE
    resource.setrlimit(resource.RLIMIT_CPU, (most, resource.RLIM_INFINITY))


def _address_space() -> int:
    """Return the bytes of address space in use: libraries and slots, before any image."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return 2**30
    return int(statm.read_text().split()[0]) * resource.getpagesize()


if __name__ == "__main__":
    main()
