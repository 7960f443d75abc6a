"""The prototypes topic on the real Kafka: compacted for real, and deleted and made anew."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from moderator.following import MADE_ANEW
from moderator.match import Matcher
from moderator.overlay import Overlay, encode_removal
from moderator.settings import load_settings
from moderator.streaming.topic_reader import TopicReader
from tests.moderator.member import until
from tests.moderator.test_overlay import DIGEST, NETWORK, D, encoded, matcher, nearest

pytestmark = pytest.mark.timeout(150)

COMPACTED = {
    "cleanup.policy": "compact",
    "segment.ms": "50",
    "min.cleanable.dirty.ratio": "0.0001",
    "min.compaction.lag.ms": "0",
    "delete.retention.ms": "0",
}


@pytest.fixture
def settings(kafka, topics):
    return load_settings(topics.overrides(kafka), environ={})


@pytest.fixture
def send(settings, topics) -> Iterator[Callable[[bytes, bytes | None], None]]:
    from moderator.streaming import clients

    producer = clients.producer(settings.kafka, transactional=False)

    def _send(key: bytes, value: bytes | None) -> None:
        producer.send(topics.prototypes, key=key, value=value, partition=0).get(30)

    yield _send
    clients.discard(producer)


@contextmanager
def following(settings, topics) -> Iterator[tuple[Overlay, Matcher]]:
    """Follow the topic as a member does, up to the end that it has now."""
    ours = matcher()
    overlay = Overlay(TopicReader(settings.kafka, topics.prototypes), ours, NETWORK, D)
    overlay.start()
    try:
        assert overlay.wait(60)
        yield overlay, ours
    finally:
        overlay.stop()


def test_members_agree_once_compaction_has_run(kafka, topics, settings, send) -> None:
    kafka.create(topics.prototypes, config=COMPACTED)
    old = f"{NETWORK}/old".encode()
    override = encoded("o", embedding=None, kind="override", firearm="", digest=DIGEST)
    for record in (
        encoded("n"),
        encoded("old"),
        encoded("gone"),
        override,
        encode_removal("r", NETWORK),
        encode_removal("gone", NETWORK),
        encoded("m", firearm="glock"),
        (old, None),
        encoded("m", firearm="m4"),
    ):
        send(*record)
    with following(settings, topics) as (_, early):

        def cleaned() -> bool:
            # Segments are closed, and cleaned, as others come after them.
            send(*encoded("filler", firearm="ak"))
            time.sleep(0.2)
            keys = [record.key for record in kafka.read(topics.prototypes, quiet=1.0)]
            return old.decode() not in keys and keys.count(f"{NETWORK}/m") == 1

        until(cleaned, "the log cleaner", 60)
        with following(settings, topics) as (_, late):
            last = late.served.overlay
            until(lambda: early.served.overlay >= last, "the member that was there before")
            assert early.served.overlay == last
            assert set(nearest(early)) == set(nearest(late)) == {"n", "m", "filler"}
            assert early.served.overrides == late.served.overrides
            assert DIGEST in late.served.overrides
            assert early.served.types == late.served.types


@pytest.mark.parametrize("more", [1, 9])
def test_a_topic_deleted_and_made_anew_is_noticed(kafka, topics, settings, send, more) -> None:
    """Whether the new one is shorter or longer than what was read of the old one."""
    kafka.create(topics.prototypes, config={"cleanup.policy": "compact"})
    for record in (encoded("n"), encoded("m"), encode_removal("r", NETWORK)):
        send(*record)
    counter = MADE_ANEW.labels(topics.prototypes)
    before = counter._value.get()
    with following(settings, topics) as (_, ours):
        assert set(nearest(ours)) == {"n", "m"}
        with kafka.admin() as admin:
            admin.delete_topics([topics.prototypes])
            until(lambda: topics.prototypes not in admin.list_topics(), "the topic being gone")
        kafka.create(topics.prototypes, config={"cleanup.policy": "compact"})
        for number in range(more):
            turned = np.roll(np.array([0.6, 0.8, 0.0], np.float32), number)
            send(*encoded(f"new{number}", embedding=turned))
        new = {f"new{number}" for number in range(more)} | {"r"}
        until(lambda: set(nearest(ours)) == new, "what the new topic says", 60)
        assert ours.served.overlay == more
    # Twice where the brokers tell that the old records are gone before they tell the new id.
    assert counter._value.get() in (before + 1, before + 2)
