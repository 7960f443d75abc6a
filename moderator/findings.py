"""Judge what brokers say of themselves against the settings, purely: facts in, findings out.

Asks nothing itself; ``moderator.survey`` gathers the facts.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from moderator.retries import DELETIONS, later_topics, retry_topics
from moderator.settings import Settings
from moderator.streaming.clients import DEAD_LETTER_ROOM, transactional_id

Level = Literal["ok", "WARN", "FAIL"]

IMAGE_BYTES = 6000
"""Bytes that a decision says of an image at most, without types, evidence and embedding."""

COMPACTED = {"prototypes": "prototypes are", "control": "which release is served is"}
"""Roles of topics that members read alone, of one compacted partition; what is lost without it."""

DELETION_BYTES = 8192
"""Bytes that a record of a deletion to be done later may have."""

ENTRY_BYTES = 300
"""Bytes of a type with its mechanism and family, or of a near prototype, in a decision."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: how it went, of what, what was found, and how to mend it unless it is ok."""

    level: Level
    what: str
    found: str
    mend: str = ""


@dataclass(frozen=True, slots=True)
class TopicFacts:
    """A topic as the brokers describe it.

    ``replicas`` and ``insync`` are of the partition with the fewest, ``leaderless`` counts
    partitions without a leader; ``operations`` are what this user may do, such as ``WRITE``;
    ``configs`` is None where they may not be read. ``writers`` are the principals that may write,
    such as ``User:moderator``; None where that is not known.
    """

    name: str
    partitions: int
    leaderless: int
    replicas: int
    insync: int
    operations: frozenset[str]
    configs: Mapping[str, str] | None
    writers: frozenset[str] | None = None

    def number(self, name: str) -> int | None:
        """Return a number of the topic's configuration, None where it is not known."""
        return _number(self.configs, name)


@dataclass(frozen=True, slots=True)
class BrokerFacts:
    """The brokers as they describe themselves to this user.

    ``topics`` are by role, None where a topic is not there or not shown; ``configs`` are of one
    broker, None where they may not be read; ``operations`` are what this user may do with the
    cluster; ``group`` and ``transactions`` are whether the group may be joined and the
    transactional id be used; ``shares`` are the numbers of posts' partitions that the group's
    members have, none where it has no members, is being rebalanced or is not shown.
    """

    brokers: int
    version: tuple[int, ...]
    authorizer: bool
    operations: frozenset[str]
    topics: Mapping[str, TopicFacts | None]
    configs: Mapping[str, str] | None
    group: bool
    transactions: bool
    shares: tuple[int, ...] = ()


def findings(facts: BrokerFacts, settings: Settings, dimension: int) -> Iterator[Finding]:
    """Yield what is to be said of the brokers.

    Args:
        facts: What they say of themselves.
        settings: What a worker expects of them.
        dimension: Of the release's embeddings; flagged records hold one an image.
    """
    servers = settings.kafka.bootstrap_servers
    identity = settings.kafka.identity
    version = ".".join(map(str, facts.version))
    known = f"{facts.brokers} broker{'s' * (facts.brokers != 1)}, Kafka {version} or later"
    yield Finding("ok", "brokers", f"{servers} answers {identity}: {known}")
    for role, name in topic_names(settings).items():
        topic = facts.topics[role]
        if topic is None:
            yield Finding(
                # Without a topic for it there is no shadowing; decisions go on.
                "WARN" if role == "shadow" else "FAIL",
                f"topic {name}",
                "not there, or not shown to this user",
                f"run `moderator topics create`, or {_grant(settings, 'Describe', name)}",
            )
        else:
            yield _availability(topic, role)
            yield from _size(topic, role, settings, dimension)
            yield from _retention(topic, role, settings)
    yield from _shares(facts, settings)
    yield from _permissions(facts, settings)
    yield from _timeouts(facts, settings)


def topic_names(settings: Settings) -> dict[str, str]:
    """Return the names of the topics that a worker uses, by role."""
    topics = settings.topics
    named = {
        "posts": topics.posts_topic,
        "decisions": topics.decisions_topic,
        "flagged": topics.flagged_topic,
        "dead letter": topics.dead_letter_topic,
        "prototypes": topics.prototypes_topic,
        **{each.role: each.name for each in later_topics(settings)},
        "control": topics.control_topic,
        "shadow": topics.shadow_topic,
    }
    return {role: name for role, name in named.items() if name}


def largest_decision(settings: Settings, dimension: int) -> int:
    """Return the bytes that a record of a decision may have."""
    judging = settings.judging
    entries = ENTRY_BYTES * (judging.max_types + judging.max_evidence)
    image = IMAGE_BYTES + entries + dimension * 8 // 3
    return IMAGE_BYTES + settings.limits.max_images_per_post * image


