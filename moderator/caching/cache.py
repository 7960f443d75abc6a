"""Embeddings of pictures seen before, by content digest: in process memory, or in Redis.

A cache belongs to one network, and head where there is one. It never raises in use: what it cannot
give is embedded again. Decisions are not cached, so that a verdict takes effect on re-uploads at
once.
"""

import math
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from moderator import settings
from moderator.caching.cached import CACHE_LOOKUPS, Cached, EmbeddingCache

REGION_BYTES = 2**28
"""Of embeddings kept in process memory where regions are judged: a picture then has tens of them,
and as many pictures as without would take gigabytes."""


class MemoryCache:
    """The last pictures used, in this process.

    Args:
        entries: Pictures kept; beyond it the one used longest ago goes. 0 keeps none.
        most_bytes: Of embeddings kept, beyond which it goes as well; None: no such limit.
    """

    def __init__(self, entries: int, most_bytes: int | None = None) -> None:
        self._entries = entries
        self._most_bytes = math.inf if most_bytes is None else most_bytes
        self._bytes = 0
        self._kept: OrderedDict[str, Cached] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def get_many(self, digests: Sequence[str]) -> dict[str, Cached]:
        """Return what is kept of these pictures, which makes them the last used."""
        found = {}
        with self._lock:
            for digest in digests:
                if digest in self._kept:
                    self._kept.move_to_end(digest)
                    found[digest] = self._kept[digest]
        CACHE_LOOKUPS.labels("hit").inc(len(found))
        CACHE_LOOKUPS.labels("miss").inc(len(digests) - len(found))
        return found

    def put_many(self, entries: Mapping[str, Cached]) -> None:
        """Keep these pictures, in place of those used longest ago."""
        with self._lock:
            for digest, cached in entries.items():
                # A copy: rows are views of a whole batch, which each would keep alive.
                kept = replace(cached, embeddings=_frozen(cached.embeddings))
                before = self._kept.pop(digest, None)
                self._bytes += kept.embeddings.nbytes - (before.embeddings.nbytes if before else 0)
                self._kept[digest] = kept
            while len(self._kept) > self._entries or self._bytes > self._most_bytes:
                _, gone = self._kept.popitem(last=False)
                self._bytes -= gone.embeddings.nbytes

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
            self._bytes = 0


def open_cache(
    cache: settings.Cache,
    rows_digest: str,
    dimension: int,
    max_frames: int,
    rows: Mapping[tuple[int, int], int] | None = None,
    *,
    classes: int = 0,
) -> EmbeddingCache:
    """Return the cache that the settings ask for; Redis need not be there yet.

    Args:
        cache: Where, how many and how long.
        rows_digest: Of the network whose embeddings are kept, with the head if the release has
            one (``Release.rows_digest``), ``sha256:`` and hex digits.
        dimension: Of its embeddings; what has another one is not given back.
        max_frames: Frames judged of an animation.
        rows: Where regions are judged, how many embeddings a frame of each size has, by height
            and width in pixels; what has another number of them is not given back.
        classes: Logits that each row has behind its embedding.

    Raises:
        BadSettings: ``redis_url`` is not a URL of Redis.
    """
    if not cache.shared:
        return MemoryCache(cache.cache_entries, REGION_BYTES if rows else None)
    from moderator.caching.redis_cache import RedisCache
    from moderator.caching.redis_value import Shape

    shape = Shape(dimension, max_frames, rows or {}, classes=classes)
    return RedisCache(cache, rows_digest, shape)


def check_redis(cache: settings.Cache, timeout: float, stop: threading.Event | None = None) -> None:
    """Wait until the Redis of the settings answers and may be read; nothing is written.

    Args:
        cache: Its URL; without one there is nothing to wait for.
        timeout: Seconds to wait; 0 waits for ever.
        stop: Ends the wait early, without an error, when set.

    Raises:
        BadSettings: It refuses the user or password, or the URL is not one of Redis.
        Unavailable: It did not answer in time.
    """
    if not cache.shared:
        return
    from moderator.caching.redis_client import wait_for_redis

    wait_for_redis(cache, timeout, stop)


def _frozen(embeddings: NDArray[np.float16]) -> NDArray[np.float16]:
    copied = np.array(embeddings, np.float16, order="C")
    copied.setflags(write=False)
    return copied
