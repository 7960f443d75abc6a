"""Decide posts of the past again, with the worker's own examiner. Knows nothing of what was before.

Batches close on images and bytes, never on time, and posts come partition by partition in the
order of their offsets: twice the same range is twice the same batches.
"""

import logging
import math
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.release import Release
from moderator.assembly import Parts, build
from moderator.batching import Batching
from moderator.decisions import Decided
from moderator.errors import Unavailable
from moderator.following import TopicReading
from moderator.judge import decide_batches
from moderator.overlay import Overlay
from moderator.records import Post, Record, parse_post
from moderator.settings import Settings

logger = logging.getLogger(__name__)

OVERLAY_TIME = 300.0
"""Seconds that reading the prototypes topic may take."""


@dataclass(frozen=True, slots=True)
class UpTo:
    """A reader of the prototypes topic that ends before an offset."""

    reader: TopicReading
    limit: int

    def poll(self, timeout_ms: int) -> Mapping[Any, Iterable[Any]]:
        """Return what has come of what is before the end."""
        polled = self.reader.poll(timeout_ms)
        return {
            key: [record for record in records if record.offset < self.limit]
            for key, records in polled.items()
        }

    def end(self) -> int:
        """Return the offset before which it ends."""
        return self.limit

    def position(self) -> int:
        """Return the offset of the next record to be read."""
        return min(self.limit, self.reader.position())

    def close(self) -> None:
        """Read no more."""
        self.reader.close()


def redecide(
    settings: Settings, release: Release, records: Iterable[Record], overlay: UpTo | None
) -> Generator[Decided, None, None]:
    """Decide records with a release and yield what was decided, in their order.

    Args:
        settings: As a worker's; Redis is not asked, so that nothing of earlier runs is in it.
        release: What judges.
        records: Of the posts topic.
        overlay: Prototypes to apply on top of the release's; None: none.

    Raises:
        ModelError: The release cannot be served.
        Unavailable: The network cannot be had any more.
    """
    cache = settings.cache.model_copy(update={"redis_url": None})
    with build(settings.model_copy(update={"cache": cache}), release) as parts:
        if overlay is not None:
            _apply(overlay, parts)
        yield from decide_batches(parts.examiner, batches(settings, records))


def batches(settings: Settings, records: Iterable[Record]) -> Iterator[Sequence[Post]]:
    """Yield posts in batches of at most ``max_batch`` images and a bounded number of bytes."""
    limits, pipeline = settings.limits, settings.pipeline
    batching = Batching(pipeline.max_batch, math.inf)
    most = pipeline.max_inflight_bytes // 2 // pipeline.batches_in_flight
    size = 0
    for record in records:
        post = parse_post(
            record, max_bytes=limits.max_post_bytes, max_images=limits.max_images_per_post
        )
        closed = batching.add(post, 0.0)
        size = record.weight if closed else size + record.weight
        if size >= most:
            closed.append(batching.flush())
            size = 0
        yield from filter(None, closed)
    if rest := batching.flush():
        yield rest


def _apply(overlay: UpTo, parts: Parts) -> None:
    """Apply the prototypes topic up to the overlay's end.

    Raises:
        Unavailable: It is not read to there in time.
    """
    release = parts.release
    following = Overlay(overlay, parts.matcher, release.network_digest, release.index.dimension)
    following.start()
    try:
        if not following.wait(OVERLAY_TIME):
            raise Unavailable(
                f"the prototypes topic is not read to its end within {OVERLAY_TIME:g} s; "
                "look at the brokers, or replay without --overlay"
            )
    finally:
        following.stop()
    logger.info("overlay applied up to offset %d", parts.matcher.served.overlay)
