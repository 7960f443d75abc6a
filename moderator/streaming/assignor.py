"""Take part in sharing out the group's partitions: say what this member has, share out as leader.

What members send and obey is the protocol ``cooperative-sticky`` (KIP-429), under that name, so
that members of earlier versions and other clients can be in the group; only the choice that a
leader makes is our own (see ``balancing``). Whoever leads, a partition that moves is first let go
of by its owner, and given to the next one in the rebalance that follows.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment

from moderator.records import Partition
from moderator.streaming.balancing import balanced


class Holder(Protocol):
    """The part of kafka-python's consumer that this uses."""

    # ruff: noqa: D102
    def assignment(self) -> Collection[Any]: ...
    def group_metadata(self) -> Any: ...


class Assignor(CooperativeStickyAssignor):  # type: ignore[misc]
    """A cooperative assignor that balances each topic for itself.

    It claims only what its consumer holds. kafka-python 3.0.12 claims the last assignment, also
    once the member was expelled and others have its partitions: the leader then gives them back at
    once, while the member that has them is yet to let go. Both commit, and posts are doubled.

    Called on the consumer's own event loop. It belongs to one consumer; ``follow`` says to which,
    before that subscribes.
    """

    def __init__(self) -> None:
        super().__init__()
        self._holder: Holder | None = None
        self._assigned_to = ""

    def follow(self, holder: Holder) -> None:
        """Take note of whose partitions these are."""
        self._holder = holder

    def on_assignment(self, assignment: Any, generation: int) -> None:
        """See kafka-python's ``AbstractPartitionAssignor``."""
        super().on_assignment(assignment, generation)
        self._assigned_to = self._member()

    def metadata(self, topics: Collection[str]) -> Any:
        """Return what the group is told of this member as it joins."""
        if self._holder is None:
            return super().metadata(topics)
        # Another id: expelled, even where the client has not said so and goes on with what it had.
        held = self._holder.assignment() if self._member() == self._assigned_to else ()
        self.member_assignment = sorted(held)
        return super().metadata(topics)

    def assign(self, cluster: Any, members: Sequence[Any]) -> dict[str, Any]:
        """Return the assignment of each member, as the group's leader.

        Args:
            cluster: kafka-python's ``ClusterMetadata``; a topic it does not know has no partitions.
            members: kafka-python's ``JoinGroupResponseMember``, with decoded metadata.
        """
        subscribers: dict[str, list[str]] = defaultdict(list)
        holders: dict[Partition, set[str]] = defaultdict(set)
        for member in members:
            told = self.parse_member_metadata(member.metadata)
            for topic in told.subscription:
                subscribers[topic].append(member.member_id)
            for partition in told.partitions:
                holders[Partition(*partition)].add(member.member_id)
        topics = {topic: cluster.partitions_for_topic(topic) or () for topic in subscribers}
        # Which of two claims is out of date is not known: both let go, and it is given out anew.
        owners = {each: next(iter(held)) for each, held in holders.items() if len(held) == 1}
        shared = balanced(topics, subscribers, owners)
        free = {each: to for each, to in shared.items() if holders.get(each, {to}) == {to}}
        return {each.member_id: self._told(free, each.member_id) for each in members}

    def _told(self, free: Mapping[Partition, str], member: str) -> Any:
        """Return a member's part in the form in which it is sent."""
        given: dict[str, list[int]] = defaultdict(list)
        for partition, owner in free.items():
            if owner == member:
                given[partition.topic].append(partition.partition)
        parts = [(topic, sorted(numbers)) for topic, numbers in sorted(given.items())]
        return ConsumerProtocolAssignment(self.version, parts, b"")

    def _member(self) -> str:
        """Return the group's id of this member, empty while it has none."""
        return str(self._holder.group_metadata().member_id) if self._holder else ""
