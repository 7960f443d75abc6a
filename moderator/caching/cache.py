"""Embeddings of pictures seen before, by content digest: in process memory, or in Redis.

A cache belongs to one network. It never raises in use: what it cannot give is embedded again.
Decisions are not cached, so that a verdict takes effect on re-uploads at once.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from moderator import settings
from moderator.caching.cached import CACHE_LOOKUPS, Cached, EmbeddingCache


class MemoryCache:
    """The last pictures used, in this process.

    Args:
        entries: Pictures kept; beyond it the one used longest ago goes. 0 keeps none.
    """

    def __init__(self, entries: int) -> None:
        self._entries = entries
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
                self._kept[digest] = replace(cached, embeddings=_frozen(cached.embeddings))
                self._kept.move_to_end(digest)
            while len(self._kept) > self._entries:
                self._kept.popitem(last=False)

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()


def open_cache(
    cache: settings.Cache, network_digest: str, dimension: int, max_frames: int
) -> EmbeddingCache:
    """Return the cache that the settings ask for; Redis need not be there yet.

    Args:
        cache: Where, how many and how long.
        network_digest: Of the network whose embeddings are kept, ``sha256:`` and hex digits.
        dimension: Of its embeddings; what has another one is not given back.
        max_frames: Frames judged of an animation.

    Raises:
        BadSettings: ``redis_url`` is not a URL of Redis.
    """
    if cache.redis_url is None:
        return MemoryCache(cache.cache_entries)
    from moderator.caching.redis_cache import RedisCache
    from moderator.caching.redis_value import Shape

    return RedisCache(cache, network_digest, Shape(dimension, max_frames))


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
    if cache.redis_url is None:
        return
    from moderator.caching.redis_client import wait_for_redis

    wait_for_redis(cache, timeout, stop)


def _frozen(embeddings: NDArray[np.float16]) -> NDArray[np.float16]:
    copied = np.array(embeddings, np.float16, order="C")
    copied.setflags(write=False)
    return copied
