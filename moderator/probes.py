"""Serve /metrics, /livez, /readyz and reports on one port, and take /drain from this machine.

Knows nothing of what is measured, watched, reported or drained.
"""

import errno
import ipaddress
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar, Self

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from moderator.errors import BadSettings
from moderator.watchdog import Watchdog

PLAIN = "text/plain; charset=utf-8"

DRAIN = "/drain"
NAME_HEADER = "X-Moderator-Member"
"""Names the member that is meant to drain; no web page can have a browser send it here."""


@dataclass(frozen=True)
class Draining:
    """How this member is made to drain: the name it must be asked by, and what is called then."""

    name: str
    begin: Callable[[], None]


Report = Callable[[], Mapping[str, Any]]
"""Gives what a path of its own tells, as plain data; called on the server's threads."""


class Probes:
    """An HTTP server on threads of its own, serving from construction until it is closed.

    Args:
        host: Address to listen on.
        port: Port; 0 for any free one.
        watchdog: Says whether this process lives and is ready.
        draining: What a POST of /drain begins; None: there is no such thing.

    Raises:
        BadSettings: The address cannot be listened on.
    """

    def __init__(
        self, host: str, port: int, watchdog: Watchdog, draining: Draining | None = None
    ) -> None:
        self._reports: dict[str, Report] = {}

        class Handler(_Handler):
            watched = watchdog
            reports = self._reports
            drains = draining

        try:
            self._server = ThreadingHTTPServer((host, port), Handler)
        except (OSError, UnicodeError) as error:
            raise BadSettings(_refusal(host, port, error)) from None
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="probes", daemon=True
        )
        self._thread.start()

    def report(self, path: str, report: Report) -> None:
        """Serve a report as JSON under a path, from now on."""
        self._reports[path] = report

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
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


def _refusal(host: str, port: int, error: OSError | UnicodeError) -> str:
    """Say why an address cannot be listened on, and which setting mends it."""
    where = f"listening on {host}:{port}"
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return f"{where} is in use; choose another http_port (0: any free one)"
    if number == errno.EACCES:
        return f"{where} is not permitted; choose an http_port above 1023 (0: any free one)"
    reason = getattr(error, "strerror", None) or "not a host's name"
    return f"{where} fails: {reason}; http_host must be an IPv4 address of this machine or its name"


class _Handler(BaseHTTPRequestHandler):
    watched: ClassVar[Watchdog]
    reports: ClassVar[Mapping[str, Report]]
    drains: ClassVar[Draining | None]
    timeout = 10
    server_version = "moderator"
    sys_version = ""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            self._answer(200, generate_latest(), CONTENT_TYPE_LATEST)
        elif path == "/livez":
            self._report(self.watched.stalled())
        elif path == "/readyz":
            faults = [f"not yet: {name}" for name in self.watched.missing()]
            self._report(faults, self.watched.remarks())
        elif path in self.reports:
            body = json.dumps(self.reports[path](), indent=2)
            self._answer(200, f"{body}\n".encode(), "application/json")
        else:
            self._answer(404, b"there are /metrics, /livez and /readyz\n", PLAIN)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        draining = self.drains
        if draining is None or self.path != DRAIN:
            self._answer(404, b"there is nothing to post to\n", PLAIN)
        elif not self._from_here():
            self._answer(403, b"draining is begun from the member's own machine only\n", PLAIN)
        elif self.headers.get(NAME_HEADER) != draining.name:
            self._answer(409, f"the member here is {draining.name}\n".encode(), PLAIN)
        else:
            draining.begin()
            self._answer(202, b"draining\n", PLAIN)

    def _from_here(self) -> bool:
        """Return whether the other end is on this machine, by its address."""
        other, own = self.client_address[0], self.connection.getsockname()[0]
        return other == own or ipaddress.ip_address(other).is_loopback

    def _report(self, faults: list[str], remarks: Sequence[str] = ()) -> None:
        text = "\n".join([*(faults or ["ok"]), *remarks])
        self._answer(503 if faults else 200, f"{text}\n".encode(), PLAIN)

    def _answer(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base names it
        """Log nothing: probes come every few seconds."""
