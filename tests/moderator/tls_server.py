"""A host of images over TLS on this machine, as well or badly behaved as a test wants it."""

import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from moderator.fetching.addresses import Address
from moderator.fetching.unreachable import Unreachable

NAMES = "DNS:images.example,DNS:*.cdn.example"

Behaviour = Callable[[ssl.SSLSocket, "TlsServer"], None]
"""What is done with a connection once the request has been read."""


def answer(body: bytes = b"", *, status: str = "200 OK", length: int | None = -1, **headers: str):
    """Answer with a body; ``length`` is what is claimed, None for nothing, -1 for the truth."""
    claimed = len(body) if length == -1 else length
    lines = [f"HTTP/1.1 {status}", *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items())]
    lines += [] if claimed is None else [f"Content-Length: {claimed}"]

    def behave(connection: ssl.SSLSocket, _: "TlsServer") -> None:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)

    return behave


def redirect(location: str, status: str = "302 Found"):
    return answer(status=status, Location=location)


def certificate(folder: Path) -> tuple[Path, Path]:
    """Return the files of a key and of a certificate, its own authority, for ``NAMES``."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=images.example",
         "-addext", f"subjectAltName={NAMES}"],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return key, cert


class TlsServer:
    """Answers by path as ``paths`` says; ``requests`` are the heads it was sent, as text.

    ``stopped`` is set at the end: behaviours that wait should wait for it.
    """

    def __init__(self, key: Path, cert: Path) -> None:
        self.cert = cert
        self.paths: dict[str, Behaviour] = {}
        self.requests: list[str] = []
        self.stopped = threading.Event()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(cert, key)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def resolve(self, host: str, port: int, timeout: float) -> Sequence[Address]:
        """Lead every name here: the resolver of a test, which is what allows this address."""
        if host.startswith("private."):
            raise Unreachable("address")
        return [("127.0.0.1", self.port)]

    def close(self) -> None:
        self.stopped.set()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        try:
            plain.settimeout(30)
            with self._context.wrap_socket(plain, server_side=True) as connection:
                head = self._head(connection)
                self.requests.append(head)
                path = head.split(" ", 2)[1].split("?")[0]
                self.paths.get(path, answer(status="404 Not Found"))(connection, self)
                connection.settimeout(1)
                connection.unwrap()
        except (OSError, ValueError):
            # One of both hung up, as each does on purpose in much that is tried here.
            plain.close()

    def _head(self, connection: ssl.SSLSocket) -> str:
        head = b""
        while b"\r\n\r\n" not in head:
            received = connection.recv(4096)
            if not received:
                raise ConnectionResetError
            head += received
        return head.decode("latin-1")