def _availability(topic: TopicFacts, role: str) -> Finding:
    """Say whether a topic can be read and written, now and with a broker down."""
    what = f"topic {topic.name}"
    found = f"{topic.partitions} partitions, {topic.insync} of {topic.replicas} replicas in sync"
    return next(_shortcomings(topic, role, what, found), Finding("ok", what, found))


def _shortcomings(topic: TopicFacts, role: str, what: str, found: str) -> Iterator[Finding]:
    """Yield what is wrong with a topic, the worst first."""
    least = topic.number("min.insync.replicas") or 1
    policy = (topic.configs or {}).get("cleanup.policy")
    if topic.leaderless:
        wrong = f"{topic.leaderless} of {topic.partitions} partitions have no leader"
        yield Finding("FAIL", what, wrong, "start the brokers that hold them")
    if topic.insync < least and role not in COMPACTED:
        wrong = f"{found}, but min.insync.replicas is {least}: nothing can be written"
        yield Finding("FAIL", what, wrong, "start the missing brokers, or lower it")
    if role in COMPACTED and topic.partitions != 1:
        wrong = f"{topic.partitions} partitions, but changes need one order"
        yield Finding("WARN", what, wrong, "make it anew with one partition")
    if role in COMPACTED and policy is not None and policy.strip() != "compact":
        wrong = f"cleanup.policy={policy}: {COMPACTED[role]} lost after its retention"
        yield Finding("WARN", what, wrong, "set cleanup.policy=compact")
    if topic.insync < topic.replicas:
        yield Finding("WARN", what, found, "start the missing brokers")
    if topic.replicas == 1:
        wrong = f"{topic.partitions} partitions, one copy of each"
        yield Finding("WARN", what, wrong, "keep three replicas, outside of development")
    elif least == topic.replicas:
        wrong = f"{found}; one broker down stops all writing"
        yield Finding("WARN", what, wrong, f"set min.insync.replicas={least - 1}")


def _size(topic: TopicFacts, role: str, settings: Settings, dimension: int) -> Iterator[Finding]:
    """Compare the largest record that a topic takes with what has to fit."""
    if role in COMPACTED:
        return
    most = settings.limits.max_post_bytes
    whole = {each.role: most + DEAD_LETTER_ROOM for each in retry_topics(settings.retry)}
    whole[DELETIONS] = DELETION_BYTES
    needed = {"posts": most, "dead letter": most + DEAD_LETTER_ROOM, **whole}.get(
        role, largest_decision(settings, dimension)
    )
    what, limit = f"size limit of {topic.name}", topic.number("max.message.bytes")
    if limit is None:
        yield Finding("WARN", what, "not shown to this user",
                      _grant(settings, "DescribeConfigs", topic.name))  # fmt: skip
    elif limit >= needed:
        yield Finding("ok", what, f"{limit} bytes, {needed} needed")
    elif role == "posts":
        yield Finding("WARN", what, f"{limit} bytes, less than max_post_bytes ({most})",
                      f"set max.message.bytes={needed}, or lower max_post_bytes")  # fmt: skip
    else:
        yield Finding("FAIL", what, f"{limit} bytes, but {needed} are needed",
                      f"set max.message.bytes={needed}")  # fmt: skip


def _retention(topic: TopicFacts, role: str, settings: Settings) -> Iterator[Finding]:
    """Say whether a deletion may be forgotten before the copies that it is to remove."""
    kept = topic.number("retention.ms")
    needed = round(settings.evidence.evidence_retention * 1000)
    if role == DELETIONS and kept is not None and 0 <= kept < needed:
        wrong = f"{kept} ms, less than evidence_retention ({needed} ms)"
        yield Finding("WARN", f"retention of {topic.name}", wrong, f"set retention.ms={needed}")


def _shares(facts: BrokerFacts, settings: Settings) -> Iterator[Finding]:
    """Say how the posts' partitions are shared out among the members that run now."""
    shares = sorted(facts.shares, reverse=True)
    if not shares:
        return
    what = f"posts of group {settings.kafka.group}"
    idle, topic = shares.count(0), settings.topics.posts_topic
    members = f"{len(shares)} member{'s' * (len(shares) != 1)}"
    found = f"{members} with {', '.join(map(str, shares))} partitions of {topic}"
    if shares[0] - shares[-1] > 1:
        yield Finding("WARN", what, f"{found}: not shared out evenly",
                      "upgrade and restart the members of earlier versions")  # fmt: skip
    elif idle:
        yield Finding("WARN", what, f"{found}: {idle} of them decide no new posts",
                      f"add partitions to {topic}, or run fewer members")  # fmt: skip
    else:
        yield Finding("ok", what, found)


