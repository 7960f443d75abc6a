"""Names to addresses that may be connected to: public ones only. Knows nothing of URLs."""

import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, Protocol

from moderator.fetching.calls import awaited, begun
from moderator.fetching.unreachable import Unreachable

Address = tuple[str, int]
"""An IP address, as text, and a port."""

MAX_WAITING = 64
"""Names looked up at once; further ones wait for their turn within their time."""

EMBEDDING = (
    (ipaddress.IPv6Network("::/96"), 0),  # IPv4-compatible, long deprecated
    (ipaddress.IPv6Network("::ffff:0:0/96"), 0),  # IPv4-mapped
    (ipaddress.IPv6Network("::ffff:0:0:0/96"), 0),  # IPv4-translated (SIIT)
    (ipaddress.IPv6Network("64:ff9b::/96"), 0),  # NAT64
    (ipaddress.IPv6Network("2002::/16"), 80),  # 6to4: the IPv4 address follows the prefix
)
"""IPv6 networks whose addresses hold an IPv4 address, and how many bits stand after that."""

NOT_PUBLIC = (
    ipaddress.IPv4Network("100.64.0.0/10"),  # shared between carriers; some clouds' metadata
    ipaddress.IPv4Network("192.0.0.0/24"),  # protocols' own; some clouds' metadata
    ipaddress.IPv4Network("192.88.99.0/24"),  # 6to4 relays
    ipaddress.IPv6Network("64:ff9b:1::/48"),  # NAT64 of a local network
    ipaddress.IPv6Network("2001::/23"),  # Teredo and other protocols' own
    ipaddress.IPv6Network("3fff::/20"),  # documentation
    ipaddress.IPv6Network("5f00::/16"),  # segment routing
    ipaddress.IPv6Network("fec0::/10"),  # site-local, long deprecated
)
"""What ``ipaddress`` calls global in one of the Python versions at hand, and is not for us."""


ISATAP = (0x00005EFE, 0x02005EFE)
"""The upper half of an interface identifier whose lower half is an IPv4 address (RFC 5214)."""


class Resolver(Protocol):
    """Where a host's addresses come from."""

    def __call__(self, host: str, port: int, timeout: float) -> Sequence[Address]:
        """Return the addresses to connect to, first choice first; at least one.

        Raises:
            Unreachable: There is none, none in time, or one that must not be connected to.
        """
        ...


class PublicResolver:
    """The system's resolver, for names that lead to public addresses alone.

    A name is looked up once and the connection made to the very address that was checked, so
    that a name which changes its mind in between gains nothing. One bad address among good ones
    refuses the name as a whole: no honest host has such a mixture.

    Args:
        lookup: Looks up a name as ``socket.getaddrinfo`` does.
    """

    def __init__(self, lookup: Callable[..., list[tuple]] = socket.getaddrinfo) -> None:  # type: ignore[type-arg]
        self._lookup = lookup
        self._turns = threading.BoundedSemaphore(MAX_WAITING)
        self._lock = threading.Lock()
        self._running: dict[tuple[str, int], Future[list[Any]]] = {}

    def __call__(self, host: str, port: int, timeout: float) -> Sequence[Address]:
        """See ``Resolver``; ``timeout`` is in seconds."""
        deadline = time.monotonic() + timeout
        try:
            found = awaited(self._begun(host, port, timeout), deadline)
        except (OSError, UnicodeError) as error:
            again = getattr(error, "errno", None) == socket.EAI_AGAIN
            raise Unreachable("refused" if again else "not-found") from error
        addresses = list(dict.fromkeys((entry[4][0], port) for entry in found))
        if not addresses:
            raise Unreachable("not-found")
        if not all(is_public(address) for address, _ in addresses):
            raise Unreachable("address")
        return addresses

    def _begun(self, host: str, port: int, timeout: float) -> "Future[list[Any]]":
        """Return the look-up of a name that is under way, or else begin one.

        A name whose look-up hangs takes one turn, however often it is asked for.

        Raises:
            Unreachable: Too many look-ups of other names are under way.
        """
        key = host, port
        with self._lock:
            running = self._running.get(key)
        if running is not None:
            return running
        begin = partial(self._lookup, host, port, type=socket.SOCK_STREAM)
        running = begun(timeout, self._turns, begin)
        with self._lock:
            self._running[key] = running
        running.add_done_callback(partial(self._ended, key))
        return running

    def _ended(self, key: tuple[str, int], done: "Future[list[Any]]") -> None:
        with self._lock:
            if self._running.get(key) is done:
                del self._running[key]


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open Internet, of one host.

    Not so: private, loopback, link-local (with the metadata services of clouds), shared,
    multicast, reserved and unspecified ones, and IPv6 addresses that hold such an IPv4 address,
    or, by ISATAP, any.
    An address with a scope (``fe80::1%eth0``) is not public either.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.scope_id is not None:
            return False
        for network, shift in EMBEDDING:
            if parsed in network:
                return is_public(str(ipaddress.IPv4Address(int(parsed) >> shift & 0xFFFFFFFF)))
        if int(parsed) >> 32 & 0xFFFFFFFF in ISATAP:
            return False
    if parsed.is_multicast or parsed.is_reserved or not parsed.is_global:
        return False
    return not any(parsed in network for network in NOT_PUBLIC)
