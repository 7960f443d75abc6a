"""Publishing: everything of a batch or nothing, once, whatever fails in between.

The broker here is a small model that knows what is committed; what Kafka itself makes of it is
tested in test_worker.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest
from kafka.errors import (
    CommitFailedError,
    FencedInstanceIdError,
    KafkaConnectionError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    ProducerFencedError,
)
from prometheus_client import REGISTRY

from moderator.canary import CheckedCanary, Expectation
from moderator.decide import Evidence, ImageDecision, LevelScore, PostDecision, TypeScore
from moderator.decisions import Decided, DecidedImage, Outgoing, Provenance
from moderator.errors import Unavailable
from moderator.flood_marks import FloodMarks
from moderator.records import Partition, Post, Record
from moderator.settings import Flood, Topics
from moderator.streaming import publish
from moderator.streaming.epochs import Epochs
from moderator.streaming.publish import Publisher

PARTITIONS = [Partition("posts", n) for n in range(3)]


@dataclass
class Future:
    exception: Exception | None = None
    is_done: bool = True


@dataclass
class Broker:
    """What is committed, and what goes wrong: by the number of a call, over all producers."""

    committed: list[tuple[str, bytes, bytes]] = field(default_factory=list)
    offsets: dict[tuple[str, int], int] = field(default_factory=dict)
    faults: dict[str, list[Exception | None]] = field(default_factory=dict)
    most_bytes: int = 10**9
    producers: list["Producer"] = field(default_factory=list)
    discarded: list["Producer"] = field(default_factory=list)
    groups: list[Any] = field(default_factory=list)
    told: dict[tuple[str, int], str] = field(default_factory=dict)

    def connect(self) -> "Producer":
        self.trip("connect")
        self.producers.append(Producer(self))
        return self.producers[-1]

    def trip(self, call: str) -> None:
        faults = self.faults.get(call)
        if faults and (fault := faults.pop(0)) is not None:
            raise fault


class Producer:
    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.open: list[tuple[str, bytes, bytes]] | None = None
        self.offsets: dict[Any, int] = {}
        self.poisoned = False
        self.ready = False

    def init_transactions(self) -> None:
        self.broker.trip("init")
        self.ready = True

    def begin_transaction(self) -> None:
        assert self.ready and self.open is None
        self.open, self.offsets, self.poisoned = [], {}, False

    def send(self, topic, *, key, value, headers) -> Future:
        if self.open is None:
            self.broker.committed.append((topic, key, value))
            return Future()
        if len(value) > self.broker.most_bytes:
            self.poisoned = True
            return Future(MessageSizeTooLargeError("too large"))
        self.open.append((topic, key, value))
        return Future()

    def flush(self, timeout: float) -> None:
        self.broker.trip("flush")

    def send_offsets_to_transaction(self, offsets, group) -> None:
        assert not self.poisoned, "offsets after a failed record hang for ever"
        self.broker.trip("offsets")
        self.broker.groups.append(group)
        self.offsets = {(p.topic, p.partition): o.offset for p, o in offsets.items()}
        self.broker.told |= {(p.topic, p.partition): o.metadata for p, o in offsets.items()}

    def commit_transaction(self) -> None:
        assert not self.poisoned, "committing after a failed record hangs for ever"
        self.broker.trip("commit")
        self.broker.committed += self.open or []
        self.broker.offsets |= self.offsets
        self.open = None

    def abort_transaction(self) -> None:
        self.broker.trip("abort")
        self.open = None


@dataclass
class Membership:
    commits: dict[Partition, int] = field(default_factory=dict)
    generation: int = 0
    known: bool = True
    member: str = "m-1"
    at_metadata: Callable[[], None] = lambda: None

    def group_metadata(self) -> SimpleNamespace:
        self.generation += 1
        self.at_metadata()
        if not self.known:
            return SimpleNamespace(generation_id=-1, member_id="")
        return SimpleNamespace(generation_id=self.generation, member_id=self.member)

    def commit(self, offsets) -> None:
        self.commits.update({partition: stand.offset for partition, stand in offsets.items()})


@pytest.fixture(autouse=True)
def no_pause(monkeypatch) -> None:
    monkeypatch.setattr(publish, "BACK_OFF", (0.0, 0.0))


@pytest.fixture
def epochs() -> Epochs:
    epochs = Epochs()
    epochs.assign(PARTITIONS)
    for partition in PARTITIONS:
        epochs.rewound(partition)
    return epochs


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def membership() -> Membership:
    return Membership()


@pytest.fixture
def publisher(broker, membership, epochs) -> Publisher:
    return made(broker, membership, epochs)


def made(
    broker,
    membership,
    epochs,
    *,
    exactly_once: bool = True,
    flood: Flood | None = None,
    retries: dict[str, str] | None = None,
) -> Publisher:
    return Publisher(
        broker.connect,
        broker.discarded.append,
        Topics(),
        membership,
        epochs,
        exactly_once=exactly_once,
        timeout=1,
        room=10_000,
        turn=lambda: None,
        floods=FloodMarks(flood or Flood()),
        retry_topics=retries,
    )


def decided(
    epochs: Epochs, partition: int, offset: int, *, malformed: bool = False, size: int = 10
) -> Decided:
    source = PARTITIONS[partition]
    epoch = epochs.snapshot().get(source, 0)
    record = Record(*source, offset, 1000, b"key", b"x" * size, epoch=epoch)
    if malformed:
        post = Post(record, f"p{partition}-{offset}", fault="not JSON")
        return Decided(post, PostDecision("flag", "malformed", cause="not JSON"), (), WHO, 2000)
    evidence = tuple(Evidence(f"{'i' * 200}{n}", "glock", "firearm", 0.9) for n in range(5))
    image = ImageDecision("pass", "no-match", evidence=evidence, view=0)
    post = Post(record, f"p{partition}-{offset}")
    return Decided(post, PostDecision("pass", "no-match"), (DecidedImage("0", image),), WHO, 2000)


WHO = Provenance("r" * 16, "sha256:n", "p" * 16, 0)


def ids(broker: Broker, topic: str = "decisions") -> list[str]:
    return [key.decode() for name, key, _ in broker.committed if name == topic]


def test_a_batch_and_its_offsets_are_committed_together(publisher, broker, epochs) -> None:
    batch = [decided(epochs, 0, 5), decided(epochs, 1, 9), decided(epochs, 0, 6)]
    assert publisher.publish(batch) == 3
    assert ids(broker) == ["p0-5", "p1-9", "p0-6"]
    assert broker.offsets == {("posts", 0): 7, ("posts", 1): 10}


def test_offsets_are_committed_with_the_id_of_the_topic_they_are_of(
    publisher, broker, epochs
) -> None:
    epochs.rewind([PARTITIONS[0]])
    epochs.rewound(PARTITIONS[0], "id-of-posts")
    publisher.publish([decided(epochs, 0, 5), decided(epochs, 1, 9)])
    assert broker.told == {("posts", 0): "id-of-posts", ("posts", 1): ""}


def test_what_cannot_be_judged_goes_to_all_its_topics_at_once(publisher, broker, epochs) -> None:
    publisher.publish([decided(epochs, 0, 5, malformed=True)])
    assert [name for name, _, _ in broker.committed] == [
        "decisions",
        "flagged",
        "posts.dead-letter",
    ]


def test_posts_of_partitions_that_moved_are_left_out_and_the_others_go_on(
    publisher, broker, epochs
) -> None:
    batch = [decided(epochs, 0, 5), decided(epochs, 1, 9)]
    epochs.give_up([PARTITIONS[0]])
    assert publisher.publish(batch) == 1
    assert ids(broker) == ["p1-9"]
    assert broker.offsets == {("posts", 1): 10}


def test_the_membership_is_taken_before_the_epochs_are_looked_at(
    publisher, broker, membership, epochs
) -> None:
    batch = [decided(epochs, 0, 5)]
    membership.at_metadata = lambda: epochs.give_up([PARTITIONS[0]])
    assert publisher.publish(batch) == 0
    assert broker.committed == []


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        ("flush", KafkaTimeoutError("slow")),
        ("offsets", KafkaConnectionError("away")),
        ("offsets", CommitFailedError("generation")),
        ("init", KafkaTimeoutError("slow")),
        ("connect", Unavailable("no broker")),
    ],
)
def test_what_fails_before_the_commit_is_done_again(publisher, broker, epochs, call, fault) -> None:
    broker.faults[call] = [fault]
    assert publisher.publish([decided(epochs, 0, 5)]) == 1
    assert ids(broker) == ["p0-5"]
    assert not publisher.failing


def test_refused_offsets_are_tried_again_with_the_membership_of_then(
    publisher, broker, epochs
) -> None:
    broker.faults["offsets"] = [CommitFailedError("generation"), CommitFailedError("generation")]
    publisher.publish([decided(epochs, 0, 5)])
    assert [group.generation_id for group in broker.groups] == [3]
    # The client would send the refused offsets again with the next transaction's.
    assert len(broker.producers) == 3
    assert len(broker.discarded) == 2


def test_who_is_no_member_commits_nothing(publisher, broker, membership, epochs) -> None:
    batch = [decided(epochs, 0, 5)]
    membership.known = False

    def back_after_two() -> None:
        membership.known = membership.generation >= 3

    membership.at_metadata = back_after_two
    assert publisher.publish(batch) == 1
    assert [group.generation_id for group in broker.groups] == [3]
    assert len(broker.producers) == 1


def test_who_comes_back_as_a_new_member_reads_everything_again(
    publisher, broker, membership, epochs
) -> None:
    assert publisher.publish([decided(epochs, 0, 5)]) == 1
    batch = [decided(epochs, 0, 6)]
    membership.member = "m-2"
    assert publisher.publish(batch) == 0
    assert epochs.rewinding() == set(PARTITIONS)


def test_two_members_of_one_name_are_told_apart(publisher, broker, epochs) -> None:
    broker.faults["offsets"] = [FencedInstanceIdError()] * publish.FENCED_MOST
    with pytest.raises(Unavailable, match="group_instance_id"):
        publisher.publish([decided(epochs, 0, 5)])


def test_posts_left_to_others_are_counted_once_however_often_it_is_tried(
    publisher, broker, epochs
) -> None:
    before = publish.STALE._value.get()
    batch = [decided(epochs, 0, 5), decided(epochs, 1, 9)]
    epochs.give_up([PARTITIONS[0]])
    broker.faults["flush"] = [KafkaTimeoutError("slow")] * 3
    assert publisher.publish(batch) == 1
    assert publish.STALE._value.get() - before == 1


def test_the_client_keeps_refused_offsets_which_is_why_it_is_replaced() -> None:
    """If this fails, kafka-python has mended it, and replacing the producer is needless."""
    from kafka import OffsetAndMetadata, TopicPartition
    from kafka.producer.transaction_manager import TransactionManager, TransactionState

    manager = TransactionManager("t", 1000, api_version=(3, 0), metadata=None)
    manager._pending_txn_offset_commits = {TopicPartition("posts", 0): OffsetAndMetadata(9, "", -1)}
    manager._current_state = TransactionState.ABORTING_TRANSACTION
    manager._complete_transaction()
    assert manager._pending_txn_offset_commits


def test_after_a_commit_whose_end_is_unknown_everything_is_read_again(
    publisher, broker, epochs
) -> None:
    batch = [decided(epochs, 0, 5), decided(epochs, 1, 9)]
    behind = decided(epochs, 2, 3)
    broker.faults["commit"] = [KafkaConnectionError("away")]
    assert publisher.publish(batch) == 0
    assert publisher.publish([behind]) == 0
    assert broker.committed == []
    assert epochs.rewinding() == set(PARTITIONS)
    assert len(broker.producers) == 2
    assert len(broker.discarded) == 1
    # Where the group stands is only asked once the new producer has ended the old transaction.
    assert broker.producers[1].ready


def test_a_record_too_large_is_published_lean_and_the_batch_is_not_lost(
    publisher, broker, epochs
) -> None:
    broker.most_bytes = 1500
    batch = [decided(epochs, 0, 5), decided(epochs, 0, 6, malformed=True, size=5000)]
    assert len(publish.outgoing(batch[0], room=10_000)[0].value) > broker.most_bytes
    assert publisher.publish(batch) == 2
    assert ids(broker) == ["p0-5", "p0-6"]
    first = json.loads(broker.committed[0][2])
    assert first["decision_id"] == "posts-0-5"
    assert first["images"][0]["prototypes"] == []
    dead = [value for name, _, value in broker.committed if name == "posts.dead-letter"]
    assert dead == [b""]


RETRY = "posts.retry.10s"


def with_retry(epochs: Epochs, partition: int, offset: int, size: int = 10) -> Decided:
    """Return a post whose image could not be fetched, and that is to be tried again."""
    found = decided(epochs, partition, offset, size=size)
    image = ImageDecision("flag", "unreachable", cause="timeout")
    retry = Outgoing("retry 10s", b"key", b"x" * size, (("moderator.retry.attempt", b"1"),))
    images = (DecidedImage("0", image),)
    return replace(found, decision=PostDecision("flag", "unreachable"), images=images, retry=retry)


@pytest.mark.parametrize("refused_by", ["a broker", "the client"])
def test_a_record_too_large_costs_its_batch_mates_nothing(
    broker, membership, epochs, refused_by, monkeypatch
) -> None:
    publisher = made(broker, membership, epochs, retries={"retry 10s": RETRY})
    broker.most_bytes = 4000
    if refused_by == "the client":
        monkeypatch.setattr(Producer, "send", sending_no_more_than(4000, Producer.send))
    batch = [
        with_retry(epochs, 0, 0),
        decided(epochs, 0, 1, malformed=True),
        decided(epochs, 0, 2, malformed=True, size=5000),
        with_retry(epochs, 0, 3, size=5000),
        decided(epochs, 1, 4),
    ]
    assert publisher.publish(batch) == 5
    # The first is tried again; the one whose retry does not fit is decided.
    assert ids(broker) == ["p0-1", "p0-2", "p0-3", "p1-4"]
    assert [value for topic, _, value in broker.committed if topic == RETRY] == [b"x" * 10]
    bodies = [value for topic, _, value in broker.committed if topic == "posts.dead-letter"]
    assert bodies == [b"x" * 10, b"", b""]
    decisions = [json.loads(value) for topic, _, value in broker.committed if topic == "decisions"]
    assert decisions[-1]["images"][0]["prototypes"]
    assert broker.offsets == {("posts", 0): 4, ("posts", 1): 5}


def sending_no_more_than(most: int, send: Callable[..., Future]) -> Callable[..., Future]:
    """Return a producer's ``send`` that refuses at once, as kafka-python's does."""

    def refusing(self: Producer, topic: str, *, value: bytes, **given: Any) -> Future:
        if len(value) > most:
            raise MessageSizeTooLargeError("larger than max_request_size")
        return send(self, topic, value=value, **given)

    return refusing


def test_a_record_too_large_is_found_whatever_its_failure_did_to_others(
    publisher, broker, epochs, monkeypatch
) -> None:
    """After the first refusal the client fails what it has not sent, with errors of its own."""
    send = Producer.send

    def failing(self: Producer, topic: str, **given: Any) -> Future:
        future = send(self, topic, **given)
        if self.poisoned and future.exception is None:
            return Future(KafkaConnectionError("the transaction is to be aborted"))
        return future

    monkeypatch.setattr(Producer, "send", failing)
    broker.most_bytes = 1500
    large = decided(epochs, 0, 5)
    assert publisher.publish([large, decided(epochs, 0, 6, malformed=True)]) == 2
    assert len(broker.producers) == 1
    assert ids(broker) == ["p0-5", "p0-6"]


def test_another_producer_of_the_same_id_is_named_after_a_few_times(
    publisher, broker, epochs
) -> None:
    broker.faults["flush"] = [ProducerFencedError()] * publish.FENCED_MOST
    with pytest.raises(Unavailable, match=r"transactional id.*names of its own"):
        publisher.publish([decided(epochs, 0, 5)])
    assert broker.committed == []


def test_who_was_expelled_yields_to_its_successor_and_survives_one_fencing(
    publisher, broker, epochs, monkeypatch
) -> None:
    """Frozen past its session it is fenced once, by the broker's time-out or by a successor."""
    epochs.belong("m-0")
    epochs.belong("m-1")
    for partition in PARTITIONS:
        epochs.rewound(partition)
    broker.faults = {"commit": [ProducerFencedError()]}
    publisher.start()
    publisher.publish([decided(epochs, 0, 1)])
    again = [decided(epochs, 0, 2)]
    broker.faults = {"offsets": [ProducerFencedError()]}
    with pytest.raises(Unavailable, match="transactional id"):
        publisher.publish(again)
    monkeypatch.setattr(publish, "FENCED_AGAIN", 0.0)
    broker.faults = {"offsets": [ProducerFencedError()]}
    publisher._fenced = 0
    assert publisher.publish([decided(epochs, 0, 3)]) == 1


