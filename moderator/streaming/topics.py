"""Create the topics as the design wants them, for development and as the reference.

Workers never do: they need no such rights. What is there already is left alone, and how it
differs is said. Knows nothing of records.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import (
    AuthorizationError,
    InvalidConfigurationError,
    InvalidPartitionsError,
    InvalidReplicationFactorError,
    InvalidTopicError,
    KafkaError,
    NoError,
    PolicyViolationError,
    TopicAlreadyExistsError,
    for_code,
)
from rich.console import Console

from moderator.errors import BadSettings, ModeratorError, Unavailable
from moderator.findings import COMPACTED, largest_decision, topic_names
from moderator.retries import DELETIONS, retry_topics
from moderator.settings import Settings
from moderator.streaming import clients

POST_ROOM = 64 * 1024
"""Bytes that the posts topic takes beyond a post's value: its key and headers."""

LARGEST_DIMENSION = 4096
"""Dimension up to which the embeddings of flagged posts fit, whatever release is served."""

LEAST_DECISION_BYTES = 2 * 2**20
"""Bytes that the topics of decisions take at least."""

TOMBSTONES = 10 * 365 * 86_400_000
"""Milliseconds that compacted topics keep records without a value. Removals have one; those of
other tools that have none hold as long as this."""

REFUSED = (
    InvalidConfigurationError,
    InvalidPartitionsError,
    InvalidTopicError,
    PolicyViolationError,
)
"""Errors of brokers that say themselves what is wrong with a topic's settings."""


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic as it is to be; ``configs`` are Kafka's own names and values."""

    name: str
    partitions: int
    replication: int
    configs: Mapping[str, str]

    def __str__(self) -> str:
        configs = ", ".join(f"{name}={value}" for name, value in self.configs.items())
        return f"{self.partitions} partitions, {self.replication} replicas, {configs}"

    def to_create(self) -> dict[str, Any]:
        """Return the form that the administration client takes."""
        return {
            "num_partitions": self.partitions,
            "replication_factor": self.replication,
            "configs": dict(self.configs),
        }


def topic_specs(settings: Settings) -> list[TopicSpec]:
    """Return the topics that a worker uses, as the settings want them."""
    topics = settings.topics
    posts = settings.limits.max_post_bytes + POST_ROOM
    decisions = max(LEAST_DECISION_BYTES, largest_decision(settings, LARGEST_DIMENSION))
    sizes = {"posts": posts, "dead letter": posts + clients.DEAD_LETTER_ROOM}
    sizes |= {each.role: posts + clients.DEAD_LETTER_ROOM for each in retry_topics(settings.retry)}
    insync = {"min.insync.replicas": str(topics.min_insync_replicas)}

    def spec(role: str, name: str) -> TopicSpec:
        if role in COMPACTED:
            # One partition, as changes need one order, which the overlay's version counts.
            compact = {"cleanup.policy": "compact", "delete.retention.ms": str(TOMBSTONES)}
            return TopicSpec(name, 1, topics.replication, {**compact, **insync})
        # A deletion is not to be forgotten before the copies that it removes.
        forgets = role == DELETIONS
        kept = settings.evidence.evidence_retention if forgets else topics.retention
        configs = {
            "cleanup.policy": "delete",
            "max.message.bytes": str(sizes.get(role, decisions)),
            "retention.ms": str(round(kept * 1000)),
            **insync,
        }
        return TopicSpec(name, topics.partitions, topics.replication, configs)

    return [spec(role, name) for role, name in topic_names(settings).items()]


