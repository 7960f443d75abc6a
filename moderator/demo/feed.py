"""Which post may go out when: only as decisions return. Knows nothing of how they go out.

The demo's broker keeps little, so what is posted and not yet decided is bounded, in posts and in
bytes; and a repeat waits for the decision of what it repeats, since only then is it a repeat.
"""

from collections.abc import Iterable

from moderator.demo.posts import DemoPost


class Feed:
    """Hands out posts within a window.

    Args:
        posts: What is to be posted, in order.
        most: Posts that may be undecided at a time.
        most_bytes: Bytes that they may have together; a larger post goes alone.
    """

    def __init__(self, posts: Iterable[DemoPost], *, most: int, most_bytes: int) -> None:
        self._posts = iter(posts)
        self._most = most
        self._most_bytes = most_bytes
        self._next = next(self._posts, None)
        self._undecided: dict[str, DemoPost] = {}
        self.posted = 0

    @property
    def undecided(self) -> int:
        """Posts that are posted and not yet decided."""
        return len(self._undecided)

    @property
    def finished(self) -> bool:
        """Whether everything is posted and decided."""
        return self._next is None and not self._undecided

    def take(self) -> DemoPost | None:
        """Return a post that is to go out now, which then counts as posted; None if none may."""
        if self._next is None or not self._fits(self._next):
            return None
        post, self._next = self._next, next(self._posts, None)
        self._undecided[post.post_id] = post
        self.posted += 1
        return post

    def stop(self) -> None:
        """Post nothing more; what is undecided stays awaited."""
        self._posts = iter(())
        self._next = None

    def decided(self, post_id: str) -> DemoPost | None:
        """Take note of a decision; None where the post is not, or no longer, awaited."""
        return self._undecided.pop(post_id, None)

    def _fits(self, post: DemoPost) -> bool:
        if not self._undecided:
            return True
        if post.repeats in self._undecided or len(self._undecided) >= self._most:
            return False
        held = sum(len(other.data) for other in self._undecided.values())
        return held + len(post.data) <= self._most_bytes