def test_being_fenced_now_and_then_is_survived(publisher, broker, epochs) -> None:
    for offset in range(2 * publish.FENCED_MOST):
        broker.faults["flush"] = [ProducerFencedError()]
        assert publisher.publish([decided(epochs, 0, offset)]) == 1
    assert len(ids(broker)) == 2 * publish.FENCED_MOST


@pytest.mark.parametrize("exactly_once", [True, False])
@pytest.mark.parametrize(
    ("call", "fault"),
    [
        ("flush", KafkaTimeoutError("slow")),
        ("flush", CommitFailedError("generation")),
        ("flush", MessageSizeTooLargeError("too large")),
        ("connect", Unavailable("no broker")),
    ],
)
def test_a_stopped_publisher_that_gave_up_commits_nothing_behind_what_it_gave_up(
    broker, membership, epochs, exactly_once, call, fault
) -> None:
    publisher = made(broker, membership, epochs, exactly_once=exactly_once)
    assert publisher.publish([decided(epochs, 0, 4)]) == 1
    publisher.stop()
    # What succeeds at once is published even now: only a failure ends it.
    assert publisher.publish([decided(epochs, 0, 5)]) == 1
    if call == "connect":
        publisher.close()
    broker.faults[call] = [fault] * 2
    assert publisher.publish([decided(epochs, 0, 6)]) == 0
    # The brokers are back, and the next batches are handed in.
    broker.faults.clear()
    assert publisher.publish([decided(epochs, 0, 7)]) == 0
    assert publisher.publish([decided(epochs, 1, 9)]) == 0
    assert not {"p0-7", "p1-9"} & set(ids(broker))
    assert broker.offsets == ({("posts", 0): 6} if exactly_once else {})
    assert membership.commits == ({} if exactly_once else {PARTITIONS[0]: 6})


