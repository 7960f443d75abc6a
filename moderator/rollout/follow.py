"""Follow the control topic: tell of each change of what this group is to serve.

Every member reads the topic by itself, outside the consumer group. Loads no release.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any

from prometheus_client import Counter

from moderator.errors import BadInput
from moderator.following import TopicFollower, TopicReading
from moderator.rollout.control import Control, decode_control

logger = logging.getLogger(__name__)

CONTROL_SKIPPED = Counter(
    "moderator_control_skipped_total",
    "Records of the control topic that could not be read; what was set before them holds.",
)


class Follower(TopicFollower):
    """Reads the control topic on a thread of its own.

    Args:
        reader: Of the topic's one partition, from its beginning; it is closed in the end.
        group: Whose records count.
        changed: Is told what holds once the topic was read to its end, and of each change after.
    """

    def __init__(
        self, reader: TopicReading, group: str, changed: Callable[[Control], None]
    ) -> None:
        super().__init__(reader, "control")
        self._key = group.encode()
        self._changed = changed
        self._control = Control()
        self._told: Control | None = None

    def _restart(self) -> None:
        self._control = Control()

    def _apply(self, records: Sequence[Any], reached: int, *, at_end: bool) -> None:  # noqa: ARG002
        for record in records:
            if record.key != self._key:
                continue
            try:
                self._control = decode_control(record.value)
            except BadInput as error:
                CONTROL_SKIPPED.inc()
                logger.warning("control topic, offset %d skipped: %s", record.offset, error)
        if at_end and self._control != self._told:
            self._told = self._control
            self._changed(self._control)
