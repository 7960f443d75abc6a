"""Members that come, go, hang and are cut off, on the real Kafka: nothing lost, nothing doubled.

What the design's section 4 promises beyond crashes (which are test_worker's): static membership,
partitions that stay and keep flowing, draining, zombies, hangs, vanished offsets, wall clocks.
"""

import json
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kafka import TopicPartition

from moderator.compose import NamedImage, PostRecord, build_record
from moderator.settings import load_settings
from moderator.streaming import clients
from moderator.streaming.resuming import mend_resuming
from tests.moderator.member import PATIENCE, Member, Network, until

pytestmark = pytest.mark.timeout(300)

PARTITIONS = 4

LONGEST_GAP = 6.0
"""Seconds without a decision on a partition that stays: less than the session that a member which
stopped for the rebalance would lose; what is measured is printed."""


@pytest.fixture
def network(kafka, topics) -> Iterator[Network]:
    topics.create(kafka, partitions=PARTITIONS)
    network = Network(kafka, topics)
    yield network
    network.close()


@pytest.fixture
def member(kafka, topics, tiny_release, tmp_path) -> Iterator[Callable[..., Member]]:
    """Start members of the group; they are gone after the test."""
    members: list[Member] = []

    def start(name: str = "0", faults: Path | None = None, **settings: str) -> Member:
        given = topics.overrides(kafka) | {"release": str(tiny_release.path)} | settings
        members.append(Member(given, tmp_path, name, faults=faults))
        return members[-1]

    yield start
    for each in members:
        each.close()


@pytest.fixture
def faults(tmp_path) -> Path:
    folder = tmp_path / "faults"
    folder.mkdir()
    return folder


def one(data: bytes) -> PostRecord:
    """Return a post of one image."""
    return build_record([NamedImage("0", data, "image/jpeg")], post_id="p", form="binary")


