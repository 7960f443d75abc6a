"""When a batch of posts closes: on images or on time. Knows nothing of queues or threads."""

from dataclasses import dataclass, field

from moderator.records import Post


@dataclass(slots=True)
class Batching:
    """Posts gathered into batches that close on images or on time, and never split a post.

    ``max_batch`` is in images; a post that exceeds it alone is a batch of its own. ``max_wait``
    is in seconds after the batch's first post. Posts without images count as one, so that a
    flood of deletions closes batches too.
    """

    max_batch: int
    max_wait: float
    _posts: list[Post] = field(default_factory=list)
    _images: int = 0
    _opened: float = 0.0

    def add(self, post: Post, now: float) -> list[list[Post]]:
        """Take a post; return the batches that it closes, the oldest first: none, one or two."""
        closed = []
        images = max(1, len(post.images))
        if self._posts and self._images + images > self.max_batch:
            closed.append(self.flush())
        if not self._posts:
            self._opened = now
        self._posts.append(post)
        self._images += images
        if self._images >= self.max_batch:
            closed.append(self.flush())
        return closed

    def remaining(self, now: float) -> float | None:
        """Return the seconds until the open batch is due, 0 when it is, None when none is open."""
        return max(0.0, self._opened + self.max_wait - now) if self._posts else None

    def flush(self) -> list[Post]:
        """Close the open batch and return its posts, in the order in which they came."""
        posts, self._posts, self._images = self._posts, [], 0
        return posts
