"""``moderator check`` against the real Kafka and Redis, in order and with things wrong."""

import io
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress

import pytest
from kafka import TopicPartition
from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    OffsetSpec,
    ResourcePattern,
    ResourceType,
)
from kafka.errors import NoOffsetForPartitionError
from rich.console import Console

from moderator.check import _evidence, _guarded, run_check
from moderator.settings import load_settings
from moderator.streaming import clients
from tests.chaos.disk import small_disk
from tests.services.kafka import SASL_PASSWORD, SASL_USERNAME
from tests.services.process import free_port

LIMITS = {"max_post_bytes": str(2**20), "start_timeout": "3"}


def check(tiny_release, overrides) -> tuple[int, dict[str, tuple[str, str]]]:
    """Return the exit code, and (level, rest of the line) by what was checked."""
    settings = load_settings({"release": str(tiny_release.path), **LIMITS, **overrides}, environ={})
    out = Console(file=io.StringIO(), width=40)
    code = run_check(settings, out)
    found = {}
    for line in out.file.getvalue().splitlines():
        level, what, *rest = line.split("  ", 1)[0:1] + line[6:].split("  ", 1)
        found[what] = (level.strip(), *rest)
    return code, found


def failed(found: dict[str, tuple[str, str]]) -> list[str]:
    return [what for what, (level, _) in found.items() if level == "FAIL"]


@pytest.fixture
def as_member(kafka) -> dict[str, str]:
    """The settings of a user with a password."""
    return {
        "bootstrap_servers": kafka.sasl_bootstrap_servers,
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "PLAIN",
        "sasl_username": SASL_USERNAME,
        "sasl_password": SASL_PASSWORD,
    }


@pytest.fixture
def rules(kafka) -> Iterator:
    """Add access rules for the user with a password; all are gone afterwards."""
    added = []

    def only(kind: str, name: str, *operations: str) -> None:
        """Allow these operations alone; once there is a rule, nobody else may do anything."""
        pattern = ResourcePattern(ResourceType[kind], name)
        acls = [
            ACL(f"User:{SASL_USERNAME}", "*", ACLOperation[each], ACLPermissionType.ALLOW, pattern)
            for each in operations
        ]
        with kafka.admin() as admin:
            assert not admin.create_acls(acls)["failed"]
        added.extend(acls)
        time.sleep(0.5)

    yield only
    with kafka.admin() as admin:
        admin.delete_acls(
            [
                ACLFilter(a.principal, a.host, a.operation, a.permission_type, a.resource_pattern)
                for a in added
            ]
        )


def test_with_all_in_order_nothing_fails_and_nothing_is_changed(
    kafka, redis_service, topics, tiny_release, tmp_path
) -> None:
    topics.create(kafka)
    before = state(kafka, topics)
    folder = tmp_path / "evidence"
    overrides = {**topics.overrides(kafka), "redis_url": redis_service.url}
    overrides["evidence_url"] = str(folder)
    code, found = check(tiny_release, overrides)
    assert (code, failed(found)) == (0, []), found
    assert found[f"release {tiny_release.path}"][0] == "ok"
    assert found["network"][0] == "ok"
    assert found["redis"] == ("ok", "answers")
    assert found["evidence"] == ("ok", f"can be kept at {folder}")
    assert not folder.exists()
    assert "1 broker" in found["brokers"][1]
    assert found[f"topic {topics.posts}"] == (
        "WARN",
        "2 partitions, one copy of each  keep three replicas, outside of development",
    )
    for what in (
        f"read {topics.posts}",
        f"write {topics.decisions}",
        f"write {topics.flagged}",
        f"write {topics.dead_letter}",
        f"read {topics.prototypes}",
        f"join group {topics.group}",
        f"transactions as {topics.group}-0-0",
    ):
        assert found[what] == ("ok", "permitted")
    assert state(kafka, topics) == before


def state(kafka, topics) -> tuple:
    """What the broker has: topics, groups, transactional ids, and how far topics are written."""
    with kafka.admin() as admin:
        transactions = [t for some in admin.list_transactions().values() for t in some]
        written = (topics.posts, topics.decisions, topics.flagged, topics.dead_letter)
        ends = {TopicPartition(topic, 0): OffsetSpec.LATEST for topic in written}
        offsets = admin.list_partition_offsets(ends)
        return (
            # The brokers make their own, such as __consumer_offsets, when first asked for a group.
            sorted(name for name in admin.list_topics() if not name.startswith("__")),
            sorted(str(group) for group in admin.list_groups()),
            sorted(map(str, transactions)),
            str(offsets),
        )


def test_absent_topics_are_named_and_not_created(kafka, topics, tiny_release) -> None:
    code, found = check(tiny_release, topics.overrides(kafka))
    assert code == 1
    assert failed(found) == [f"topic {name}" for name in
                             (topics.posts, topics.decisions, topics.flagged, topics.dead_letter,
                              topics.prototypes, topics.control)]  # fmt: skip
    assert found[f"topic {topics.shadow}"][0] == "WARN"
    assert "moderator topics create" in found[f"topic {topics.posts}"][1]
    with kafka.admin() as admin:
        assert not {topics.posts, topics.decisions}.intersection(admin.list_topics())


