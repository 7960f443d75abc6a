"""Call what has no time limit of its own (names, files, object stores), and wait only so long."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TypeVar

from moderator.fetching.unreachable import Unreachable

T = TypeVar("T")


def within(timeout: float, turns: threading.BoundedSemaphore, call: Callable[[], T]) -> T:
    """Return what a call gives, if it does so in time.

    A call that hangs keeps its thread and one of the turns until it ends; what it gives then is
    dropped.

    Args:
        timeout: Seconds, those of waiting for a turn included.
        turns: How many calls may be under way.
        call: What to do, on a thread of its own.

    Raises:
        Unreachable: No turn came free in time, which is not the fault of what is called; or it
            took too long. Else whatever the call raises.
    """
    deadline = time.monotonic() + timeout
    return awaited(begun(timeout, turns, call), deadline)


def begun(timeout: float, turns: threading.BoundedSemaphore, call: Callable[[], T]) -> "Future[T]":
    """Begin a call on a thread of its own.

    Raises:
        Unreachable: No turn came free in ``timeout`` seconds.
    """
    if not turns.acquire(timeout=max(0.0, timeout)):
        raise Unreachable("busy")
    result: Future[T] = Future()

    def run() -> None:
        try:
            result.set_result(call())
        except BaseException as error:
            result.set_exception(error)
        finally:
            turns.release()

    # A daemon: a call that hangs must not hold up the end of the process.
    threading.Thread(target=run, name="fetch-call", daemon=True).start()
    return result


def awaited(running: "Future[T]", deadline: float) -> T:
    """Return what a call gives by a point in time, of ``time.monotonic``.

    Raises:
        Unreachable: It has not ended by then; or whatever the call raises.
    """
    try:
        return running.result(max(0.0, deadline - time.monotonic()))
    except FutureTimeoutError as error:
        if not running.done():
            raise Unreachable("timeout") from error
        return running.result()