class Flow:
    """Posts to every partition, one after the other, and when each one's decisions came."""

    def __init__(self, network: Network, kafka: Any, data: bytes, every: float) -> None:
        self._network = network
        self._record = one(data)
        self._every = every
        self._stop = threading.Event()
        settings = load_settings(network.topics.overrides(kafka), environ={})
        self._consumer = clients.consumer(settings.kafka, group=False)
        keys = [TopicPartition(network.topics.decisions, n) for n in range(PARTITIONS)]
        self._consumer.assign(keys)
        self._consumer.seek_to_beginning()
        self.sent = 0
        self.came: dict[int, list[float]] = defaultdict(list)
        self._threads = [threading.Thread(target=t) for t in (self._post, self._watch)]

    def _post(self) -> None:
        while not self._stop.wait(self._every):
            self._network.send(
                f"p{self.sent}".encode(),
                self._record.value,
                self._record.headers,
                self.sent % PARTITIONS,
            )
            self.sent += 1

    def _watch(self) -> None:
        while not self._stop.is_set():
            for rows in self._consumer.poll(timeout_ms=100).values():
                now = time.monotonic()
                for row in rows:
                    self.came[json.loads(row.value)["source"]["partition"]].append(now)

    @property
    def decided(self) -> int:
        return sum(map(len, self.came.values()))

    def longest(self, partition: int, since: float, until: float) -> float:
        """Return the longest time without a decision of a partition in a span, in seconds."""
        inside = [at for at in self.came[partition] if since <= at <= until]
        return max(b - a for a, b in zip([since, *inside], [*inside, until], strict=True))

    def close(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        self._consumer.close(autocommit=False)


@contextmanager
def flowing(network: Network, kafka: Any, data: bytes, every: float = 0.02) -> Iterator[Flow]:
    flow = Flow(network, kafka, data, every)
    for thread in flow._threads:
        thread.start()
    try:
        yield flow
    finally:
        flow.close()


def owned(member: Member, topics: Any) -> set[int]:
    """Return the partitions whose positions a member reports."""
    series = "moderator_position_offset{"
    return {
        int(line.partition('partition="')[2].partition('"')[0])
        for line in member.get("/metrics")[1].splitlines()
        if line.startswith(series) and topics.posts in line
    }


def rebalances(member: Member) -> float:
    kinds = ("assigned", "revoked", "lost")
    return sum(member.metric(f'moderator_rebalances_total{{kind="{kind}"}}') for kind in kinds)


def drain(member: Member, topics: Any, kafka: Any, **given: str) -> subprocess.CompletedProcess:
    leave = ["--leave"] if given.pop("leave", "") else []
    settings = topics.overrides(kafka) | {"http_port": str(member.port)} | given
    pairs = [text for item in settings.items() for text in ("--set", "=".join(item))]
    return subprocess.run(
        [sys.executable, "-m", "moderator", "drain", *leave, *pairs],
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_partitions_that_stay_keep_flowing_while_members_join_and_leave(
    kafka, network, member, topics, drawn
) -> None:
    first = member("a", max_batch="8").await_ready()
    until(lambda: len(owned(first, topics)) == PARTITIONS, "all partitions")
    with flowing(network, kafka, drawn("revolver")) as flow:
        until(lambda: flow.decided > 100, "a flow")
        second = member("b", max_batch="8").await_ready()
        # From here on only the group's own work counts, not the start of a process.
        began = time.monotonic()
        until(lambda: len(owned(second, topics)) == PARTITIONS // 2, "a share")
        until(lambda: len(owned(first, topics)) == PARTITIONS // 2, "the rest")
        joined = time.monotonic() - began
        stayed = owned(first, topics)
        mark = time.monotonic()
        time.sleep(1)
        leaving = time.monotonic()
        assert second.stop() == 0
        until(lambda: len(owned(first, topics)) == PARTITIONS, "all partitions again")
        left = time.monotonic() - leaving
        time.sleep(1)
        end = time.monotonic()
        gaps = {p: flow.longest(p, began - 5, end) for p in range(PARTITIONS)}
        moved = set(range(PARTITIONS)) - stayed
    print(
        f"join: shares within {joined:.2f} s of readiness; leave: {left:.2f} s with the drain; "
        f"longest gap on partitions that stay {max(gaps[p] for p in stayed):.2f} s, "
        f"on those that move {max(gaps[p] for p in moved):.2f} s; steady flow "
        f"{max(flow.longest(p, mark, mark + 1) for p in range(PARTITIONS)):.2f} s"
    )
    assert max(gaps[p] for p in stayed) < LONGEST_GAP
    assert network.ledger(flow.sent) == network.sources
    assert first.stop() == 0


def test_a_static_member_that_restarts_in_time_moves_nothing(
    kafka, network, member, topics, drawn
) -> None:
    static = {"session_timeout": "30", "max_batch": "8"}
    first = member("a", group_instance_id="a", **static).await_ready()
    second = member("b", group_instance_id="b", **static).await_ready()
    until(lambda: len(owned(second, topics)) == PARTITIONS // 2, "a share")
    until(lambda: len(owned(first, topics)) == PARTITIONS // 2, "the rest")
    with flowing(network, kafka, drawn("revolver")) as flow:
        until(lambda: flow.decided > 50, "a flow")
        before, its, mine = rebalances(first), owned(second, topics), owned(first, topics)
        began = time.monotonic()
        assert second.stop() == 0
        again = member("b", group_instance_id="b", **static).await_ready()
        until(lambda: owned(again, topics) == its, "its own partitions")
        until(lambda: again.metric("moderator_records_read_total") > 0, "its own posts")
        restarted = time.monotonic() - began
        time.sleep(1)
        assert rebalances(first) == before
        assert owned(first, topics) == mine
        stay = max(flow.longest(p, began, time.monotonic()) for p in mine)
    print(
        f"static restart: {restarted:.1f} s until it reads again, no rebalance of the other, "
        f"whose longest gap was {stay:.2f} s"
    )
    assert stay < LONGEST_GAP
    assert network.ledger(flow.sent) == network.sources
    assert {first.stop(), again.stop()} == {0}


def test_draining_and_leaving_hand_partitions_over_at_once(
    kafka, network, member, topics, drawn
) -> None:
    static = {"session_timeout": "60", "transaction_timeout": "5", "max_batch": "8"}
    first = member("a", group_instance_id="a", **static).await_ready()
    second = member("b", group_instance_id="b", **static).await_ready()
    until(lambda: len(owned(second, topics)) == PARTITIONS // 2, "a share")
    with flowing(network, kafka, drawn("revolver")) as flow:
        until(lambda: flow.decided > 50, "a flow")
        wrong = drain(second, topics, kafka, instance="a")
        assert wrong.returncode == 2
        assert second.process.poll() is None
        began = time.monotonic()
        done = drain(second, topics, kafka, instance="b", group_instance_id="b", leave="yes")
        assert (done.returncode, second.process.wait(5)) == (0, 0), done.stdout + done.stderr
        until(lambda: len(owned(first, topics)) == PARTITIONS, "all partitions")
        left = time.monotonic() - began
        # One that died: its place would be kept for the 60 s of its session.
        third = member("c", group_instance_id="c", **static).await_ready()
        until(lambda: len(owned(third, topics)) == PARTITIONS // 2, "a share")
        third.kill()
        began = time.monotonic()
        dead = drain(third, topics, kafka, instance="c", group_instance_id="c", leave="yes")
        until(lambda: len(owned(first, topics)) == PARTITIONS, "all partitions again")
        gone = time.monotonic() - began
        assert dead.returncode == 0, dead.stdout + dead.stderr
        again = drain(third, topics, kafka, instance="c", group_instance_id="c", leave="yes")
        assert (again.returncode, "nothing to leave" in again.stdout) == (0, True)
    print(f"{done.stdout}{dead.stdout}all moved {left:.1f} s after the call, {gone:.1f} s for dead")
    assert max(left, gone) < 30
    assert network.ledger(flow.sent) == network.sources
    assert first.stop() == 0


def test_a_zombie_whose_successor_has_its_names_doubles_nothing(
    kafka, network, member, drawn
) -> None:
    zombie = member("a", max_batch="2").await_ready()
    with flowing(network, kafka, drawn("revolver")) as flow:
        until(lambda: flow.decided > 30, "a flow")
        zombie.process.send_signal(signal.SIGSTOP)
        successor = member("a", max_batch="2").await_ready()
        stood = flow.decided
        until(lambda: flow.decided > stood + 100, "work of the successor")
        zombie.process.send_signal(signal.SIGCONT)
        # Two processes of one name fence each other until the one that was expelled gives up.
        time.sleep(8)
        stood = flow.decided
        until(lambda: flow.decided > stood + 100, "work after the zombie woke")
    living = [each for each in (zombie, successor) if each.process.poll() is None]
    print(f"fenced: {[each.log.read_text().count('Fenced') for each in (zombie, successor)]}, "
          f"living: {[each is successor for each in living]}")  # fmt: skip
    assert network.ledger(flow.sent) == network.sources
    assert living


def consumer_of(kafka: Any, topics: Any) -> Any:
    consumer = clients.consumer(
        load_settings(topics.overrides(kafka), environ={}).kafka, group=False
    )
    keys = [TopicPartition(topics.posts, n) for n in (0, 1)]
    consumer.assign(keys)
    consumer.seek_to_beginning()
    return consumer


def read_with_one_paused(consumer: Any, topics: Any) -> int:
    """Pause a partition in the midst of its records while the other flows; return what came."""
    one, other = (TopicPartition(topics.posts, n) for n in (0, 1))
    came = 0
    deadline = time.monotonic() + PATIENCE
    while not consumer._fetcher._next_partition_records and time.monotonic() < deadline:
        came += sum(map(len, consumer.poll(timeout_ms=100, max_records=3).values()))
    held = consumer._fetcher._next_partition_records.topic_partition
    consumer.pause(held)
    flowing_one = other if held == one else one
    while consumer.position(flowing_one) < 40 and time.monotonic() < deadline:
        came += sum(map(len, consumer.poll(timeout_ms=100, max_records=100).values()))
    consumer.resume(held)
    idle = time.monotonic() + 3
    while came < 80 and time.monotonic() < idle:
        came += sum(map(len, consumer.poll(timeout_ms=100, max_records=100).values()))
    consumer.close(autocommit=False)
    return came


def test_a_partition_that_was_paused_alone_is_read_on(kafka, network, topics) -> None:
    for n in range(80):
        network.send(b"k", b"v", (), n % 2)
    mended = consumer_of(kafka, topics)
    mend_resuming(mended)
    assert read_with_one_paused(mended, topics) == 80
    # Else the client needs no mending any more.
    assert read_with_one_paused(consumer_of(kafka, topics), topics) < 80


@pytest.mark.parametrize("held", ["poll", "commit"])
def test_what_hangs_makes_livez_fail_and_loses_nothing(
    kafka, network, member, drawn, faults, held
) -> None:
    worker = member(
        faults=faults, stall_timeout="5", decode_timeout="2", session_timeout="20"
    ).await_ready()
    with flowing(network, kafka, drawn("revolver")) as flow:
        until(lambda: flow.decided > 20, "a flow")
        (faults / held).touch()
        until((faults / f"{held}.at").exists, "the hang")
        began = time.monotonic()
        until(lambda: worker.get("/livez")[0] == 503, "a failing probe", 15)
        print(f"{held}: /livez fails after {time.monotonic() - began:.1f} s of a limit of 5 s")
        assert {"poll": "reading", "commit": "publish"}[held] in worker.get("/livez")[1]
        (faults / held).unlink()
        until(lambda: worker.get("/livez")[0] == 200, "life")
        stood = flow.decided
        until(lambda: flow.decided > stood + 20, "a flow again")
    assert network.ledger(flow.sent) == network.sources
    assert worker.stop() == 0


def test_a_broker_that_goes_while_a_batch_commits_is_waited_for(
    kafka, network, member, drawn, faults
) -> None:
    worker = member(
        faults=faults, max_batch="8", stall_timeout="5", decode_timeout="2"
    ).await_ready()
    for n in range(40):
        network.post(one(drawn("revolver")), n % 4)
    until(lambda: network.committed() >= 8, "some decisions")
    (faults / "commit").touch()
    for n in range(40):
        network.post(one(drawn("pistol")), n % 4)
    until((faults / "commit.at").exists, "an open transaction")
    kafka.kill()
    try:
        (faults / "commit").unlink()
        until(lambda: worker.get("/readyz")[0] == 503, "being unready")
        # Longer than what counts as a stall: waiting for the world is not one.
        for _ in range(16):
            assert worker.get("/livez") == (200, "ok\n")
            time.sleep(0.5)
    finally:
        kafka.start()
    began = time.monotonic()
    until(lambda: worker.ready, "being ready again")
    print(f"ready {time.monotonic() - began:.1f} s after the broker")
    assert network.ledger(80) == network.sources
    assert worker.stop() == 0


def test_a_broker_that_is_not_there_yet_is_waited_for(kafka, network, member, drawn) -> None:
    kafka.kill()
    try:
        worker = member(start_timeout="0")
        until(lambda: worker.get("/livez")[0] == 200, "life")
        time.sleep(3)
        assert worker.get("/readyz")[0] == 503
        assert worker.process.poll() is None
    finally:
        kafka.start()
    worker.await_ready()
    network.post(one(drawn("revolver")))
    assert network.ledger(1) == network.sources
    assert worker.stop() == 0


def test_a_frozen_broker_is_unready_and_its_open_transactions_end(
    kafka, network, member, drawn
) -> None:
    worker = member(max_batch="4").await_ready()
    with flowing(network, kafka, drawn("revolver")) as flow:
        until(lambda: flow.decided > 20, "a flow")
        kafka.freeze()
        try:
            until(lambda: worker.get("/readyz")[0] == 503, "being unready")
            time.sleep(4)
            assert worker.get("/livez") == (200, "ok\n")
        finally:
            kafka.thaw()
        until(lambda: worker.ready, "being ready again")
        stood = flow.decided
        until(lambda: flow.decided > stood + 20, "a flow again")
    assert network.ledger(flow.sent) == network.sources
    assert worker.stop() == 0


def test_vanished_offsets_are_counted_and_named_and_the_rest_is_decided(
    kafka, network, member, topics, drawn
) -> None:
    record = one(drawn("revolver"))
    worker = member().await_ready()
    for n in range(8):
        network.post(record, n % 2)
    until(lambda: network.committed() >= 8, "decisions")
    assert worker.stop() == 0
    for n in range(20):
        network.post(record, n % 2)
    with kafka.admin() as admin:
        admin.delete_records({TopicPartition(topics.posts, 0): 9})
    worker = member().await_ready()
    until(lambda: network.committed() >= 8 + 15, "what is left")
    lost = sorted((t, p, o) for t, p, o in network.sources if p == 0 and 4 <= o < 9)
    for each in lost:
        del network.sources[each]
    assert len(lost) == 5
    assert network.ledger(23) == network.sources
    labels = f'{{partition="0",topic="{topics.posts}"}}'
    assert worker.metric(f"moderator_offsets_lost_total{labels}") == 5
    assert f"{topics.posts}-0: offsets 4 to 8 are gone" in worker.log.read_text()
    assert worker.stop() == 0


def test_a_wall_clock_that_jumps_changes_nothing(kafka, network, member, drawn, faults) -> None:
    worker = member(faults=faults, max_batch="8").await_ready()
    with flowing(network, kafka, drawn("revolver")) as flow:
        for jump in (0, 7200, -7200, 0):
            (faults / "clock").write_text(str(jump))
            stood = flow.decided
            until(lambda stood=stood: flow.decided > stood + 40, f"a flow at {jump} s")
            assert worker.ready
            assert worker.get("/livez") == (200, "ok\n")
    assert network.ledger(flow.sent) == network.sources
    assert worker.metric("moderator_publishing_failing") == 0
    assert worker.stop() == 0