def test_each_missing_permission_is_found(kafka, topics, tiny_release, as_member, rules) -> None:
    topics.create(kafka)
    rules("TOPIC", topics.posts, "DESCRIBE", "DESCRIBE_CONFIGS")
    rules("TOPIC", topics.decisions, "READ", "DESCRIBE_CONFIGS")
    rules("TOPIC", topics.flagged, "WRITE", "DESCRIBE_CONFIGS")
    rules("TOPIC", topics.dead_letter, "WRITE")
    rules("TOPIC", topics.prototypes, "ALTER_CONFIGS")
    rules("GROUP", topics.group, "DESCRIBE")
    rules("TRANSACTIONAL_ID", f"{topics.group}-0-0", "DESCRIBE")
    code, found = check(tiny_release, {**topics.overrides(kafka), **as_member})
    assert code == 1
    assert failed(found) == [
        f"topic {topics.prototypes}",
        f"read {topics.posts}",
        f"write {topics.decisions}",
        f"join group {topics.group}",
        f"transactions as {topics.group}-0-0",
    ]
    assert found[f"write {topics.flagged}"][0] == "ok"
    assert found[f"size limit of {topics.dead_letter}"][0] == "WARN"
    assert (
        f"User:{SASL_USERNAME} --operation Read --topic {topics.posts}"
        in (found[f"read {topics.posts}"][1])
    )


def test_just_the_permissions_it_asks_for_are_enough(
    kafka, topics, tiny_release, as_member, rules
) -> None:
    topics.create(kafka)
    for name in (topics.posts, topics.prototypes, topics.control):
        rules("TOPIC", name, "READ")
    for name in (topics.decisions, topics.flagged, topics.dead_letter, topics.shadow):
        rules("TOPIC", name, "WRITE")
    rules("GROUP", topics.group, "READ")
    rules("TRANSACTIONAL_ID", f"{topics.group}-0-0", "WRITE", "DESCRIBE")
    code, found = check(tiny_release, {**topics.overrides(kafka), **as_member})
    assert (code, failed(found)) == (0, []), found


def test_a_member_that_runs_is_not_disturbed(kafka, topics, tiny_release) -> None:
    topics.create(kafka)
    overrides = topics.overrides(kafka)
    settings = load_settings(overrides, environ={})
    producer = clients.producer(settings.kafka, transactional=True)
    consumer = clients.consumer(settings.kafka, group=True)
    try:
        producer.init_transactions()
        producer.begin_transaction()
        producer.send(topics.decisions, value=b"{}").get(timeout=10)
        consumer.subscribe([topics.posts])
        deadline = time.monotonic() + 30
        while not consumer.assignment() and time.monotonic() < deadline:
            # A group without offsets: the client says so once it has its partitions.
            with suppress(NoOffsetForPartitionError):
                consumer.poll(timeout_ms=200)
        consumer.seek_to_beginning()
        generation = consumer.group_metadata().generation_id
        assert check(tiny_release, overrides)[0] == 0
        consumer.poll(timeout_ms=1000)
        assert consumer.group_metadata().generation_id == generation
        producer.commit_transaction()
    finally:
        producer.close(timeout=5)
        consumer.close()
    assert [record.value for record in kafka.read(topics.decisions, expect=1)] == ["{}"]


def test_limits_that_do_not_fit_are_named(kafka, topics, tiny_release) -> None:
    topics.create(kafka)
    given = {"max_post_bytes": str(16 * 2**20), "transaction_timeout": "1000",
             "session_timeout": "1000"}  # fmt: skip
    code, found = check(tiny_release, {**topics.overrides(kafka), **given})
    assert code == 1
    assert found[f"size limit of {topics.posts}"][0] == "WARN"
    assert failed(found) == [f"size limit of {topics.dead_letter}", "transaction_timeout"]


def test_a_wrong_password_is_named_and_the_rest_is_still_checked(
    kafka, topics, tiny_release, as_member
) -> None:
    overrides = {**topics.overrides(kafka), **as_member, "sasl_password": "wrong"}
    code, found = check(tiny_release, overrides)
    assert (code, failed(found)) == (1, ["brokers"])
    assert "password" in found["brokers"][1]
    assert found["network"][0] == "ok"
    assert found["redis"][0] == "ok"


def test_without_broker_redis_and_release_each_is_named(tiny_release, tmp_path) -> None:
    overrides = {
        "bootstrap_servers": f"127.0.0.1:{free_port()}",
        "redis_url": f"redis://:hidden-{uuid.uuid4().hex}@127.0.0.1:{free_port()}/0",
        "release": str(tmp_path / "nowhere"),
        "start_timeout": "0.5",
    }
    code, found = check(tiny_release, overrides)
    assert code == 1
    assert failed(found) == [f"release {tmp_path / 'nowhere'}", "brokers", "redis"]
    assert not any("hidden" in text for _, text in found.values())


@pytest.mark.parametrize(
    ("place", "reason"),
    [("file/evidence", "no folder"), ("nowhere://bucket", "nowhere"), ("locked/a", "may not")],
)
def test_a_place_where_no_evidence_can_be_kept_is_named(tmp_path, monkeypatch, place, reason):
    (tmp_path / "file").write_text("")
    (tmp_path / "locked").mkdir()
    # Root may write everywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: "locked" not in str(path))
    url = place if "://" in place else str(tmp_path / place)
    (finding,) = _guarded("evidence", lambda: _evidence(url))
    assert (finding.level, finding.what) == ("FAIL", "evidence")
    assert reason in finding.found
    assert finding.mend
    assert list((tmp_path / "locked").iterdir()) == []


def test_a_full_disk_is_no_place_for_evidence(tmp_path) -> None:
    with small_disk(tmp_path / "disk", 1) as disk:
        if disk is None:
            pytest.skip("this user may not mount")
        disk.fill()
        (finding,) = _evidence(str(disk.folder / "evidence"))
    assert (finding.level, "no room" in finding.found) == ("FAIL", True)


def test_a_store_that_answers_is_a_place_for_evidence() -> None:
    (finding,) = _evidence("memory://bucket/evidence")
    assert finding.level == "ok"
