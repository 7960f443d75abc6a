"""A circuit breaker: stop asking what fails, and try it again after a growing pause.

Knows nothing of what is asked; the caller reports how it went.
"""

import threading
import time
from collections.abc import Callable

FIRST_PAUSE = 1.0
"""Seconds after a first failure until the next try."""

LONGEST_PAUSE = 30.0
"""Seconds that the pause doubles up to."""


class Breaker:
    """Closed while all is well; opens at a failure and lets one probe through after each pause.

    What fails again within ``LONGEST_PAUSE`` of a probe that succeeded goes on where it was: else
    one that answers probes and nothing more would be asked again and again after a second.

    Safe to use from several threads.

    Args:
        clock: Monotonic time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._pause = 0.0
        self._last_pause = 0.0
        self._closed_at = 0.0
        self._retry_at = 0.0
        self._probing = False

    @property
    def closed(self) -> bool:
        """Whether it may be asked."""
        return self._pause == 0

    def probe_due(self) -> bool:
        """Return True to the one caller who is to try again; it must report how that went."""
        with self._lock:
            if self._pause == 0 or self._probing or self._clock() < self._retry_at:
                return False
            self._probing = True
            return True

    def failed(self) -> bool:
        """Open, and double the pause if this was a probe; return whether it was closed before.

        A failure that was under way when it opened does not lengthen the pause.
        """
        with self._lock:
            was_closed = self._pause == 0
            if was_closed:
                self._pause = self._next_pause()
            elif self._probing:
                self._pause = min(2 * self._pause, LONGEST_PAUSE)
            else:
                return False
            self._probing = False
            self._retry_at = self._clock() + self._pause
            return was_closed

    def succeeded(self) -> bool:
        """Close; return whether it was open before."""
        with self._lock:
            was_open = self._pause > 0
            if was_open:
                self._last_pause, self._closed_at = self._pause, self._clock()
            self._pause, self._probing = 0.0, False
            return was_open

    def _next_pause(self) -> float:
        """Return the pause after a failure of what was well: the first, or twice the last."""
        soon = self._last_pause > 0 and self._clock() - self._closed_at < LONGEST_PAUSE
        return min(2 * self._last_pause, LONGEST_PAUSE) if soon else FIRST_PAUSE
