"""What a member claims as it joins: what it holds, and nothing once it was expelled."""

from types import SimpleNamespace

from kafka import TopicPartition
from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment

from moderator.streaming.assignor import Assignor

ONE, TWO = TopicPartition("posts", 0), TopicPartition("posts", 1)


class Holder:
    """A consumer's membership and partitions."""

    def __init__(self, member_id: str) -> None:
        self.member_id = member_id
        self.held: set[TopicPartition] = set()

    def assignment(self) -> set[TopicPartition]:
        return self.held

    def group_metadata(self) -> SimpleNamespace:
        return SimpleNamespace(member_id=self.member_id)


class Cluster:
    """A topic of two partitions."""

    def topics(self) -> set[str]:
        return {"posts"}

    def partitions_for_topic(self, topic: str) -> set[int]:
        return {0, 1}


def joined(member_id: str, *partitions: TopicPartition) -> tuple[Assignor, Holder]:
    """Return a member to which partitions were assigned."""
    assignor, holder = Assignor(), Holder(member_id)
    assignor.follow(holder)
    holder.held = set(partitions)
    given = [("posts", sorted(each.partition for each in partitions))]
    assignor.on_assignment(ConsumerProtocolAssignment(1, given, b""), 5)
    return assignor, holder


def claimed(assignor: Assignor) -> list[tuple[str, list[int]]]:
    owned = assignor.metadata({"posts"}).owned_partitions
    return [(each.topic, list(each.partitions)) for each in owned]


def test_a_new_member_claims_nothing() -> None:
    assignor = Assignor()
    assignor.follow(Holder(""))
    assert claimed(assignor) == []


def test_a_member_claims_what_it_holds_and_not_what_it_was_once_given() -> None:
    assignor, holder = joined("a", ONE, TWO)
    assert claimed(assignor) == [("posts", [0, 1])]
    holder.held = {TWO}
    assert claimed(assignor) == [("posts", [1])]


def test_an_expelled_member_claims_nothing_whatever_its_client_still_holds() -> None:
    assignor, holder = joined("a", ONE)
    holder.member_id = ""
    assert claimed(assignor) == []
    holder.member_id = "a-anew"
    assert claimed(assignor) == []
    assignor.on_assignment(ConsumerProtocolAssignment(1, [("posts", [0])], b""), 7)
    assert claimed(assignor) == [("posts", [0])]


def test_a_partition_goes_back_to_an_expelled_member_only_once_the_other_let_go() -> None:
    expelled, its = joined("a", ONE)
    its.member_id = "a-anew"
    other, _ = joined("b", ONE, TWO)
    members = [
        SimpleNamespace(member_id=name, metadata=each.metadata({"posts"}))
        for name, each in (("b", other), ("a-anew", expelled))
    ]
    given = other.assign(Cluster(), members)
    assert list(given["a-anew"].partitions()) == []
    assert len(given["b"].partitions()) == 1
