"""The client's receiving: nothing that came before the end of a connection is lost."""

import socket
from types import SimpleNamespace

import pytest
from kafka.errors import KafkaConnectionError
from kafka.net.transport import KafkaSSLTransport, KafkaTCPTransport

from moderator.streaming import connecting, transport


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    yield ours, theirs
    ours.close()
    theirs.close()


def test_what_came_before_the_end_is_handed_on_and_then_the_end(pair) -> None:
    ours, theirs = pair
    theirs.sendall(b"the password is wrong")
    theirs.close()
    held = SimpleNamespace(_sock=ours)
    assert transport._received(held) == (b"the password is wrong", None)
    data, end = transport._received(held)
    assert data == b""
    assert isinstance(end, KafkaConnectionError)


def test_what_is_there_is_read_whole_and_nothing_is_waited_for(pair) -> None:
    ours, theirs = pair
    theirs.sendall(bytes(100_000))
    held = SimpleNamespace(_sock=ours)
    assert transport._received(held) == (bytes(100_000), None)
    assert transport._received(held) == (b"", None)


def test_a_broken_connection_is_an_error_of_the_client(pair) -> None:
    ours, _ = pair
    ours.close()
    data, end = transport._received(SimpleNamespace(_sock=ours))
    assert data == b""
    assert isinstance(end, KafkaConnectionError)


def test_all_clients_receive_so() -> None:
    assert connecting.mend is transport.mend
    assert KafkaTCPTransport._sock_recv is transport._received
    assert KafkaSSLTransport._sock_recv is transport._received
