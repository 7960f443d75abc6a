"""Tell the group which partitions this member still has. Knows nothing of records or offsets.

kafka-python 3.0.12's cooperative assignor names those of the last assignment, also once the member
was expelled and others have them. Whoever leads the group then gives such a partition back at once,
while the member that has it is yet to let go of it (KIP-429): both commit, and posts are doubled.
"""

from collections.abc import Collection
from typing import Any, Protocol

from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor


class Holder(Protocol):
    """The part of kafka-python's consumer that this uses."""

    # ruff: noqa: D102
    def assignment(self) -> Collection[Any]: ...
    def group_metadata(self) -> Any: ...


class Assignor(CooperativeStickyAssignor):  # type: ignore[misc]
    """A cooperative-sticky assignor that claims only what its consumer holds.

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

    def _member(self) -> str:
        """Return the group's id of this member, empty while it has none."""
        return str(self._holder.group_metadata().member_id) if self._holder else ""
