"""Bound the labels of metrics by type: types of the overlay are whatever its topic says."""

from collections.abc import Callable, Collection

OTHER = "other"
"""Label of the types that have none of their own."""

MOST = 100
"""Types beside the release's that have a label of their own, the first that are flagged."""


class TypeLabels:
    """Gives types their labels; used on one thread.

    Args:
        of_release: Returns the types of the release that is served, which all have their own.
    """

    def __init__(self, of_release: Callable[[], Collection[str]] = tuple) -> None:
        self._of_release = of_release
        self._others: set[str] = set()

    def label(self, name: str) -> str:
        """Return the label of a type."""
        if name in self._of_release() or name in self._others:
            return name
        if len(self._others) >= MOST:
            return OTHER
        self._others.add(name)
        return name
