"""Follow a topic of one partition from its beginning, outside any group, on a thread of its own.

What its records mean is for subclasses. Whatever happens to the brokers, it goes on.
"""

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from prometheus_client import Counter

logger = logging.getLogger(__name__)

MADE_ANEW = Counter(
    "moderator_topics_made_anew_total",
    "Times that a topic was found deleted and made anew, and read from its beginning.",
    ["topic"],
)

AGAIN = 1.0
"""Seconds until what failed is tried again."""


class MadeAnew(Exception):
    """The topic that it names was deleted and made anew; what is polled next is its beginning."""


class TopicReading(Protocol):
    """The part of a consumer that following uses; records hold key, value and offset.

    ``poll`` and ``position`` raise ``MadeAnew`` where reading begins again. ``end`` is the offset
    that the next record written will have, ``position`` that of the next one to be read, 0 while
    that is not known.
    """

    def poll(self, timeout_ms: int) -> Mapping[Any, Iterable[Any]]: ...  # noqa: D102
    def end(self) -> int: ...  # noqa: D102
    def position(self) -> int: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


class TopicFollower(ABC):
    """Reads a topic and hands on what comes.

    Args:
        reader: Of the topic's one partition, from its beginning; it is closed in the end.
        what: Whose topic it is, for people.
    """

    def __init__(self, reader: TopicReading, what: str) -> None:
        self._reader = reader
        self._what = what
        self._reached = 0
        self._end: int | None = None
        self._stop = threading.Event()
        self._caught_up = threading.Event()
        self._thread = threading.Thread(target=self._follow, name=what, daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    @property
    def caught_up(self) -> bool:
        """Whether the topic has been read to the end that it had at the start."""
        return self._caught_up.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the topic has been read to the end that it had at the start.

        Args:
            timeout: Seconds to wait at most; None: for ever.

        Returns:
            Whether it has been.
        """
        return self._caught_up.wait(timeout)

    def stop(self) -> None:
        """Stop following and close the reader; it cannot be started again."""
        self._stop.set()
        if self._thread.ident is None:
            self._reader.close()
        else:
            self._thread.join(5)

    @abstractmethod
    def _apply(self, records: Sequence[Any], reached: int, *, at_end: bool) -> None:
        """Take in what was read.

        Args:
            records: In the order in which they were written; may be empty.
            reached: The offset up to which the topic was read; goes back only after ``_restart``.
            at_end: Whether that is as far as the topic went at the start, or further.
        """

    @abstractmethod
    def _restart(self) -> None:
        """Forget what was read: the topic was made anew and is read from its beginning."""

    def _follow(self) -> None:
        while not self._stop.is_set():
            try:
                self._end = self._reader.end() if self._end is None else self._end
                self._turn(self._end)
            except MadeAnew as anew:
                MADE_ANEW.labels(str(anew)).inc()
                logger.warning(
                    "%s topic: made anew; reading it from its beginning, what was read up to "
                    "offset %d holds until its end is reached",
                    self._what,
                    self._reached,
                )
                self._reached, self._end = 0, None
                self._restart()
            except Exception as error:
                # Whatever happens to the world, what is served stays as it is.
                logger.warning("%s topic: %s; trying again", self._what, error)
                self._stop.wait(AGAIN)
        self._reader.close()

    def _turn(self, end: int) -> None:
        polled = self._reader.poll(timeout_ms=200)
        records = [record for some in polled.values() for record in some]
        read = records[-1].offset + 1 if records else 0
        # Beyond the last record there may be marks of transactions, or records gone.
        self._reached = max(self._reached, read, self._position())
        at_end = self._reached >= end
        self._apply(records, self._reached, at_end=at_end)
        if at_end:
            self._caught_up.set()

    def _position(self) -> int:
        """Return where reading stands, as far as that is to be had: records are never left out."""
        try:
            return self._reader.position()
        except MadeAnew:
            raise
        except Exception as error:
            logger.warning("%s topic: %s; trying again", self._what, error)
            return 0
