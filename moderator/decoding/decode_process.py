"""What runs apart from the worker to decode images: a nursery, and the processes it forks.

The nursery imports everything once and never touches an image; it forks a decode process within
milliseconds, so that one that dies is cheaply replaced. Imports neither torch nor anything of
Kafka. What goes over the sockets is plain bytes and JSON: a process that a hostile image took over
must not be able to make the worker unpickle anything.
"""

import codecs
import contextlib
import ctypes
import gc
import importlib
import json
import os
import resource
import signal
import socket
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.spec import InputSpec
from moderator.decoding import heif, landlock, sandbox
from moderator.decoding.decode import Undecodable, decode
from moderator.decoding.safe_copy import safe_copy
from moderator.decoding.view import BACKGROUNDS, Layout, View
from moderator.private import keep_private
from moderator.slots import ArenaHandle, SlotArena

REQUEST = struct.Struct("<QIIQIBQ")
"""Before an image's bytes: its number, which nobody can guess, the slot to decode into, most
frames, the seed that chooses them; of the view that a copy is to show, the frame and the code of
its background; how many bytes follow."""

FORK = struct.Struct("<q")
"""Asked of the nursery, with a socket and the new process's slots: the dead process to reap, or 0.
Answered: the new one's id."""

READY = b'"ready"\n'
"""The first line of a decode process; later ones answer its images one by one, in order."""

UNCONFINED = b'"ready, unconfined"\n'
"""The first line instead, of one that could do more than decode."""

LIFETIME = 200
"""Images after which a fresh process takes the place of one: what took it over goes with it. To
start one costs some 10 ms, and so 0.05 ms an image."""

MAX_FILES = 16
"""Files that a decode process may have open: its sockets, the slots, and little else."""

CPU_GRACE = 2
"""Whole seconds of CPU time on top of its images' time: its parent, who says why, comes first."""

LAZY = (
    "PIL.ImageCms", "PIL.ImageColor", "PIL.ImageFilter", "PIL.ImagePalette", "PIL.TiffTags",
    "numpy.ma", "numpy.random",
)  # fmt: skip
"""Modules that Pillow and numpy import only when an image needs them."""

CODECS = ("ascii", "latin-1", "utf-8", "utf-16", "utf-32")
"""What texts in images may be in."""

WALK_SHARE = 0.5
"""Of an image's time, after which no further frame of an animation is looked at: those seen by then
are judged, where a time-out would leave none."""

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Fork a decode process at every request, until the parent is gone."""
    given = json.loads(sys.argv[1])
    _offer_to_die()
    # The member drains on these; until then it needs images decoded.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _die_with_parent()
    keep_private()
    _import_the_rest()
    spec = InputSpec.from_json(given["input"])
    control = socket.socket(fileno=given["control"])
    # Decode processes can load nothing any more.
    heif.decoder()
    gc.freeze()
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, FORK.size, 2)
        if not message:
            return
        _reap(*FORK.unpack(message))
        theirs, room = descriptors
        pid = os.fork()
        if pid == 0:
            control.close()
            _decode_process(theirs, room, spec, given)
        os.close(theirs)
        os.close(room)
        control.sendall(FORK.pack(pid))


def _import_the_rest() -> None:
    """Import what is otherwise imported by an image that needs it: confined, no file opens."""
    Image.preinit()
    for name in LAZY:
        importlib.import_module(name)
    for name in CODECS:
        codecs.lookup(name)


def _offer_to_die() -> None:
    """Have the kernel end these processes first where memory runs out: they are replaced."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _reap(pid: int) -> None:
    # Until now a zombie held the id, so that the parent could never kill another process by it.
    if pid:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


def _decode_process(theirs: int, room: int, spec: InputSpec, given: Mapping[str, Any]) -> None:
    """Decode until the parent is gone; never returns into the nursery's code."""
    try:
        _die_with_parent()
        _silence()
        slots = SlotArena.attach(ArenaHandle(room, **given["room"]))
        slots.close()
        _restrain(given["memory"], given["timeout"])
        # Files and not a socket, never closed: these take no more than read and write.
        requests = os.fdopen(theirs, "rb", closefd=False)
        answers = os.fdopen(theirs, "wb", closefd=False)
        answers.write(READY if _confine(given["sandbox"]) else UNCONFINED)
        answers.flush()
        serve(requests, answers, slots, spec, given)
    except (ConnectionError, EOFError):
        pass
    except BaseException as error:
        # No answer that is agreed on, so that it is logged and this process replaced.
        with contextlib.suppress(OSError):
            os.write(theirs, json.dumps({type(error).__name__: str(error)}).encode() + b"\n")
        os._exit(1)
    os._exit(0)


def serve(
    requests: BinaryIO,
    answers: BinaryIO,
    room: SlotArena,
    spec: InputSpec,
    given: Mapping[str, Any],
) -> None:
    """Answer every image before the next is begun, so that a death is the first unanswered one's.

    An answer is a line of its number and what came of it. With ``copy_side``, what comes of images
    is safe copies of that longest side.

    Raises:
        ConnectionError, EOFError: The parent is gone.
    """
    limits = {name: given[name] for name in ("max_pixels", "max_frames", "memory")}
    copy_side = given.get("copy_side", 0)
    while header := requests.read(REQUEST.size):
        number, slot, frames, seed, frame, background, length = REQUEST.unpack(header)
        data = requests.read(length)
        if len(data) < length:
            raise EOFError
        if copy_side:
            view = View(frame, BACKGROUNDS[background])
            answer = _copied(data, room.buffer(slot), view, limits["max_pixels"], copy_side)
        else:
            fewer = {**limits, "max_frames": min(frames, limits["max_frames"]), "seed": seed}
            fewer["seconds"] = given["timeout"] * WALK_SHARE
            answer = _answer(data, slot, room, spec, fewer)
        answers.write(json.dumps([number, answer]).encode() + b"\n")
        answers.flush()


def _answer(
    data: bytes, slot: int, room: SlotArena, spec: InputSpec, limits: Mapping[str, Any]
) -> dict[str, Any] | str:
    try:
        image = decode(data, spec, **limits)
    except Undecodable as error:
        return error.cause
    layout = image.layout
    for number, (frame, size) in enumerate(zip(image.frames, layout.sizes, strict=True)):
        room.frame(slot, number, *size)[...] = frame
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


def _restrain(memory: int, timeout: float) -> None:
    """Limit what bad images can take; the time that each takes is the parent's to watch.

    What all together may take ends the process even where the parent does not look.
    """
    most = _address_space() + memory
    limits = {
        resource.RLIMIT_CPU: int(LIFETIME * timeout) + CPU_GRACE,
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
    # Behind the filter, and alone where there is none.
    landlock.forsake()
    try:
        sandbox.confine()
    except sandbox.SandboxRefused:
        if mode == "required":
            raise
        return False
    return True


def _address_space() -> int:
    """Return the bytes of address space in use: libraries and slots, before any image."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return 2**30
    return int(statm.read_text().split()[0]) * resource.getpagesize()


if __name__ == "__main__":
    main()
