"""Serve /metrics, /livez, /readyz and reports on one port. Knows nothing of what they tell."""

import errno
import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar, Self

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from moderator.errors import BadSettings
from moderator.watchdog import Watchdog

PLAIN = "text/plain; charset=utf-8"


Report = Callable[[], Mapping[str, Any]]
"""Gives what a path of its own tells, as plain data; called on the server's threads."""


class Probes:
    """An HTTP server on threads of its own, serving from construction until it is closed.

    Args:
        host: Address to listen on.
        port: Port; 0 for any free one.
        watchdog: Says whether this process lives and is ready.

    Raises:
        BadSettings: The address cannot be listened on.
    """

    def __init__(self, host: str, port: int, watchdog: Watchdog) -> None:
        self._reports: dict[str, Report] = {}

        class Handler(_Handler):
            watched = watchdog
            reports = self._reports

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
            self._report([f"not yet: {name}" for name in self.watched.missing()])
        elif path in self.reports:
            body = json.dumps(self.reports[path](), indent=2)
            self._answer(200, f"{body}\n".encode(), "application/json")
        else:
            self._answer(404, b"there are /metrics, /livez and /readyz\n", PLAIN)

    def do_HEAD(self) -> None:
        self.do_GET()

    def _report(self, faults: list[str]) -> None:
        text = "\n".join(faults or ["ok"])
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
