"""A publisher that tells others what it has published. Knows nothing of what they do with it."""

from collections.abc import Callable, Sequence

from moderator.decisions import Decided
from moderator.pipeline import Publishing


class Told:
    """Publishes as another does, and then tells what of it was committed.

    Args:
        publisher: Publishes.
        tell: Is given the decisions and how many of them were committed; must not raise or wait.
    """

    def __init__(
        self, publisher: Publishing, tell: Callable[[Sequence[Decided], int], None]
    ) -> None:
        self._publisher = publisher
        self._tell = tell

    def publish(self, decided: Sequence[Decided]) -> int:
        """See ``Publishing.publish``."""
        count = self._publisher.publish(decided)
        self._tell(decided, count)
        return count

    def stop(self) -> None:
        """See ``Publishing.stop``."""
        self._publisher.stop()
