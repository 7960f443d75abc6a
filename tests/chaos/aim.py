"""Catch a member in the middle of a transaction. Kills nobody."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import TransactionState
from kafka.errors import KafkaError

from tests.chaos.crew import Life
from tests.chaos.proxy import Proxy

STRETCH = 0.03
"""Seconds by which requests of members are held back while one of them is aimed at."""

HELD = 0.1
"""Seconds that a member is held still before the second look: by then the broker has all that the
member had sent, so that a transaction that is still open stays open."""


class Aim:
    """Looks at members' transactions through the broker.

    Args:
        connect: Makes a client.
        proxy: Between members and broker.
        group: Part of the transactional ids.
        patience: Seconds to wait for a transaction.
    """

    def __init__(
        self,
        connect: Callable[[], KafkaAdminClient],
        proxy: Proxy,
        group: str,
        patience: float = 10.0,
    ) -> None:
        self._connect = connect
        self._proxy = proxy
        self._group = group
        self._patience = patience
        self._client: KafkaAdminClient | None = None

    def producer(self, life: Life) -> int | None:
        """Return the producer id of a member, None where it has none or the broker is away."""
        found = self._described(life)
        return None if found is None else found.producer_id

    def hold(self, life: Life) -> bool:
        """Hold a member still (SIGSTOP) with its transaction open.

        Returns:
            Whether one was open, and is; else, after a while in vain, the member runs on.
        """
        deadline = time.monotonic() + self._patience
        pid = life.member.process.pid
        self._proxy.delay(out=STRETCH)
        try:
            while time.monotonic() < deadline and life.member.process.poll() is None:
                if not self._open(life):
                    time.sleep(0.005)
                    continue
                os.kill(pid, signal.SIGSTOP)
                time.sleep(HELD)
                if self._open(life):
                    return True
                os.kill(pid, signal.SIGCONT)
        finally:
            self._proxy.delay()
        return False

    def close(self) -> None:
        """Let the client go."""
        client, self._client = self._client, None
        if client is not None:
            with suppress(KafkaError, OSError):
                client.close()

    def _open(self, life: Life) -> bool:
        found = self._described(life)
        return found is not None and found.state == TransactionState.ONGOING

    def _described(self, life: Life) -> Any:
        name = f"{self._group}-{life.name}-0"
        try:
            if self._client is None:
                self._client = self._connect()
            return self._client.describe_transactions([name])[name]
        except (KafkaError, OSError):
            self.close()
            return None
