"""What the benchmarks of delivery post and count: small drawings, and decisions by coordinates.

Knows nothing of how a member works.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kafka import TopicPartition

from moderator.compose import NamedImage, PostRecord, build_record
from moderator.demo.drawings import draw, jpeg, names
from moderator.settings import load_settings
from moderator.streaming import clients
from tests.conftest import TopicNames

SIDE = 64
"""Side of the pictures in pixels: 2 KB each, so that hundreds of thousands fit on a disk."""


def pictures(count: int) -> list[bytes]:
    """Return so many different small pictures as JPEG bytes."""
    kinds = [name for kind in ("firearm", "lookalike", "harmless") for name in names(kind)]
    drawn = (draw(kinds[n % len(kinds)], n // len(kinds), "posted") for n in range(count))
    return [jpeg(image.resize((SIDE, SIDE))) for image in drawn]


def post(pictures: Sequence[bytes], number: int) -> PostRecord:
    """Return post ``number``, which shows one of the pictures."""
    image = NamedImage("0", pictures[number % len(pictures)], "image/jpeg")
    return build_record([image], post_id=f"p{number}", form="binary")


def small_release(folder: Path) -> Path:
    """Write a release whose untrained network is as quick as one can be; return its folder."""
    from tests.models.samples import written

    return Path(written(folder / "small").path)


class Tally:
    """Counts committed decisions by the coordinates of their posts, as they come.

    Args:
        kafka: The broker.
        topics: Whose decisions.
    """

    def __init__(self, kafka: Any, topics: TopicNames) -> None:
        settings = load_settings(topics.overrides(kafka), environ={})
        self._consumer = clients.consumer(settings.kafka, group=False)
        found = self._consumer.partitions_for_topic(topics.decisions) or set()
        self._consumer.assign([TopicPartition(topics.decisions, n) for n in found])
        self._consumer.seek_to_beginning()
        self._seen: set[tuple[int, int]] = set()
        self.total = 0

    def look(self, seconds: float = 0.1) -> int:
        """Read what there is and return how many decisions came so far."""
        for rows in self._consumer.poll(timeout_ms=round(seconds * 1000)).values():
            self.total += len(rows)
            for row in rows:
                source = json.loads(row.value)["source"]
                self._seen.add((source["partition"], source["offset"]))
        return self.total

    @property
    def doubled(self) -> int:
        """How many decisions came for a post that had one."""
        return self.total - len(self._seen)

    def close(self) -> None:
        """Let the consumer go."""
        self._consumer.close(autocommit=False)
