"""Follow the control topic: tell of each change of what this group is to serve.

Every member reads the topic by itself, outside the consumer group. Loads no release.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prometheus_client import Counter

from moderator.errors import BadInput
from moderator.overlay import PrototypeReader
from moderator.rollout.control import Control, decode_control

logger = logging.getLogger(__name__)

CONTROL_SKIPPED = Counter(
    "moderator_control_skipped_total",
    "Records of the control topic that could not be read; what was set before them holds.",
)

TopicReading = PrototypeReader
"""A topic of one partition, read by itself (see ``overlay.PrototypeReader``)."""


class Follower:
    """Reads the control topic on a thread of its own.

    Args:
        reader: Of the topic's one partition, from its beginning; it is closed in the end.
        group: Whose records count.
        changed: Is told what holds once the topic was read to its end, and of each change after.
    """

    def __init__(
        self, reader: TopicReading, group: str, changed: Callable[[Control], None]
    ) -> None:
        self._reader = reader
        self._key = group.encode()
        self._changed = changed
        self._control = Control()
        self._told: Control | None = None
        self._stop = threading.Event()
        self._caught_up = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="control", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    @property
    def caught_up(self) -> bool:
        """Whether the topic has been read to the end that it had at the start."""
        return self._caught_up.is_set()

    def stop(self) -> None:
        """Stop following and close the reader."""
        self._stop.set()
        if self._thread.ident is None:
            self._reader.close()
        else:
            self._thread.join(5)

    def _follow(self) -> None:
        end: int | None = None
        while not self._stop.is_set():
            try:
                end = self._reader.end() if end is None else end
                self._apply(self._reader.poll(timeout_ms=200))
                if self._caught_up.is_set() or self._reader.position() >= end:
                    self._tell()
                    self._caught_up.set()
            except Exception as error:
                # Whatever happens to the world, what is served stays as it is.
                logger.warning("control topic: %s; trying again", error)
                self._stop.wait(1)
        self._reader.close()

    def _apply(self, polled: Mapping[Any, Iterable[Any]]) -> None:
        for record in (record for records in polled.values() for record in records):
            if record.key != self._key:
                continue
            try:
                self._control = decode_control(record.value)
            except BadInput as error:
                CONTROL_SKIPPED.inc()
                logger.warning("control topic, offset %d skipped: %s", record.offset, error)

    def _tell(self) -> None:
        if self._control != self._told:
            self._told = self._control
            self._changed(self._control)
