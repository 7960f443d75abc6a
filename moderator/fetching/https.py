"""One image over https, from a host that is allowed, at an address that was checked.

Knows nothing of threads or settings. Does by hand what HTTP libraries do by themselves, since each
of those comforts (redirects, decompression, reuse of names) is a way around a check.
"""

import http.client
import io
import re
import socket
import ssl
import time
from collections.abc import Collection
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from moderator.errors import BadSettings
from moderator.fetching.addresses import Address, Resolver
from moderator.fetching.unreachable import Unreachable

if TYPE_CHECKING:
    from typing_extensions import Buffer

PORT = 443
"""The only port: others lead to what is not meant for the world."""

MAX_REDIRECTS = 3

CHUNK = 2**16
"""Bytes read at once."""

NAME = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
"""A host's name in small letters; whatever else could stand in a URL is resolved nowhere."""

MAX_NAME = 253

REDIRECTS = (301, 302, 303, 307, 308)
HEADERS = {
    "Accept": "image/*",
    "Accept-Encoding": "identity",
    "Connection": "close",
    "User-Agent": "moderator",
}


class Deadline:
    """A point in time by which everything must be done."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds left.

        Raises:
            Unreachable: There are none.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise Unreachable("timeout")
        return left


class HttpsSource:
    """Gets images over https.

    Args:
        hosts: Names that are allowed; ``*.example.org`` takes in all names under it.
        max_bytes: Most bytes of an image.
        resolver: Where addresses come from, and which are allowed.
        context: How hosts prove their names.

    Raises:
        BadSettings: One of the names is none.
    """

    def __init__(
        self,
        hosts: Collection[str],
        max_bytes: int,
        resolver: Resolver,
        context: ssl.SSLContext,
    ) -> None:
        self._names, self._ends = _patterns(hosts)
        self._max_bytes = max_bytes
        self._resolver = resolver
        self._context = context

    def host(self, url: str) -> str:
        """Return the host of a URL in the form in which it is compared and resolved.

        Raises:
            Unreachable: The URL is not allowed.
        """
        return self._checked(url)[0]

    def get(self, url: str, seconds: float) -> bytes:
        """Return the image at a URL.

        Args:
            url: May redirect a few times, within the hosts that are allowed.
            seconds: For everything together.

        Raises:
            Unreachable: It cannot be had.
        """
        deadline = Deadline(seconds)
        for _ in range(MAX_REDIRECTS + 1):
            host, parts = self._checked(url)
            try:
                body, location = self._exchange(host, parts, deadline)
            except TimeoutError as error:
                raise Unreachable("timeout") from error
            except (OSError, http.client.HTTPException, ValueError) as error:
                # A time that runs out between two reads shows as a broken connection.
                deadline.left()
                raise Unreachable("refused") from error
            if location is None:
                return body
            url = _joined(url, location)
        raise Unreachable("status")

    def _checked(self, url: str) -> tuple[str, SplitResult]:
        try:
            parts = urlsplit(url)
            port = PORT if parts.port is None else parts.port
            name = (parts.hostname or "").removesuffix(".")
            host = name if name.isascii() else name.encode("idna").decode()
        except ValueError as error:
            raise Unreachable("not-allowed") from error
        plain = parts.scheme == "https" and port == PORT and "@" not in parts.netloc
        allowed = host in self._names or host.endswith(self._ends)
        if not plain or not allowed or not NAME.fullmatch(host) or len(host) > MAX_NAME:
            raise Unreachable("not-allowed")
        return host, parts

    def _exchange(
        self, host: str, parts: SplitResult, deadline: Deadline
    ) -> tuple[bytes, str | None]:
        """Return the body, or where else it is."""
        addresses = self._resolver(host, PORT, deadline.left())
        with self._secured(host, addresses, deadline) as secured:
            connection = http.client.HTTPConnection(host)
            connection.sock = _Timed(secured, deadline)
            connection.request("GET", _target(parts), headers=HEADERS)
            response = connection.getresponse()
            if response.status in REDIRECTS and (location := response.getheader("Location")):
                return b"", location
            _check(response)
            return self._read(response), None

    def _secured(
        self, host: str, addresses: Collection[Address], deadline: Deadline
    ) -> ssl.SSLSocket:
        """Return a connection to the first address that answers, whose host has proved its name."""
        plain = _connected(list(addresses), deadline)
        try:
            plain.settimeout(deadline.left())
            # A body without a length ends with the connection, which must then end in order.
            return self._context.wrap_socket(
                plain, server_hostname=host, suppress_ragged_eofs=False
            )
        except TimeoutError:
            plain.close()
            raise
        except ssl.SSLError as error:
            plain.close()
            raise Unreachable("tls") from error
        except BaseException:
            plain.close()
            raise

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        if (response.length or 0) > self._max_bytes:
            raise Unreachable("too-large")
        body = bytearray()
        while chunk := response.read1(CHUNK):
            body += chunk
            if len(body) > self._max_bytes:
                raise Unreachable("too-large")
        if response.length:
            # Fewer bytes than were announced: half an image is not what was posted.
            raise Unreachable("refused")
        return bytes(body)


def _check(response: http.client.HTTPResponse) -> None:
    if response.status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        raise Unreachable("not-found")
    if response.status != HTTPStatus.OK:
        raise Unreachable("status")
    # Compressed, a few bytes may be any number; the request asks for none of it.
    encoded = response.getheader("Content-Encoding", "identity").strip().lower()
    transferred = response.getheader("Transfer-Encoding", "chunked").strip().lower()
    if encoded != "identity" or transferred != "chunked":
        raise Unreachable("status")


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise Unreachable("not-allowed") from error


def _target(parts: SplitResult) -> str:
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
    query = quote(parts.query, safe="/%:@!$&'()*+,;=~?")
    return f"{path}?{query}" if query else path


def _patterns(hosts: Collection[str]) -> tuple[frozenset[str], tuple[str, ...]]:
    """Return whole names, and what names may end with; nothing that would let every name in."""
    names, ends = set(), []
    for host in hosts:
        name = host.removeprefix("*.").lower().rstrip(".")
        if not name.strip(".") or "*" in name:
            raise BadSettings(
                f"allowed_hosts: {host!r} names no host; write example.org or *.example.org"
            )
        if host.startswith("*."):
            ends.append(f".{name}")
        else:
            names.add(name)
    return frozenset(names), tuple(ends)


def _connected(addresses: list[Address], deadline: Deadline) -> socket.socket:
    """Return a connection to the first address that answers; none may take all of the time."""
    for number, address in enumerate(addresses):
        share = deadline.left() / (len(addresses) - number)
        try:
            return socket.create_connection(address, share)
        except OSError:
            if number == len(addresses) - 1:
                raise
    raise Unreachable("not-found")


class _Timed:
    """The part of a socket that ``http.client`` uses, each call limited by the deadline.

    A time limit a call is not enough: a host that sends a byte a second would never meet it.
    """

    def __init__(self, inner: ssl.SSLSocket, deadline: Deadline) -> None:
        self._inner = inner
        self._deadline = deadline

    def sendall(self, data: bytes) -> None:
        self._inner.settimeout(self._deadline.left())
        self._inner.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reading(self._inner, self._deadline), CHUNK)

    def close(self) -> None:
        """Do nothing: ``http.client`` closes before the body is read; the maker closes after."""


class _Reading(io.RawIOBase):
    def __init__(self, inner: ssl.SSLSocket, deadline: Deadline) -> None:
        self._inner = inner
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "Buffer", /) -> int:
        self._inner.settimeout(self._deadline.left())
        return self._inner.recv_into(buffer)
