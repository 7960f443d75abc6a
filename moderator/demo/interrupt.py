"""Ctrl-C as a wish rather than an exception, while decisions on their way are still wanted."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self


class Interrupt:
    """While entered, the first Ctrl-C sets ``wished``; the second interrupts as ever."""

    def __init__(self) -> None:
        self.wished = False
        self._before: Any = None
        # Only the main thread may set handlers; elsewhere Ctrl-C does not arrive either.
        self._ours = threading.current_thread() is threading.main_thread()

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a handler's
        self.wished = True
        signal.signal(signal.SIGINT, self._before)

    def __enter__(self) -> Self:
        if self._ours:
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._ours:
            signal.signal(signal.SIGINT, self._before)
