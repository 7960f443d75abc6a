"""Fetch images by reference, many at once. Knows nothing of posts, and trusts no URL.

Where an image may come from is the settings' to say; without them, from nowhere.
"""

import contextlib
import logging
import ssl
import threading
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from dataclasses import dataclass

from moderator.concerns.fetch import Fetch
from moderator.fetching.addresses import PublicResolver, Resolver
from moderator.fetching.files import FileSource
from moderator.fetching.hosts import Hosts
from moderator.fetching.https import HttpsSource
from moderator.fetching.stores import StoreSource, place
from moderator.fetching.unreachable import CAUSES, OURS, Unreachable

__all__ = ["CAUSES", "Fetcher", "Unreachable"]

logger = logging.getLogger(__name__)

MAX_SLOW = 10_000
"""Hosts remembered as slow: names under a wildcard are for posts to invent."""


@dataclass(eq=False, slots=True)
class _Waiting:
    """A fetch whose turn has not come; ``since`` is a monotonic time in seconds."""

    url: str
    future: Future[bytes]
    since: float


class Fetcher:
    """Fetches images on threads of its own.

    The time of a fetch counts from its own start, so that a long queue makes nothing unreachable.
    A connection that comes free goes to the host that has the fewest. No host has more than its
    share of them; once one does not answer in time it has a single one until it does, and what has
    already waited for it that long is not tried any more: a slow host holds up its own images
    alone, and those only for about twice the time. A host that has not answered in time again and
    again is not waited for at all (see ``Hosts``).

    Args:
        fetch: From where, how long, how many at once.
        max_bytes: Most bytes of an image.
        resolver: Where the addresses of hosts come from, and which are allowed.
        context: How hosts prove their names over TLS.
    """

    def __init__(
        self,
        fetch: Fetch,
        max_bytes: int,
        *,
        resolver: Resolver | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._timeout = fetch.fetch_timeout
        self._https = HttpsSource(
            fetch.allowed_hosts,
            max_bytes,
            resolver or PublicResolver(),
            context or ssl.create_default_context(),
        )
        self._files = FileSource(fetch.allowed_root, max_bytes, fetch.share)
        self._stores = StoreSource(fetch.allowed_stores, max_bytes, fetch.share)
        self._hosts = Hosts(fetch.host_timeouts, fetch.host_pause)
        self._share = fetch.share
        self._free = fetch.fetch_connections
        self._slow: set[str] = set()
        self._threads = ThreadPoolExecutor(fetch.fetch_connections, thread_name_prefix="fetch")
        self._active: dict[str, int] = defaultdict(int)
        self._waiting: dict[str, deque[_Waiting]] = defaultdict(deque)
        self._lock = threading.Lock()
        self._closed = False

    def fetch(self, url: str) -> Future[bytes]:
        """Begin to fetch an image.

        Args:
            url: ``https:``, ``file:``, or of an object store that is allowed.

        Returns:
            A future of the image's bytes that raises ``Unreachable``; it is running once its turn
            has come. It is cancelled when the fetcher closes before that.
        """
        future: Future[bytes] = Future()
        try:
            host = self._place(url)
        except Unreachable as error:
            future.set_exception(error)
            return future
        with self._lock:
            down = self._hosts.down(host)
            if self._closed:
                future.cancel()
            elif not down or self._hosts.to_ask(host):
                # Of a host that is down nobody waits for the answer, but what it is, is noted.
                asked: Future[bytes] = Future() if down else future
                self._waiting[host].append(_Waiting(url, asked, time.monotonic()))
                self._start()
        if down and not future.cancelled():
            future.set_exception(Unreachable("host-down"))
        return future

    def close(self) -> None:
        """Stop; what waits is cancelled, what is under way ends within its time."""
        with self._lock:
            self._closed = True
            waiting = [each for queue in self._waiting.values() for each in queue]
            self._waiting.clear()
        for each in waiting:
            each.future.cancel()
        self._threads.shutdown(wait=True, cancel_futures=False)

    def _place(self, url: str) -> str:
        """Return what shares a bound on connections: a host, the disk, a store's bucket."""
        scheme = url.split(":", 1)[0].lower()
        if scheme == "https":
            return self._https.host(url)
        if scheme == "file":
            return "file:"
        if self._stores.allows(url):
            return place(url)
        raise Unreachable("not-allowed")

    def _start(self) -> None:
        """Start what may start now, the host with the fewest connections first; lock held."""
        while self._free:
            able = [host for host in self._waiting if self._active.get(host, 0) < self._most(host)]
            if not able:
                return
            host = min(able, key=lambda host: self._active.get(host, 0))
            queue = self._waiting.pop(host)
            first = queue.popleft()
            if queue:
                # Behind the others: hosts with equally many take turns.
                self._waiting[host] = queue
            self._free -= 1
            self._active[host] += 1
            self._threads.submit(self._run, host, first)

    def _most(self, host: str) -> int:
        return 1 if host in self._slow else self._share

    def _run(self, host: str, waiting: _Waiting) -> None:
        try:
            if waiting.future.set_running_or_notify_cancel():
                body = self._get(waiting.url)
                self._answered(host)
                with contextlib.suppress(InvalidStateError):
                    waiting.future.set_result(body)
        except Unreachable as error:
            late = self._late(host) if error.cause == "timeout" else []
            if error.cause != "timeout" and error.cause not in OURS:
                self._answered(host)
            _fail((waiting, *late), error)
        except Exception as error:
            # No URL, however odd, may end the worker. Its text stays out of the log.
            logger.error("a fetch failed in a way that is not foreseen: %s", type(error).__name__)
            _fail((waiting,), Unreachable("refused"))
        finally:
            self._end(host)

    def _get(self, url: str) -> bytes:
        scheme = url.split(":", 1)[0].lower()
        if scheme == "https":
            return self._https.get(url, self._timeout)
        if scheme == "file":
            return self._files.get(url, self._timeout)
        return self._stores.get(url, self._timeout)

    def _answered(self, host: str) -> None:
        with self._lock:
            self._slow.discard(host)
            self._hosts.answered(host)

    def _late(self, host: str) -> list[_Waiting]:
        """Take out of the queue what has waited as long as a fetch may take, or waits in vain."""
        before = time.monotonic() - self._timeout
        late: list[_Waiting] = []
        with self._lock:
            if len(self._slow) < MAX_SLOW:
                self._slow.add(host)
            down = self._hosts.timed_out(host)
            queue = self._waiting.get(host, deque())
            while queue and (down or queue[0].since <= before):
                late.append(queue.popleft())
            if not queue:
                self._waiting.pop(host, None)
        return late

    def _end(self, host: str) -> None:
        with self._lock:
            self._free += 1
            self._active[host] -= 1
            if not self._active[host]:
                del self._active[host]
            if not self._closed:
                self._start()


def _fail(fetches: Sequence[_Waiting], error: Unreachable) -> None:
    for each in fetches:
        with contextlib.suppress(InvalidStateError):
            each.future.set_exception(error)
