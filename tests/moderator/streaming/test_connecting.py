"""How the client connects, where an address accepts connections and ends them at once."""

import gc
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka.errors import KafkaError, NodeNotReadyError
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector

from moderator.errors import Unavailable
from moderator.settings import load_settings
from moderator.streaming import clients
from moderator.streaming.connecting import _Manager

SECONDS = 1.5


class Closing:
    """A server that accepts connections and ends them, as a load balancer without a target."""

    def __init__(self) -> None:
        self.accepted = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            connection.close()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)


@pytest.fixture
def closing() -> Iterator[Closing]:
    server = Closing()
    yield server
    server.close()


def tried(server: Closing, make: Callable[..., KafkaConnectionManager]) -> int:
    """Return how often a manager connects while somebody wants a connection all the time."""
    net = NetworkSelector()
    manager = make(net, bootstrap_servers=[server.address], reconnect_backoff_max_ms=2000)
    [broker] = manager.cluster.bootstrap_brokers()

    async def connect() -> None:
        await manager.get_connection(broker.node_id, refresh_metadata_on_err=False)

    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        try:
            net.run(connect)
        except NodeNotReadyError:
            time.sleep(0.001)
        except KafkaError:
            continue
    manager.close()
    return server.accepted


def test_an_address_that_accepts_and_ends_connections_is_left_alone_for_longer_and_longer(
    closing: Closing,
) -> None:
    kafka = load_settings({"bootstrap_servers": closing.address}, environ={}).kafka

    def make(net: Any, **given: Any) -> KafkaConnectionManager:
        return _Manager(net, kafka, **given)

    # At once, then after 0.05, 0.1, 0.2, 0.4 and 0.8 s, each a fifth less or more.
    assert 3 <= tried(closing, make) <= 8


def test_the_client_alone_tries_without_a_pause(closing: Closing) -> None:
    # Else it needs no mending any more.
    assert tried(closing, KafkaConnectionManager) > 50


def test_sockets_whose_connection_failed_are_closed_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
    kafka = load_settings({"bootstrap_servers": address}, environ={}).kafka
    gc.collect()
    gc.disable()
    try:
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(3):
            with pytest.raises(Unavailable):
                clients.admin(kafka, attempt=0.3)
        after = len(list(Path("/proc/self/fd").iterdir()))
    finally:
        gc.enable()
    assert after == before
