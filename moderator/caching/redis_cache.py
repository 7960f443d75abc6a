"""Embeddings of pictures seen before, in a Redis that all members share.

An outage of Redis costs hits, never decisions: nothing here raises in use, a lookup takes no
longer than ``redis_timeout``, a write is not waited for. Knows nothing of pictures.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from prometheus_client import Counter, Gauge
from redis.exceptions import NoPermissionError, OutOfMemoryError, ReadOnlyError, ResponseError

from moderator import settings
from moderator.caching.breaker import Breaker
from moderator.caching.cached import CACHE_LOOKUPS, Cached
from moderator.caching.redis_client import redis_client
from moderator.caching.redis_value import Shape, decode, encode
from moderator.caching.seal import Seal

logger = logging.getLogger(__name__)

CACHE_REJECTED = Counter(
    "moderator_cache_rejected_total",
    "Entries of Redis that were not what they should be, each counted as a miss too.",
)
CACHE_DROPPED = Counter(
    "moderator_cache_dropped_total", "Pictures that could not be written to the cache."
)
CACHE_AVAILABLE = Gauge(
    "moderator_cache_available", "1 while Redis answers, 0 while it is not asked."
)

SHORT_DIGEST = 16
"""Hex digits of the network's digest in a key."""

LOOK = 0.05
"""Seconds between looks at whether Redis is to be asked again."""

MAX_PENDING = 8
"""Writes waiting to be sent beyond which further ones are dropped."""

WRITES_REFUSED = (OutOfMemoryError, ReadOnlyError, NoPermissionError)
"""Errors of writing while reading may go on."""


