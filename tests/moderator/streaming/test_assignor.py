"""What a member claims as it joins, and how a leader shares out partitions."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from kafka import TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment
from kafka.protocol.consumer.metadata import ConsumerProtocolSubscription as Subscription

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


TOPICS = {"posts": 12, "posts.retry.10m": 12, "posts.retry.10s": 12, "posts.retry.1m": 12}
"""The defaults: one topic of posts and three of retries."""


class Topics:
    """What a leader knows of topics."""

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self.sizes = sizes

    def topics(self, _internal: bool = True) -> set[str]:
        return set(self.sizes)

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return set(range(self.sizes[topic])) if topic in self.sizes else None


class Group:
    """A group as the broker and kafka-python's coordinator run it, without time.

    In each round every member says what it holds and the leader shares out; a member that loses
    partitions lets go of them and asks for another round (KIP-429).
    """

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self.cluster = Topics(sizes)
        self.members: dict[str, tuple[Any, Holder]] = {}
        self.moved: set[TopicPartition] = set()

    def join(self, name: str, assignor: Any = None) -> None:
        assignor, holder = assignor or Assignor(), Holder(name)
        if isinstance(assignor, Assignor):
            assignor.follow(holder)
        self.members[name] = assignor, holder

    def settle(self, leader: str | None = None) -> int:
        """Rebalance until nobody lets go of anything more; return the number of rounds."""
        for rounds in range(1, 5):
            if not self.round(leader):
                return rounds
        raise AssertionError("the group never settles")

    def round(self, leader: str | None = None) -> bool:
        """Run one rebalance; return whether another one has to follow."""
        if not self.members:
            return False
        # Through the wire's form, as a leader gets it.
        told = [
            SimpleNamespace(
                member_id=name,
                metadata=Subscription.decode(assignor.metadata(self.cluster.topics()).encode()),
            )
            for name, (assignor, _) in self.members.items()
        ]
        chooser, _ = self.members[leader or min(self.members)]
        given = chooser.assign(self.cluster, told)
        assert set(given) == set(self.members)
        again = False
        new: dict[TopicPartition, str] = {}
        for name, assignment in given.items():
            for partition in assignment.partitions():
                assert partition not in new, "given to two members"
                new[partition] = name
        for partition, to in new.items():
            others = [n for n, (_, h) in self.members.items() if n != to and partition in h.held]
            assert not others, "given away before its owner has let go of it"
        for name, (assignor, holder) in self.members.items():
            mine = {partition for partition, to in new.items() if to == name}
            again = again or bool(holder.held - mine)
            self.moved |= holder.held - mine
            holder.held = mine
            assignor.on_assignment(ConsumerProtocolAssignment.decode(given[name].encode()), 1)
        return again

    def counts(self, topic: str = "posts") -> list[int]:
        held = [holder.held for _, holder in self.members.values()]
        return [sum(each.topic == topic for each in mine) for mine in held]

    def check(self) -> None:
        """See that all is owned, and each topic is balanced for itself."""
        for topic, size in self.cluster.sizes.items():
            counts = self.counts(topic)
            assert sum(counts) == size
            assert max(counts) - min(counts) <= 1


def test_members_that_start_one_after_another_get_equally_many_of_the_posts() -> None:
    group = Group(TOPICS)
    for number, name in enumerate("abc", start=1):
        group.join(name)
        assert group.settle() <= 3
        assert group.counts() == [12 // number] * number
        group.check()


def test_a_rolling_restart_leaves_the_posts_balanced() -> None:
    group = Group(TOPICS | {"posts": 4})
    for name in "abc":
        group.join(name)
        group.settle()
    for name in "abc":
        del group.members[name]
        group.settle()
        group.check()
        group.join(f"{name}-anew")
        group.settle()
        group.check()


def test_small_topics_do_not_all_go_to_one_member() -> None:
    group = Group({"posts": 12, "r1": 1, "r2": 1, "r3": 1})
    for name in "abc":
        group.join(name)
    group.settle()
    assert [len(holder.held) for _, holder in group.members.values()] == [5, 5, 5]


def test_more_members_than_partitions_leave_some_without() -> None:
    group = Group({"posts": 2})
    for name in "abc":
        group.join(name)
        group.settle()
    assert sorted(group.counts()) == [0, 1, 1]


def test_a_topic_that_only_some_members_read_is_shared_among_these() -> None:
    group = Group({"posts": 4, "new": 4})
    group.join("a")
    group.join("b")
    assignor, _ = group.members["b"]
    everything = assignor.metadata
    assignor.metadata = lambda _: everything({"posts"})
    group.settle()
    assert (group.counts("posts"), group.counts("new")) == ([2, 2], [4, 0])


def test_what_two_members_claim_is_given_to_neither_until_both_let_go() -> None:
    group = Group({"posts": 2})
    group.join("a")
    group.settle()
    group.join("b")
    group.settle()
    group.members["b"][1].held |= group.members["a"][1].held
    assert group.round()
    assert sum(group.counts()) == 1
    group.settle()
    group.check()


def test_a_group_is_upgraded_member_by_member() -> None:
    """Members of earlier versions balance all topics together, whenever they lead."""
    group = Group(TOPICS)
    for name in "abc":
        group.join(name, CooperativeStickyAssignor())
        group.settle()
    for name in "abc":
        del group.members[name]
        group.settle(leader=max(group.members))
        group.join(f"{name}-new")
        # Whichever of them the broker makes the leader.
        for leader in list(group.members):
            group.settle(leader)
    group.check()


EVENTS = st.lists(
    st.tuples(st.sampled_from(["join", "leave", "restart", "expel", "round"]), st.integers(0, 9)),
    max_size=12,
)


@settings(deadline=None, max_examples=150)
@given(
    sizes=st.dictionaries(
        st.sampled_from(["posts", "r1", "r2", "r3"]), st.integers(1, 13), min_size=1
    ),
    events=EVENTS,
)
def test_whatever_happens_each_topic_is_balanced_with_the_fewest_moves(sizes, events) -> None:
    group = Group(sizes)
    for number, (kind, which) in enumerate([("join", 0), *events]):
        there = sorted(group.members)
        name = there[which % len(there)] if there else ""
        if kind == "join":
            group.join(f"m{number}")
        elif kind == "restart" and name:
            del group.members[name]
            group.join(f"m{number}")
        elif kind == "leave" and name:
            del group.members[name]
        elif kind == "expel" and name:
            # Comes back as another member; what it held is given to nobody else in between.
            assignor, holder = group.members.pop(name)
            holder.member_id, holder.held = f"m{number}", set()
            group.members[holder.member_id] = assignor, holder
        elif kind == "round":
            # One round alone: the next event comes before the group has settled.
            group.round()
            continue
        if which % 3 == 0:
            continue
        _settled(group)
    _settled(group)


def _settled(group: Group) -> None:
    if not group.members:
        return
    fewest = {
        topic: _fewest(size, group.counts(topic)) for topic, size in group.cluster.sizes.items()
    }
    group.moved.clear()
    group.settle()
    group.check()
    for topic, least in fewest.items():
        assert sum(each.topic == topic for each in group.moved) == least
    group.moved.clear()
    # Once balanced, a further rebalance moves nothing.
    assert not group.round()


def _fewest(size: int, counts: list[int]) -> int:
    """Return how many partitions have to be taken from members that have too many of a topic."""
    least, extra = divmod(size, len(counts))
    keep = [least + (place < extra) for place in range(len(counts))]
    return sum(
        max(0, has - may) for has, may in zip(sorted(counts, reverse=True), keep, strict=True)
    )
