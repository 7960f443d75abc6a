"""Share out partitions among the members of a group, each topic for itself.

Balancing all topics together, as Kafka's sticky assignors do, can leave a member that joined late
with partitions of retry topics alone, and so with next to nothing to do.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from moderator.records import Partition


def balanced(
    topics: Mapping[str, Collection[int]],
    subscribers: Mapping[str, Sequence[str]],
    owners: Mapping[Partition, str],
) -> dict[Partition, str]:
    """Return the member that each partition is to have.

    Of each topic, subscribed members get equally many partitions or one more, with the fewest
    partitions moved. What may go to several members goes to the one with the fewest partitions so
    far, over all topics.

    Args:
        topics: The partitions of each topic.
        subscribers: The members that read each topic; a topic nobody reads is left out.
        owners: The member that has a partition now. Others have none, or none that is certain.
    """
    shared: dict[Partition, str] = {}
    loads: dict[str, int] = defaultdict(int)
    for topic in sorted(topics):
        members = sorted(subscribers.get(topic, ()))
        if members:
            partitions = [Partition(topic, number) for number in sorted(topics[topic])]
            _share(partitions, members, owners, loads, shared)
    return shared


def _share(
    partitions: Sequence[Partition],
    members: Sequence[str],
    owners: Mapping[Partition, str],
    loads: dict[str, int],
    shared: dict[Partition, str],
) -> None:
    """Share out one topic: add its partitions to ``shared`` and to ``loads``."""
    owned: dict[str, list[Partition]] = {member: [] for member in members}
    for partition in partitions:
        owner = owners.get(partition)
        if owner in owned:
            owned[owner].append(partition)
    least, extra = divmod(len(partitions), len(members))
    # Who has more than the least already keeps one more: taking it away would be a needless move.
    first = sorted(members, key=lambda each: (len(owned[each]) <= least, loads[each], each))
    quotas = {member: least + (place < extra) for place, member in enumerate(first)}
    for member in members:
        for partition in owned[member][: quotas[member]]:
            shared[partition] = member
            quotas[member] -= 1
            loads[member] += 1
    for partition in partitions:
        if partition not in shared:
            open_to = [member for member in members if quotas[member]]
            member = min(open_to, key=lambda each: (loads[each], each))
            shared[partition] = member
            quotas[member] -= 1
            loads[member] += 1
