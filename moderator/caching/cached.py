"""What is kept of a picture, and what every cache of it does. Knows nothing of where it is kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from prometheus_client import Counter

from moderator.decoding.view import Layout

CACHE_LOOKUPS = Counter(
    "moderator_cache_lookups_total",
    "Pictures looked up in the cache: hit, miss, error (it did not answer) or bypass (it was not "
    "asked, as it did not answer before).",
    ["result"],
)


@dataclass(frozen=True, eq=False, slots=True)
class Cached:
    """What is kept of a picture.

    ``embeddings`` is float16[rows, D + C]: of each view in ``layout`` one row and then those of its
    regions, if regions are judged; each an L2-normalised embedding and then the logits of a head.
    """

    embeddings: NDArray[np.float16]
    layout: Layout


class EmbeddingCache(Protocol):
    """Embeddings of one network; safe to use from several threads, never raises."""

    def get_many(self, digests: Sequence[str]) -> dict[str, Cached]:
        """Return what is kept of these pictures, by content digest; those unknown are left out."""
        ...

    def put_many(self, entries: Mapping[str, Cached]) -> None:
        """Keep what these pictures were embedded to; nothing is promised."""
        ...

    def close(self) -> None:
        """Let go of connections and threads."""
        ...