def test_who_is_no_member_when_stopped_gives_up_for_good(
    publisher, broker, membership, epochs
) -> None:
    batch, behind = [decided(epochs, 0, 5)], [decided(epochs, 0, 6)]
    publisher.stop()
    membership.known = False
    assert publisher.publish(batch) == 0
    membership.known = True
    assert publisher.publish(behind) == 0
    assert broker.committed == []


def test_at_least_once_publishes_and_then_commits(broker, membership, epochs) -> None:
    publisher = made(broker, membership, epochs, exactly_once=False)
    publisher.publish([decided(epochs, 0, 5), decided(epochs, 1, 7)])
    assert ids(broker) == ["p0-5", "p1-7"]
    assert membership.commits == {PARTITIONS[0]: 6, PARTITIONS[1]: 8}
    assert not broker.producers[0].ready
    broker.faults["flush"] = [KafkaTimeoutError("slow")]
    publisher.publish([decided(epochs, 0, 6)])
    assert membership.commits[PARTITIONS[0]] == 7


def flagged(epochs: Epochs, partition: int, offset: int, prototype: str = "a") -> Decided:
    found = decided(epochs, partition, offset)
    image = ImageDecision("flag", "match", evidence=(Evidence(prototype, "glock", "firearm", 0.9),))
    return replace(
        found,
        decision=PostDecision("flag", "match", worst=0),
        images=(DecidedImage("0", image),),
    )


