"""What is found wrong with brokers, from tables of what they say of themselves."""

from dataclasses import replace

import pytest

from moderator.findings import (
    COMPACTED,
    BrokerFacts,
    TopicFacts,
    findings,
    largest_decision,
    topic_names,
)
from moderator.settings import Settings, load_settings
from moderator.streaming.topics import topic_specs

MOST = 8 * 2**20
GOOD_BROKER = {
    "group.min.session.timeout.ms": "6000",
    "group.max.session.timeout.ms": "1800000",
    "transaction.max.timeout.ms": "900000",
}


@pytest.fixture
def settings() -> Settings:
    return load_settings({"bootstrap_servers": "kafka:9092"}, environ={})


@pytest.fixture
def facts(settings) -> BrokerFacts:
    """A cluster with which everything is right."""
    return BrokerFacts(
        brokers=3,
        version=(4, 0),
        authorizer=True,
        operations=frozenset(),
        topics={role: good(role, name) for role, name in topic_names(settings).items()},
        configs=GOOD_BROKER,
        group=True,
        transactions=True,
    )


def good(role: str, name: str) -> TopicFacts:
    single = role in COMPACTED
    return TopicFacts(
        name=name,
        partitions=1 if single else 12,
        leaderless=0,
        replicas=3,
        insync=3,
        operations=frozenset({"READ", "WRITE", "DESCRIBE"}),
        configs={
            "max.message.bytes": str(MOST + 2**16),
            "min.insync.replicas": "2",
            "cleanup.policy": "compact" if single else "delete",
        },
        writers=frozenset() if single else None,
    )


def changed(facts: BrokerFacts, role: str, **given) -> BrokerFacts:
    """Return facts with a topic of other fields; ``configs`` are laid over its own."""
    topic = facts.topics[role]
    if given.get("configs"):
        given["configs"] = {**topic.configs, **given["configs"]}
    return replace(facts, topics={**facts.topics, role: replace(topic, **given)})


def wrong(facts: BrokerFacts, settings: Settings, dimension: int = 512) -> list[tuple[str, str]]:
    """Return (level, what) of everything that is not ok, after looking at its form."""
    found = [each for each in findings(facts, settings, dimension) if each.level != "ok"]
    assert all(each.mend and each.found for each in found)
    return [(each.level, each.what) for each in found]


def test_with_a_good_cluster_nothing_is_wrong(facts, settings) -> None:
    assert wrong(facts, settings) == []
    said = {each.what: each.found for each in findings(facts, settings, 512)}
    assert "3 brokers" in said["brokers"]
    assert said["topic posts"].startswith("12 partitions")
    for what in (
        "read posts",
        "write decisions",
        "write flagged",
        "write posts.dead-letter",
        "read prototypes",
        "join group moderator",
        "transactions as moderator-0-0",
    ):
        assert said[what] == "permitted"


@pytest.mark.parametrize(
    ("shares", "level", "said"),
    [
        ((), None, ""),
        ((12,), "ok", "1 member with 12 partitions of posts"),
        ((4, 4, 4), "ok", "3 members with 4, 4, 4 partitions of posts"),
        ((0, 12, 0), "WARN", "3 members with 12, 0, 0 partitions of posts: not shared out evenly"),
        ((1, 0, 1), "WARN", "1 of them decide no new posts"),
    ],
)
def test_how_the_posts_are_shared_out_among_running_members(
    facts, settings, shares, level, said
) -> None:
    found = list(findings(replace(facts, shares=shares), settings, 512))
    about = [each for each in found if each.what == "posts of group moderator"]
    assert [each.level for each in about] == ([level] if level else [])
    assert all(said in each.found for each in about)


def test_a_topic_that_is_not_there_is_one_finding(facts, settings) -> None:
    absent = replace(facts, topics={**facts.topics, "flagged": None})
    assert wrong(absent, settings) == [("FAIL", "topic flagged")]


