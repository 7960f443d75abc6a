"""The proxy passes bytes on whole and in order, and is slow, silent or broken when told to be."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.chaos.proxy import Proxy
from tests.services.process import free_port, wait_until


class Echo:
    """Sends back what it gets, on a port of its own."""

    def __init__(self, port: int) -> None:
        self._listening = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._run, daemon=True).start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._echo, args=(connection,), daemon=True).start()

    @staticmethod
    def _echo(connection: socket.socket) -> None:
        with connection:
            while data := connection.recv(4096):
                connection.sendall(data)


@pytest.fixture
def echo_port() -> int:
    return free_port()


@pytest.fixture
def proxy(echo_port) -> Iterator[Proxy]:
    echo = Echo(echo_port)
    proxy = Proxy(free_port(), echo_port)
    proxy.start()
    yield proxy
    proxy.close()
    echo.close()


def connected(proxy: Proxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=10)


def answered(connection: socket.socket, data: bytes) -> bytes:
    connection.sendall(data)
    got = b""
    while len(got) < len(data):
        piece = connection.recv(4096)
        if not piece:
            raise ConnectionError("ended")
        got += piece
    return got


def test_bytes_pass_whole_and_in_order(proxy) -> None:
    data = bytes(range(256)) * 2000
    with connected(proxy) as one, connected(proxy) as other:
        sending = threading.Thread(target=one.sendall, args=(data,))
        sending.start()
        assert answered(other, b"meanwhile") == b"meanwhile"
        got = b""
        while len(got) < len(data):
            got += one.recv(65536)
        sending.join()
    assert got == data


def test_a_slow_network_takes_its_time_each_way(proxy) -> None:
    with connected(proxy) as connection:
        answered(connection, b"before")
        proxy.delay(out=0.2, back=0.1)
        begin = time.monotonic()
        assert answered(connection, b"slowly") == b"slowly"
        assert time.monotonic() - begin >= 0.3
        proxy.delay()
        assert answered(connection, b"after") == b"after"


def test_a_stalled_network_loses_nothing(proxy) -> None:
    with connected(proxy) as connection:
        answered(connection, b"before")
        proxy.stall()
        connection.sendall(b"later")
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(100)
        connection.settimeout(10)
        proxy.flow()
        assert connection.recv(100) == b"later"


def test_a_cut_ends_connections_and_lets_none_in_until_it_is_mended(proxy) -> None:
    with connected(proxy) as connection:
        answered(connection, b"before")
        proxy.cut()
        with pytest.raises(ConnectionError):
            answered(connection, b"after")
        with pytest.raises(ConnectionRefusedError):
            connected(proxy)
    proxy.flow()
    with connected(proxy) as connection:
        assert answered(connection, b"after") == b"after"


def test_connections_are_refused_while_the_target_is_away(echo_port) -> None:
    proxy = Proxy(free_port(), echo_port)
    proxy.start()

    def refused() -> bool:
        try:
            connected(proxy).close()
        except ConnectionRefusedError:
            return True
        return False

    wait_until(refused, 10, "a refusal")
    echo = Echo(echo_port)
    wait_until(lambda: not refused(), 10, "being let in")
    with connected(proxy) as connection:
        assert answered(connection, b"after") == b"after"
    proxy.close()
    echo.close()