def create_topics(settings: Settings, out: Console) -> None:
    """Create the topics that are not there yet, and print a line for each.

    Those that are there stay as they are; each difference is a line of its own.

    Args:
        settings: Brokers, names, and what the topics are to be.
        out: Where the lines go.

    Raises:
        BadSettings: The brokers refuse to create one, for instance with more replicas than there
            are brokers.
        Unavailable: The brokers cannot be reached within ``start_timeout``, or fail.
    """
    clients.wait_for_broker(settings.kafka, settings.kafka.start_timeout, None)
    specs = topic_specs(settings)
    with closing(clients.admin(settings.kafka)) as admin:
        try:
            there = _described(admin, specs)
            created = _create(admin, [spec for spec in specs if spec.name not in there], out)
            there |= _described(admin, [spec for spec in specs if spec.name not in created])
        except KafkaError as error:
            raise Unavailable(
                f"the brokers answer with {type(error).__name__}: {error}; try again"
            ) from None
    for spec in specs:
        if spec.name in there:
            _print(out, f"exists   {spec.name}")
            for difference in _differences(spec, there[spec.name]):
                _print(out, f"differs  {spec.name}: {difference}")


def _create(admin: KafkaAdminClient, specs: Sequence[TopicSpec], out: Console) -> set[str]:
    """Create topics; return the names of those that were, without those made meanwhile.

    Raises:
        BadSettings: The brokers refuse to create one; the others were created nevertheless.
        Unavailable: The brokers fail.
    """
    if not specs:
        return set()
    wanted = {spec.name: spec for spec in specs}
    answer = admin.create_topics(
        {spec.name: spec.to_create() for spec in specs}, raise_errors=False
    )
    created, refused = set(), []
    for topic in answer["topics"]:
        name, error = topic["name"], for_code(topic["error_code"])
        if error is NoError:
            created.add(name)
            _print(out, f"created  {name}: {wanted[name]}")
        elif error is not TopicAlreadyExistsError:
            refused.append(_owned(admin, wanted[name], error, topic.get("error_message")))
    if refused:
        raise refused[0]
    admin.wait_for_topics(created)
    return created


def _owned(
    admin: KafkaAdminClient, spec: TopicSpec, error: type[KafkaError], text: str | None
) -> ModeratorError:
    """Say whose fault it is that a topic was not created."""
    reason = " ".join((text or error.__name__).split())
    if issubclass(error, InvalidReplicationFactorError):
        brokers = len(admin.describe_cluster()["brokers"])
        return BadSettings(
            f"topic {spec.name} cannot have {spec.replication} replicas on {brokers} "
            f"broker{'s' * (brokers != 1)}; set replication={brokers} and min_insync_replicas="
            f"{max(1, brokers - 1)}, or start more brokers"
        )
    if issubclass(error, AuthorizationError):
        return BadSettings(
            f"this user may not create topic {spec.name}; grant Create on it or on the cluster, "
            "or have it created by someone who may"
        )
    if issubclass(error, REFUSED):
        return BadSettings(f"the brokers refuse topic {spec.name}: {reason}; change its settings")
    return Unavailable(f"topic {spec.name} could not be created: {reason}; try again")


def _described(admin: KafkaAdminClient, specs: Sequence[TopicSpec]) -> dict[str, TopicSpec]:
    """Return those of the topics that are there, as they are; unreadable configs are left out."""
    if not specs:
        return {}
    names = [spec.name for spec in specs]
    there = {
        topic["name"]: topic["partitions"]
        for topic in admin.describe_topics(names)
        if topic["error_code"] == 0
    }
    if not there:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in there]
    configs = admin.describe_configs(resources, config_filter="all").get("topic", {})
    return {
        name: TopicSpec(
            name,
            len(partitions),
            min((len(each["replica_nodes"]) for each in partitions), default=0),
            {key: str(entry["value"]) for key, entry in configs.get(name, {}).items()},
        )
        for name, partitions in there.items()
    }


def _differences(wanted: TopicSpec, found: TopicSpec) -> Iterator[str]:
    """Yield what of an existing topic is not as it would have been created."""
    for what, count, other in (
        ("partitions", wanted.partitions, found.partitions),
        ("replicas", wanted.replication, found.replication),
    ):
        if count != other:
            yield f"{other} {what}, where the settings say {count}"
    for name, value in wanted.configs.items():
        other_value = found.configs.get(name, value)
        if other_value != value:
            yield f"{name}={other_value}, where the settings say {value}"


def _print(out: Console, line: str) -> None:
    out.print(line, markup=False, highlight=False, soft_wrap=True)