def test_a_flood_is_marked_alike_however_often_its_batch_is_tried(broker, membership, epochs):
    flood = Flood(flood_least=3, flood_share=0.5, flood_factor=1.0)
    publisher = made(broker, membership, epochs, flood=flood)
    broker.faults["flush"] = [KafkaTimeoutError(), KafkaTimeoutError()]
    assert publisher.publish([flagged(epochs, 0, n) for n in range(4)]) == 4
    said = [json.loads(value) for topic, _, value in broker.committed if topic == "decisions"]
    # Had the attempts that failed been counted, the first two would be marked as well.
    assert [each.get("flood_prototype") for each in said] == [None, None, "a", "a"]
    flags = [json.loads(value) for topic, _, value in broker.committed if topic == "flagged"]
    assert [each.get("flood", False) for each in flags] == [False, False, True, True]
    assert {each["reason"] for each in said} == {"match"}


def test_of_a_canary_only_the_decision_is_published(broker, membership, epochs) -> None:
    publisher = made(broker, membership, epochs)
    canary = CheckedCanary(Expectation("pass"), right=False)
    malformed = decided(epochs, 0, 1, malformed=True)
    batch = [flagged(epochs, 0, 0), malformed]
    assert publisher.publish([replace(each, canary=canary) for each in batch]) == 2
    assert [topic for topic, _, _ in broker.committed] == ["decisions", "decisions"]
    assert broker.offsets == {("posts", 0): 2}


def test_flags_are_counted_by_mechanism_where_a_head_names_one(publisher, epochs) -> None:
    def count(name: str) -> float:
        labels = {"mechanism": name}
        value = REGISTRY.get_sample_value("moderator_flags_by_mechanism_total", labels)
        return value or 0.0

    mechanisms = (LevelScore("revolver", 0.7), LevelScore("automatic", 0.3))
    types = (TypeScore("colt", "pistol", "Colt", 0.9),)
    post = PostDecision("flag", "match", types, worst=0, mechanisms=mechanisms)
    named = [replace(flagged(epochs, 0, n), decision=post) for n in (1, 2)]
    named[0] = replace(named[0], canary=CheckedCanary(Expectation("flag"), right=True))
    before = [count(each.name) for each in mechanisms]
    publisher.publish([flagged(epochs, 0, 0), *named])
    assert [count(each.name) for each in mechanisms] == [before[0] + 1, before[1]]
