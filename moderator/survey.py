"""Ask the brokers what they are and what this user may do there, and change nothing.

Of topics they tell it themselves. Of the group and the transactional id it shows in how they
refuse what is impossible: a heartbeat of a member that nobody is, and the end of a transaction
of a producer that cannot exist. Permission is what brokers look at first. Judges nothing.
"""

from collections.abc import Mapping
from contextlib import closing
from typing import Any

from kafka import KafkaAdminClient
from kafka.admin import (
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ConfigResource,
    ConfigResourceType,
    ResourcePatternFilter,
    ResourceType,
)
from kafka.errors import AuthorizationError, KafkaError, SecurityDisabledError, for_code
from kafka.protocol.consumer.group import HeartbeatRequest
from kafka.protocol.producer.transaction import EndTxnRequest

from moderator.errors import Unavailable
from moderator.findings import BrokerFacts, TopicFacts, topic_names
from moderator.settings import Settings
from moderator.streaming import clients

NOBODY = "moderator-check"
"""Id of a member that no group has: brokers make up longer ones."""

NO_PRODUCER = 2**63 - 1
"""Id of a producer that no broker ever gives out: they count up from 0."""


def survey(settings: Settings) -> BrokerFacts:
    """Gather all that the checks of brokers need.

    Raises:
        BadSettings: The brokers refuse these settings.
        Unavailable: The brokers cannot be reached within ``start_timeout``, or answer with an
            error.
    """
    clients.wait_for_broker(settings.kafka, settings.kafka.start_timeout, None)
    with closing(clients.admin(settings.kafka)) as admin:
        try:
            return _facts(admin, settings)
        except KafkaError as error:
            name = type(error).__name__
            raise Unavailable(f"the brokers answer with {name}: {error}; ask again") from None


def _facts(admin: KafkaAdminClient, settings: Settings) -> BrokerFacts:
    cluster = admin.describe_cluster()
    brokers = [broker["broker_id"] for broker in cluster["brokers"]]
    kafka = settings.kafka
    heartbeat = HeartbeatRequest(group_id=kafka.group, generation_id=-1, member_id=NOBODY)
    end = EndTxnRequest(
        transactional_id=clients.transactional_id(kafka),
        producer_id=NO_PRODUCER,
        producer_epoch=0,
        committed=False,
    )
    return BrokerFacts(
        brokers=len(brokers),
        version=tuple(admin._manager.broker_version),
        authorizer=_has_authorizer(admin),
        operations=frozenset(cluster.get("authorized_operations") or ()),
        topics=_topics(admin, topic_names(settings)),
        configs=_configs(admin, ConfigResourceType.BROKER, str(brokers[0])),
        group=_permitted(admin, heartbeat),
        transactions=_permitted(admin, end),
        shares=_shares(admin, kafka.group, settings.topics.posts_topic),
    )


def _topics(admin: KafkaAdminClient, names: Mapping[str, str]) -> dict[str, TopicFacts | None]:
    described = {topic["name"]: topic for topic in admin.describe_topics(list(names.values()))}
    return {role: _topic(admin, described[name]) for role, name in names.items()}


def _topic(admin: KafkaAdminClient, described: Mapping[str, Any]) -> TopicFacts | None:
    partitions = described["partitions"]
    if described["error_code"] or not partitions:
        return None
    return TopicFacts(
        name=described["name"],
        partitions=len(partitions),
        leaderless=sum(each["leader_id"] < 0 for each in partitions),
        replicas=min(len(each["replica_nodes"]) for each in partitions),
        insync=min(len(each["isr_nodes"]) for each in partitions),
        operations=frozenset(described.get("authorized_operations") or ()),
        configs=_configs(admin, ConfigResourceType.TOPIC, described["name"]),
    )


def _configs(admin: KafkaAdminClient, kind: ConfigResourceType, name: str) -> dict[str, str] | None:
    """Return a topic's or a broker's configuration, None where it may not be read."""
    answer = admin.describe_configs([ConfigResource(kind, name)], config_filter="all")
    values = answer.get(kind.name.lower(), {}).get(name, {})
    return {key: entry["value"] or "" for key, entry in values.items()} or None


def _shares(admin: KafkaAdminClient, group: str, topic: str) -> tuple[int, ...]:
    """Return how many partitions of a topic each member of a settled group has."""
    try:
        described = admin.describe_groups([group])[group]
    except KafkaError:
        # Not this user's to see, or no coordinator yet: of the group other checks tell.
        return ()
    if described["error"] is not None or described["group_state"] != "Stable":
        return ()
    return tuple(
        sum(
            len(each["partitions"])
            for each in (member["member_assignment"] or {}).get("assigned_partitions", ())
            if each["topic"] == topic
        )
        for member in described["members"]
    )


def _has_authorizer(admin: KafkaAdminClient) -> bool:
    pattern = ResourcePatternFilter(ResourceType.CLUSTER, None, ACLResourcePatternType.LITERAL)
    try:
        admin.describe_acls(
            ACLFilter(None, None, ACLOperation.ALTER, ACLPermissionType.ANY, pattern)
        )
    except SecurityDisabledError:
        return False
    except AuthorizationError:
        return True
    return True


def _permitted(admin: KafkaAdminClient, impossible: object) -> bool:
    """Return whether an impossible request is refused for another reason than permission."""
    # The client has no public way to send a request of one's own.
    manager = admin._manager
    answer = manager.run(manager.send, impossible)
    return not issubclass(for_code(answer.error_code), AuthorizationError)