def test_without_a_prototypes_topic_none_is_asked_for() -> None:
    settings = load_settings({"prototypes_topic": ""}, environ={})
    assert "prototypes" not in topic_names(settings)


@pytest.mark.parametrize(
    ("role", "given", "expected"),
    [
        ("posts", {"leaderless": 1}, [("FAIL", "topic posts")]),
        ("posts", {"insync": 1}, [("FAIL", "topic posts")]),
        ("posts", {"insync": 2}, [("WARN", "topic posts")]),
        ("prototypes", {"insync": 1}, [("WARN", "topic prototypes")]),
        ("prototypes", {"partitions": 2}, [("WARN", "topic prototypes")]),
        ("prototypes", {"configs": {"cleanup.policy": "delete"}}, [("WARN", "topic prototypes")]),
        (
            "prototypes",
            {"configs": {"cleanup.policy": "compact,delete"}},
            [("WARN", "topic prototypes")],
        ),
        ("decisions", {"configs": {"min.insync.replicas": "3"}}, [("WARN", "topic decisions")]),
        (
            "decisions",
            {"replicas": 1, "insync": 1, "configs": {"min.insync.replicas": "1"}},
            [("WARN", "topic decisions")],
        ),
        ("posts", {"operations": frozenset({"WRITE"})}, [("FAIL", "read posts")]),
        ("prototypes", {"operations": frozenset()}, [("FAIL", "read prototypes")]),
        ("decisions", {"operations": frozenset({"READ"})}, [("FAIL", "write decisions")]),
        ("flagged", {"operations": frozenset()}, [("FAIL", "write flagged")]),
        ("dead letter", {"operations": frozenset()}, [("FAIL", "write posts.dead-letter")]),
        ("posts", {"configs": None}, [("WARN", "size limit of posts")]),
        (
            "posts",
            {"configs": {"max.message.bytes": str(MOST - 1)}},
            [("WARN", "size limit of posts")],
        ),
        ("posts", {"configs": {"max.message.bytes": str(MOST)}}, []),
        (
            "dead letter",
            {"configs": {"max.message.bytes": str(MOST + 2**16 - 1)}},
            [("FAIL", "size limit of posts.dead-letter")],
        ),
        (
            "decisions",
            {"configs": {"max.message.bytes": "20000"}},
            [("FAIL", "size limit of decisions")],
        ),
    ],
)
def test_what_is_wrong_with_a_topic(facts, settings, role, given, expected) -> None:
    assert wrong(changed(facts, role, **given), settings) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"group": False}, [("FAIL", "join group moderator")]),
        ({"transactions": False}, [("FAIL", "transactions as moderator-0-0")]),
        ({"configs": None}, [("WARN", "time-outs")]),
        (
            {"configs": {**GOOD_BROKER, "transaction.max.timeout.ms": "19999"}},
            [("FAIL", "transaction_timeout")],
        ),
        ({"configs": {**GOOD_BROKER, "transaction.max.timeout.ms": "20000"}}, []),
        (
            {"configs": {**GOOD_BROKER, "group.max.session.timeout.ms": "29999"}},
            [("FAIL", "session_timeout")],
        ),
        (
            {"configs": {**GOOD_BROKER, "group.min.session.timeout.ms": "30001"}},
            [("FAIL", "session_timeout")],
        ),
    ],
)
def test_what_is_wrong_with_the_cluster(facts, settings, given, expected) -> None:
    assert wrong(replace(facts, **given), settings) == expected


def test_without_an_authorizer_no_permission_is_missed(facts, settings) -> None:
    bare = replace(facts, authorizer=False, group=False, transactions=False)
    bare = changed(bare, "posts", operations=frozenset())
    assert wrong(bare, settings) == [("WARN", "who may write prototypes and control")]
    assert any("no authorizer" in each.found for each in findings(bare, settings, 512))


