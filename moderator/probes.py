"""Serve /metrics, /livez, /readyz and reports over HTTP, on one thread.

One thread serves all connections (asyncio), so that connections that say nothing cost no thread
and cannot keep a probe from its answer. A request that does not arrive in time, or an answer that
is not taken in time, ends its connection; of too many connections the oldest goes first.
"""

import asyncio
import errno
import json
import logging
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from moderator.errors import BadSettings
from moderator.watchdog import Watchdog

logger = logging.getLogger(__name__)

PLAIN = "text/plain; charset=utf-8"

REQUEST_SECONDS = 5.0
"""Seconds in which a request's head must have arrived, and again its answer be taken."""

REQUEST_BYTES = 16 * 1024
"""Bytes of a request's head at most."""

MOST_CONNECTIONS = 128
"""Connections at once; a further one ends the oldest."""

PHRASES = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed"}

Report = Callable[[], Mapping[str, Any]]
"""Returns the data of a path as plain values; called on the server's thread."""

Answer = tuple[int, str, bytes]
"""Status, content type and body."""


class Probes:
    """An HTTP server on a thread of its own, serving from construction until it is closed.

    Args:
        host: Address or name to listen on, IPv4 or IPv6; empty: all addresses.
        port: Port; 0 for any free one.
        watchdog: Says whether this process lives and is ready.

    Raises:
        BadSettings: The address cannot be listened on.
    """

    def __init__(self, host: str, port: int, watchdog: Watchdog) -> None:
        self._watchdog = watchdog
        self._reports: dict[str, Report] = {}
        self._open: dict[asyncio.StreamWriter, None] = {}
        listening = _listening(host, port)
        self.port = int(listening.getsockname()[1])
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._thread = threading.Thread(
            target=self._run, args=(listening,), name="probes", daemon=True
        )
        self._thread.start()

    def report(self, path: str, report: Report) -> None:
        """Serve a report as JSON under a path, from now on."""
        self._reports[path] = report

    def close(self) -> None:
        """Stop serving."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._ended.set)
            self._thread.join(5)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self, listening: socket.socket) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve(listening))

    async def _serve(self, listening: socket.socket) -> None:
        server = await asyncio.start_server(self._connected, sock=listening, limit=REQUEST_BYTES)
        await self._ended.wait()
        server.close()
        for writer in tuple(self._open):
            writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._open) >= MOST_CONNECTIONS:
            next(iter(self._open)).transport.abort()
        self._open[writer] = None
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            writer.write(self._answered(head))
            async with asyncio.timeout(REQUEST_SECONDS):
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            # The other end is slow, gone or no client of HTTP.
            writer.transport.abort()
        except Exception:
            # A report of ours that fails must not leave its client waiting.
            logger.exception("a request was not answered")
            writer.transport.abort()
        finally:
            self._open.pop(writer, None)

    def _answered(self, head: bytes) -> bytes:
        """Return the whole response to a request."""
        method, path = _request(head)
        if method not in ("GET", "HEAD"):
            status, kind, body = 405, PLAIN, b"only GET and HEAD are served\n"
        else:
            status, kind, body = self._answer(path)
        phrase = PHRASES.get(status, "Service Unavailable")
        lines = (
            f"HTTP/1.1 {status} {phrase}",
            f"Content-Type: {kind}",
            f"Content-Length: {len(body)}",
            "Connection: close",
        )
        top = "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"
        return top if method == "HEAD" else top + body

    def _answer(self, path: str) -> Answer:
        if path == "/metrics":
            return 200, CONTENT_TYPE_LATEST, generate_latest()
        if path == "/livez":
            return _said(self._watchdog.stalled())
        if path == "/readyz":
            faults = [f"not yet: {name}" for name in self._watchdog.missing()]
            return _said(faults, self._watchdog.remarks())
        if path in self._reports:
            body = json.dumps(self._reports[path](), indent=2)
            return 200, "application/json", f"{body}\n".encode()
        return 404, PLAIN, b"there are /metrics, /livez and /readyz\n"


def _request(head: bytes) -> tuple[str, str]:
    """Return method and path of a request's head; empty where it is none."""
    line = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    return (line[0], line[1].partition("?")[0]) if len(line) == 3 else ("", "")


def _said(faults: list[str], remarks: Sequence[str] = ()) -> Answer:
    text = "\n".join([*(faults or ["ok"]), *remarks])
    return 503 if faults else 200, PLAIN, f"{text}\n".encode()


def _listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens on a host's first address.

    Raises:
        BadSettings: It cannot.
    """
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, _, _, _, address = found[0]
        every = address[0] == "::" and socket.has_dualstack_ipv6()
        return socket.create_server(
            address[:2], family=family, backlog=MOST_CONNECTIONS, dualstack_ipv6=every
        )
    except (OSError, UnicodeError) as error:
        raise BadSettings(_refusal(host, port, error)) from None


def _refusal(host: str, port: int, error: OSError | UnicodeError) -> str:
    """Say why an address cannot be listened on, and which setting mends it."""
    where = f"listening on {f'[{host}]' if ':' in host else host}:{port}"
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return f"{where} is in use; choose another http_port (0: any free one)"
    if number == errno.EACCES:
        return f"{where} is not permitted; choose an http_port above 1023 (0: any free one)"
    reason = getattr(error, "strerror", None) or "not a host's name"
    return f"{where} fails: {reason}; http_host must be an address of this machine or its name"