def _permissions(facts: BrokerFacts, settings: Settings) -> Iterator[Finding]:
    if not facts.authorizer:
        yield Finding("ok", "permissions", "the brokers have no authorizer: all is permitted")
        yield Finding(
            "WARN",
            "who may write prototypes and control",
            "anybody: the brokers have no authorizer",
            "set one up, outside of development",
        )
        return
    yield from _writers(facts, settings)
    for role, topic in facts.topics.items():
        if topic is None:
            continue
        for operation in _operations(role):
            allowed = operation.upper() in topic.operations
            grant = _grant(settings, operation, topic.name)
            yield _permission(f"{operation.lower()} {topic.name}", allowed, grant)
    kafka = settings.kafka
    grant = _granting(settings, f"--operation Read --group {kafka.group}")
    yield _permission(f"join group {kafka.group}", facts.group, grant)
    if kafka.delivery == "exactly-once":
        name = transactional_id(kafka)
        grant = _granting(
            settings, f"--operation Describe --operation Write --transactional-id {name}"
        )
        yield _permission(f"transactions as {name}", facts.transactions, grant)
    else:
        grant = _granting(settings, "--operation IdempotentWrite --cluster")
        yield _permission("idempotent writes", _may_write_idempotently(facts), grant)


def _writers(facts: BrokerFacts, settings: Settings) -> Iterator[Finding]:
    """Say who else may write the topics that decide what members serve."""
    trusted = {*settings.kafka.trusted_writers, f"User:{settings.kafka.sasl_username}"}
    for role in COMPACTED:
        topic = facts.topics.get(role)
        if topic is None:
            continue
        what = f"who may write {topic.name}"
        if topic.writers is None:
            grant = _granting(settings, "--operation Describe --cluster")
            yield Finding("WARN", what, "not shown to this user", grant)
            continue
        others = sorted(topic.writers - trusted)
        if others:
            mend = "take Write from them, or name them in trusted_writers"
            yield Finding("FAIL", what, f"{', '.join(others)}, besides this group's own", mend)
        else:
            yield Finding("ok", what, "this group's own principals alone")


def _operations(role: str) -> tuple[str, ...]:
    """Return what a worker does with a topic."""
    if role.startswith("retry ") or role == DELETIONS:
        return "Read", "Write"
    return ("Read",) if role == "posts" or role in COMPACTED else ("Write",)


def _may_write_idempotently(facts: BrokerFacts) -> bool:
    """Return whether writes may be numbered; since Kafka 2.8, permission to write suffices."""
    written = any("WRITE" in topic.operations for topic in facts.topics.values() if topic)
    return "IDEMPOTENT_WRITE" in facts.operations or (facts.version >= (2, 8) and written)


def _permission(what: str, allowed: bool, grant: str) -> Finding:
    return Finding("ok", what, "permitted") if allowed else Finding("FAIL", what, "denied", grant)


def _timeouts(facts: BrokerFacts, settings: Settings) -> Iterator[Finding]:
    """Compare the settings' time-outs with the bounds that the brokers set."""
    kafka = settings.kafka
    bounds = [
        ("session_timeout", kafka.session_timeout, "group.min.session.timeout.ms", False),
        ("session_timeout", kafka.session_timeout, "group.max.session.timeout.ms", True),
    ]
    if kafka.delivery == "exactly-once":
        name, value = "transaction_timeout", kafka.transaction_timeout
        bounds.append((name, value, "transaction.max.timeout.ms", True))
    if facts.configs is None:
        grant = _granting(settings, "--operation DescribeConfigs --cluster")
        yield Finding("WARN", "time-outs", "the brokers' bounds are not shown to this user", grant)
        return
    for setting, value, name, upper in bounds:
        bound = _number(facts.configs, name)
        if bound is None or (value * 1000 <= bound if upper else value * 1000 >= bound):
            continue
        side = "over" if upper else "under"
        yield Finding("FAIL", setting, f"{value:g} s is {side} the brokers' {name} ({bound} ms)",
                      f"set {setting}={bound / 1000:g}, or change {name}")  # fmt: skip
        return
    yield Finding("ok", "time-outs", "within the brokers' bounds")


def _grant(settings: Settings, operation: str, topic: str) -> str:
    return _granting(settings, f"--operation {operation} --topic {topic}")


def _granting(settings: Settings, what: str) -> str:
    user = settings.kafka.sasl_username or "NAME"
    return (
        f"grant it: kafka-acls.sh --bootstrap-server {settings.kafka.bootstrap_servers} --add "
        f"--allow-principal User:{user} {what}"
    )


def _number(configs: Mapping[str, str] | None, name: str) -> int | None:
    text = (configs or {}).get(name, "")
    return int(text) if text and text.lstrip("-").isdigit() else None
