"""Mend how the Kafka client uses sockets. Knows nothing of what comes.

Of kafka-python 3.0.12, which reads 4 KiB at a time and throws away what it has read when the
connection ends right behind it: there goes a broker's answer that the password is wrong. And it
leaves sockets whose connection failed to the garbage collector, so that a member holds more and
more open files for as long as a broker is away.
"""

import logging
import socket
import ssl
from typing import Any

from kafka.errors import KafkaConnectionError
from kafka.net.inet import KafkaNetSocket
from kafka.net.transport import KafkaSSLTransport, KafkaTCPTransport

logger = logging.getLogger(__name__)

PIECE = 256 * 1024
"""Bytes asked of the socket at a time; posts are images, and a call for each 4 KiB is dear."""

NOT_YET = (
    BlockingIOError,
    InterruptedError,
    ssl.SSLWantReadError,
    ssl.SSLWantWriteError,
)


_connect = KafkaNetSocket.sock_connect


def mend() -> None:
    """Replace the connecting and the receiving of all clients made from now on."""
    KafkaNetSocket.sock_connect = _connected
    KafkaTCPTransport._sock_recv = _received
    KafkaSSLTransport._sock_recv = _received


async def _connected(
    factory: Any, net: Any, sock: socket.socket, address: Any, timeout_at: float | None = None
) -> socket.socket:
    """Return a socket once it is connected; one that cannot be is closed."""
    try:
        await _connect(factory, net, sock, address, timeout_at=timeout_at)
    except BaseException:
        sock.close()
        raise
    return sock


def _received(transport: Any) -> tuple[bytes, Exception | None]:
    """Return what there is to read; the connection's end only once all before it was returned."""
    pieces: list[bytes] = []
    end: Exception | None = None
    while end is None:
        try:
            piece = transport._sock.recv(PIECE)
        except NOT_YET:
            break
        except OSError as error:
            end = KafkaConnectionError(error)
        else:
            pieces.append(piece)
            end = None if piece else KafkaConnectionError("socket disconnected")
    received = b"".join(pieces)
    if received and end is not None:
        # The socket says the same again when it is next read.
        return received, None
    return received, end
