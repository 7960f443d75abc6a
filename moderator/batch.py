"""Posts on their way together, and what is known of their pictures so far.

Plain data that the steps of ``moderator.examine`` fill in. Knows nothing of how a step is done.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from moderator.canary import Expectation
from moderator.decide import Reason
from moderator.decisions import Shed
from moderator.decoding.decoders import Decoded
from moderator.decoding.view import Layout
from moderator.embedder import Embeddings
from moderator.overload import Level
from moderator.records import Post, PostImage


@dataclass(eq=False, slots=True)
class Picture:
    """An image on its way; what is the same picture within a batch shares ``seen``."""

    image: PostImage
    data: bytes | None = None
    fetching: Future[bytes] | None = None
    fault: tuple[Reason, str] | None = None
    seen: "Seen | None" = None


@dataclass(eq=False, slots=True)
class Seen:
    """One distinct picture of a batch.

    ``layout`` says what is judged of it, once that is known; ``rows`` are the places of its views'
    embeddings, and of their regions', among the batch's. ``shed`` names what was left out of it
    because posts are late.
    """

    digest: str
    decoding: Future[Decoded] | None = None
    fault: tuple[Reason, str] | None = None
    layout: Layout | None = None
    cached: bool = False
    rows: slice = field(default_factory=lambda: slice(0, 0))
    embeddings: NDArray[np.float16] | None = None
    shed: tuple[Shed, ...] = ()


@dataclass(eq=False, slots=True)
class Batch:
    """Posts on their way together; ``opened`` is a monotonic time in seconds.

    ``level`` says what is left out of judging all of them; ``canaries`` says by its post's
    decision id what is expected of a canary. ``keep`` holds on to the pictures' bytes after they
    were given to be decoded; what is not ``measured`` leaves the metrics of the stages alone.
    """

    posts: Sequence[Post]
    pictures: Sequence[Sequence[Picture]]
    opened: float
    level: Level = Level.WHOLE
    seen: dict[str, Seen] = field(default_factory=dict)
    embedding: Future[Embeddings] | None = None
    slots: list[int] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    canaries: dict[str, Expectation] = field(default_factory=dict)
    keep: bool = False
    measured: bool = True

    def each(self) -> Iterator[Picture]:
        """Yield every picture of every post."""
        for pictures in self.pictures:
            yield from pictures

    def of_canaries(self) -> set[str]:
        """Return the digests of the pictures that canaries show."""
        return {
            picture.seen.digest
            for post, pictures in zip(self.posts, self.pictures, strict=True)
            if post.decision_id in self.canaries
            for picture in pictures
            if picture.seen is not None
        }
