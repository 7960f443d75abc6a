"""A resource that several owners share and that is closed with the last of them."""

from collections.abc import Callable
from typing import Generic, Self, TypeVar

T = TypeVar("T")


class Held(Generic[T]):
    """One owner's hold on a resource; holds are taken and let go on one thread.

    Args:
        value: The resource.
        close: Called once nobody holds it any more.
    """

    def __init__(self, value: T, close: Callable[[], None]) -> None:
        self.value = value
        self._close = close
        self._owners = 1

    def share(self) -> Self:
        """Return the same for one more owner.

        Raises:
            ValueError: It is closed already.
        """
        if not self._owners:
            raise ValueError("what is closed cannot be shared")
        self._owners += 1
        return self

    def close(self) -> None:
        """Let one owner's hold go."""
        self._owners -= 1
        if self._owners == 0:
            self._close()
