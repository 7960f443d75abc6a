"""Which hosts have stopped to answer in time, so that nobody waits for them. Fetches nothing.

A circuit breaker for each host: after some attempts in a row that ran out of time it is down, and
is then asked in the background alone, now and again, until it answers.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import Gauge

DOWN = Gauge("moderator_fetch_hosts_down", "Hosts that do not answer in time and are not awaited.")

MOST = 4096
"""Hosts remembered; beyond it those that were longest silent are forgotten, and tried again."""


@dataclass(slots=True)
class _Silence:
    """Attempts at a host in a row that ran out of time; ``ask_at`` is a monotonic time."""

    timeouts: int = 0
    down: bool = False
    ask_at: float = 0.0


class Hosts:
    """Knows which hosts are down; not safe to use from several threads without a lock.

    Args:
        timeouts: Attempts in a row that ran out of time after which a host is down; 0: never.
        pause: Seconds between two attempts at a host that is down.
        clock: Monotonic, in seconds.
    """

    def __init__(
        self, timeouts: int, pause: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._timeouts = timeouts
        self._pause = pause
        self._clock = clock
        self._silent: OrderedDict[str, _Silence] = OrderedDict()
        self._down = 0

    def down(self, host: str) -> bool:
        """Whether nobody should wait for a host."""
        silence = self._silent.get(host)
        return silence is not None and silence.down

    def to_ask(self, host: str) -> bool:
        """Whether a host that is down is to be asked now; true once in a while."""
        silence, now = self._silent.get(host), self._clock()
        if silence is None or not silence.down or now < silence.ask_at:
            return False
        silence.ask_at = now + self._pause
        return True

    def timed_out(self, host: str) -> bool:
        """Note that an attempt ran out of time; return whether the host is down."""
        if not self._timeouts:
            return False
        silence = self._silent.setdefault(host, _Silence())
        silence.timeouts += 1
        if not silence.down and silence.timeouts >= self._timeouts:
            silence.down = True
            silence.ask_at = self._clock() + self._pause
            self._count(1)
        if len(self._silent) > MOST:
            _, forgotten = self._silent.popitem(last=False)
            self._count(-forgotten.down)
        return silence.down

    def answered(self, host: str) -> None:
        """Note that a host said something in time, whatever it was."""
        silence = self._silent.pop(host, None)
        if silence is not None and silence.down:
            self._count(-1)

    def _count(self, change: int) -> None:
        self._down += change
        DOWN.set(self._down)
