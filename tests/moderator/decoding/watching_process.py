"""A decode process that ends where an image makes Python import, open or start anything.

Everything else is the real one. Not a test itself.
"""

import os
import sys

from moderator.decoding import decode_process, sandbox

HARMLESS = (
    "object.__",
    "sys._getframe",
    "code.__new__",
    "array.__new__",
    "cpython.run_",
    "marshal",
)
"""Beginnings of events of Python itself that take nothing from outside."""

SOCKET = 3
"""The first descriptor that is free when a process gets its socket."""

confine = sandbox.confine


def watch(event: str, given: tuple[object, ...]) -> None:
    """End the process at an event, and have the worker log it as an answer that is none."""
    if not event.startswith(HARMLESS):
        os.write(SOCKET, f"{event} {given!r:.60}\n".encode())
        os._exit(7)


def confine_and_watch() -> None:
    """Confine as ever, and watch from then on."""
    confine()
    sys.addaudithook(watch)


if __name__ == "__main__":
    sandbox.confine = confine_and_watch
    sys.argv[0] = "moderator.decoding.decode_process"
    decode_process.main()
