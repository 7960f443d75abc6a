"""The control: members without their guard, which must double or lose, or the suite proves nothing.

One of two members is frozen in the middle of its work until the group has given its partitions to
the other, and then goes on. With its guard it leaves out what is no longer its own.
"""

import os
import signal
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from kafka import KafkaProducer

from moderator.compose import PostRecord
from tests.chaos.crew import Crew, owned, until
from tests.chaos.ledger import Count, counted, decisions, posted, source
from tests.chaos.watch import ends_of
from tests.conftest import TopicNames
from tests.services.kafka import KafkaService

PARTITIONS = 2
PATIENCE = 90.0
FLIGHT = 4
"""Posts in a batch: many batches are then on their way when a member is frozen."""


@dataclass(frozen=True)
class Control:
    """What a reader of committed decisions finds, and what one of all decisions finds."""

    committed: Count
    everything: Count


def control(
    kafka: KafkaService,
    release: Path,
    records: Iterable[PostRecord],
    folder: Path,
    *,
    module: str,
    environ: Mapping[str, str],
) -> Control:
    """Freeze a member beyond its session with batches in flight, let it go on, and count.

    Args:
        kafka: The broker.
        release: What is served.
        records: What is posted, some hundreds.
        folder: Takes the members' logs.
        module: What members run.
        environ: Added to their environment.
    """
    topics = TopicNames.unique()
    topics.create(kafka, partitions=PARTITIONS)
    settings = topics.overrides(kafka) | {
        "release": str(release),
        "max_batch": str(FLIGHT),
        "batches_in_flight": "16",
    }
    crew = Crew(settings, folder, module=module, environ=environ)
    try:
        return _run(kafka, topics, crew, records)
    finally:
        crew.close()


def _run(
    kafka: KafkaService, topics: TopicNames, crew: Crew, records: Iterable[PostRecord]
) -> Control:
    lives = [crew.start(name) for name in ("a", "b")]
    assert until(crew, lambda: all(len(owned(life)) == 1 for life in lives), PATIENCE), crew.faults
    total = _post(kafka, topics.posts, records)
    frozen, other = lives
    assert until(crew, lambda: _decided(frozen) > 0, PATIENCE)
    os.kill(frozen.member.process.pid, signal.SIGSTOP)
    frozen.frozen = True
    try:
        assert until(crew, lambda: len(owned(other)) == PARTITIONS, PATIENCE)
        assert until(crew, lambda: _decided(other) > total / PARTITIONS, PATIENCE)
    finally:
        os.kill(frozen.member.process.pid, signal.SIGCONT)
        frozen.frozen = False
    assert until(crew, lambda: len(owned(frozen)) == 1 and crew.all_ready, PATIENCE), crew.faults
    assert until(crew, lambda: _complete(kafka, topics, total), PATIENCE)
    crew.leave_all()
    return _counted(kafka, topics)


def _post(kafka: KafkaService, topic: str, records: Iterable[PostRecord]) -> int:
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap_servers)
    futures = [
        producer.send(
            topic,
            key=record.key,
            value=record.value,
            headers=list(record.headers),
            partition=n % PARTITIONS,
        )
        for n, record in enumerate(records)
    ]
    for future in futures:
        future.get(30)
    producer.close()
    return len(futures)


def _decided(life) -> float:
    """Return how many decisions a member has published."""
    return life.member.metric("moderator_publish_seconds_count") * FLIGHT


def _complete(kafka: KafkaService, topics: TopicNames, total: int) -> bool:
    with kafka.admin() as admin:
        found = admin.list_group_offsets([topics.group])[topics.group]
    return sum(max(0, at.offset) for at in found.values()) >= total


def _counted(kafka: KafkaService, topics: TopicNames) -> Control:
    wanted = posted(topics.posts, ends_of(kafka.bootstrap_servers, topics.posts))
    committed, everything = (
        counted(
            wanted,
            map(source, decisions(kafka.read(topics.decisions, expect=len(wanted), committed=c))),
        )
        for c in (True, False)
    )
    return Control(committed, everything)