class RedisCache:
    """Embeddings of one network, with the logits of one head, in Redis.

    All commands run one after the other on one thread of its own, so that the caller's wait has a
    limit whatever Redis, the network or name resolution do.

    Args:
        cache: URL, time-out and time to live.
        rows_digest: Of network and head (``Release.rows_digest``); part of every key.
        shape: What this member's entries look like; others count as misses.
        clock: Monotonic time in seconds, for the pauses after failures.

    Raises:
        BadSettings: ``redis_url`` is not a URL of Redis.
    """

    def __init__(
        self,
        cache: settings.Cache,
        rows_digest: str,
        shape: Shape,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._timeout = cache.redis_timeout
        self._ttl = max(1, round(cache.cache_ttl * 1000))
        short = rows_digest.removeprefix("sha256:")[:SHORT_DIGEST]
        self._shape = replace(shape, network=bytes.fromhex(short).ljust(8, b"\0"))
        # Members that judge regions and others that do not would throw each other's entries out.
        kind = "regions:" if shape.rows else ""
        self._prefix = f"moderator:embedding:{short}:{kind}"
        self._seal = Seal(cache.secret("redis_secret"))
        self._client = redis_client(cache, cache.redis_timeout)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="redis")
        self._writing = threading.BoundedSemaphore(MAX_PENDING)
        self._closing = threading.Event()
        self._asking = Breaker(clock)
        self._storing = Breaker(clock)
        CACHE_AVAILABLE.set(1)

    def get_many(self, digests: Sequence[str]) -> dict[str, Cached]:
        """Return what is kept of these pictures, after ``redis_timeout`` at most."""
        if not digests:
            return {}
        if not self._asking.closed:
            CACHE_LOOKUPS.labels("bypass").inc(len(digests))
            return {}
        values = self._read([self._prefix + digest for digest in digests])
        if values is None:
            CACHE_LOOKUPS.labels("error").inc(len(digests))
            return {}
        found = self._found(digests, values)
        CACHE_LOOKUPS.labels("hit").inc(len(found))
        CACHE_LOOKUPS.labels("miss").inc(len(digests) - len(found))
        return found

    def put_many(self, entries: Mapping[str, Cached]) -> None:
        """Hand these pictures over to be written; what cannot be written soon is dropped."""
        if not entries:
            return
        if not self._asking.closed or not self._writing.acquire(blocking=False):
            CACHE_DROPPED.inc(len(entries))
        elif self._storing.closed or self._storing.probe_due():
            self._thread.submit(self._write, dict(entries))
        else:
            self._writing.release()
            CACHE_DROPPED.inc(len(entries))

    def close(self) -> None:
        """Write what was handed over, where Redis answers in time, and let go of the connection.

        Nothing may be asked any more.
        """
        self._closing.set()
        last = self._thread.submit(lambda: None)
        self._thread.shutdown(wait=False)
        with contextlib.suppress(TimeoutError):
            last.result(self._timeout * (MAX_PENDING + 1))
        # Whatever is still under way ends with its connection.
        self._client.connection_pool.disconnect()
        self._client.close()

    def _read(self, keys: Sequence[str]) -> Sequence[Any] | None:
        """Return the values of these keys, None where they cannot be had."""
        answer = self._thread.submit(self._values, keys)
        try:
            return answer.result(self._timeout)
        except Exception as error:  # whatever it is, it costs hits, not decisions
            answer.cancel()
            self._lost(error)
            return None

    def _values(self, keys: Sequence[str]) -> Sequence[Any]:
        """Return the values of keys, no more of each than an entry has; None where there is none.

        A value of another kind is none; whoever can write to Redis could fill our memory else.
        """
        asked = self._client.pipeline(transaction=False)
        for key in keys:
            asked.getrange(key, 0, self._shape.most_bytes + self._seal.size)
        answers = asked.execute(raise_on_error=False)
        for each in answers:
            if isinstance(each, Exception) and not _of_another_kind(each):
                raise each
        return [None if isinstance(each, Exception) else each or None for each in answers]

    def _found(self, digests: Sequence[str], values: Sequence[Any]) -> dict[str, Cached]:
        found = {}
        for digest, value in zip(digests, values, strict=True):
            if value is None:
                continue
            # A client that redis_url tells to decode answers gives texts.
            cached = self._opened(digest, value) if isinstance(value, bytes) else None
            if cached is None:
                CACHE_REJECTED.inc()
            else:
                found[digest] = cached
        return found

    def _opened(self, digest: str, value: bytes) -> Cached | None:
        entry = self._seal.opened(self._prefix + digest, value)
        return None if entry is None else decode(entry, self._shape)

    def _write(self, entries: Mapping[str, Cached]) -> None:
        try:
            self._send(entries)
        except WRITES_REFUSED as error:
            CACHE_DROPPED.inc(len(entries))
            if self._storing.failed():
                logger.warning("Redis refuses to store: %s; what it has is still used", error)
        except Exception as error:  # whatever it is, it costs hits, not decisions
            CACHE_DROPPED.inc(len(entries))
            self._storing.failed()
            self._lost(error)
        else:
            self._storing.succeeded()
        finally:
            self._writing.release()

    def _send(self, entries: Mapping[str, Cached]) -> None:
        if not self._asking.closed:
            raise ConnectionError("it did not answer before")
        pipeline = self._client.pipeline(transaction=False)
        for digest, cached in entries.items():
            key = self._prefix + digest
            sealed = self._seal.sealed(key, encode(cached, self._shape))
            pipeline.set(key, sealed, px=self._ttl)
        pipeline.execute()

    def _recover(self) -> None:
        """Ask again, after growing pauses, until Redis answers; posts need not come for that."""
        while not (self._asking.closed or self._closing.wait(LOOK)):
            if not self._asking.probe_due():
                continue
            try:
                self._values([self._prefix + "probe"])
            except Exception:  # whatever it is, it is asked again
                self._asking.failed()
            else:
                self._asking.succeeded()
                CACHE_AVAILABLE.set(1)
                logger.info("Redis answers again")

    def _lost(self, error: Exception) -> None:
        CACHE_AVAILABLE.set(0)
        if self._asking.failed():
            with contextlib.suppress(RuntimeError):
                # Refused while closing: nothing is asked any more.
                self._thread.submit(self._recover)
            text = "no answer in time" if isinstance(error, TimeoutError) else str(error)
            logger.warning("Redis: %s; deciding goes on without the cache", text)


def _of_another_kind(error: Exception) -> bool:
    """Whether a command was refused because its key holds a list or the like."""
    return isinstance(error, ResponseError) and str(error).startswith("WRONGTYPE")