@pytest.mark.parametrize(
    ("version", "operations", "writes", "expected"),
    [
        ((2, 7), frozenset({"IDEMPOTENT_WRITE"}), True, []),
        ((2, 7), frozenset(), True, [("FAIL", "idempotent writes")]),
        ((2, 8), frozenset(), True, []),
    ],
)
def test_at_least_once_needs_idempotent_writes_and_no_transactions(
    facts, version, operations, writes, expected
) -> None:
    settings = load_settings({"delivery": "at-least-once"}, environ={})
    found = replace(facts, version=version, operations=operations, transactions=False)
    assert wrong(found, settings) == expected


@pytest.mark.parametrize("role", ["prototypes", "control"])
def test_that_others_may_write_what_members_serve_is_a_failure(facts, role) -> None:
    given = {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "PLAIN",
        "sasl_username": "worker",
        "sasl_password": "secret",
        "trusted_writers": "User:console",
    }
    settings = load_settings(given, environ={})
    own = frozenset({"User:worker", "User:console"})
    assert wrong(changed(facts, role, writers=own), settings) == []
    foreign = changed(facts, role, writers=own | {"User:*"})
    assert wrong(foreign, settings) == [("FAIL", f"who may write {role}")]
    unknown = changed(facts, role, writers=None)
    assert wrong(unknown, settings) == [("WARN", f"who may write {role}")]


def test_how_to_mend_names_the_user_and_the_brokers(facts) -> None:
    settings = load_settings(
        {
            "bootstrap_servers": "kafka:9092",
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": "PLAIN",
            "sasl_username": "worker",
            "sasl_password": "secret",
        },
        environ={},
    )
    denied = replace(facts, group=False)
    (mend,) = (each.mend for each in findings(denied, settings, 512) if each.level == "FAIL")
    assert "--bootstrap-server kafka:9092" in mend
    assert "User:worker --operation Read --group moderator" in mend
    assert not any("secret" in str(each) for each in findings(denied, settings, 512))


def test_more_images_and_larger_embeddings_need_larger_records(settings) -> None:
    limits = settings.limits.model_copy(update={"max_images_per_post": 21})
    more = settings.model_copy(update={"limits": limits})
    assert largest_decision(more, 512) > largest_decision(settings, 512)
    assert largest_decision(settings, 2048) - largest_decision(settings, 512) == 20 * 4096


def test_the_topic_of_deletions_is_asked_for_only_where_copies_are_kept() -> None:
    assert "deletions" not in topic_names(load_settings({}, environ={}))
    given = {"evidence_url": "/somewhere", "evidence_retention": "86400"}
    settings = load_settings(given, environ={})
    name = topic_names(settings)["deletions"]
    topics: dict[str, TopicFacts | None] = {
        role: good(role, name) for role, name in topic_names(settings).items()
    }
    facts = BrokerFacts(3, (4, 0), True, frozenset(), topics, GOOD_BROKER, True, True)
    found = [each for each in findings(facts, settings, 512) if name in each.what]
    assert {each.level for each in found} == {"ok"}
    assert {f"read {name}", f"write {name}"} < {each.what for each in found}
    topic = good("deletions", name)
    for kept, level in ((-1, "ok"), (86_400_000, "ok"), (86_399_999, "WARN")):
        configs = {**(topic.configs or {}), "retention.ms": str(kept)}
        changed = {**topics, "deletions": replace(topic, configs=configs)}
        facts = replace(facts, topics=changed)
        levels = [each.level for each in findings(facts, settings, 512) if name in each.what]
        assert ("WARN" in levels) == (level == "WARN"), kept


def test_a_topic_of_deletions_remembers_them_for_as_long_as_copies_are_kept() -> None:
    settings = load_settings({"evidence_url": "/x", "evidence_retention": "5000"}, environ={})
    spec = {each.name: each for each in topic_specs(settings)}["posts.deletions"]
    assert spec.configs["retention.ms"] == "5000000"
