"""Say when this member has no partition of the posts topic, and so decides no new posts."""

import logging
import time
from collections.abc import Callable, Iterable

from prometheus_client import Gauge

from moderator.records import Partition

logger = logging.getLogger(__name__)

POSTS_PARTITIONS = Gauge(
    "moderator_assigned_posts_partitions",
    "Partitions of the posts topic this member owns; at 0 it decides no new posts.",
)

SETTLING = 10.0
"""Seconds that a member may be without posts while the group gives out partitions anew."""


class Share:
    """This member's part of the posts topic; noted on one thread, read from all.

    Args:
        topic: The posts topic.
        clock: Monotonic seconds.
    """

    def __init__(self, topic: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._topic = topic
        self._clock = clock
        self._without_since: float | None = None
        self._said = False

    def note(self, owned: Iterable[Partition], *, joined: bool) -> None:
        """Take note of the partitions that this member owns, and whether the group has it."""
        count = sum(partition.topic == self._topic for partition in owned)
        POSTS_PARTITIONS.set(count)
        if count or not joined:
            if count and self._said:
                logger.info("%d partitions of %s are this member's again", count, self._topic)
            self._without_since, self._said = None, False
            return
        now = self._clock()
        self._without_since = now if self._without_since is None else self._without_since
        if not self._said and now - self._without_since >= SETTLING:
            self._said = True
            logger.warning("%s", self._text)

    def remark(self) -> str | None:
        """Return what to tell whoever asks for readiness, None while there are partitions."""
        return None if self._without_since is None else self._text

    @property
    def _text(self) -> str:
        return (
            f"no partition of {self._topic} is this member's: it decides no new posts "
            "(are there more members than partitions?)"
        )
