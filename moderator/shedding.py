"""The level of ``moderator.overload`` as the threads of a member share it, with its metrics."""

import threading
import time
from collections.abc import Callable, Sequence

from prometheus_client import Counter, Gauge

from moderator import settings
from moderator.overload import Level, Objective, Shedding, age_of
from moderator.records import Post

LEVEL = Gauge(
    "moderator_shed_level",
    "What is left out because posts are late: 0 nothing, 1 regions, 2 also all frames of an "
    "animation but that longest in view.",
)
POSTS = Counter("moderator_shed_posts_total", "Posts judged, by the level in force.", ["level"])


class Load:
    """Says what the next batch leaves out, and is told of every batch that was judged.

    Safe to use from several threads.

    Args:
        objective: When work is left out and taken up again.
        clock: Monotonic seconds.
    """

    def __init__(self, objective: Objective, clock: Callable[[], float] = time.monotonic) -> None:
        self._shedding = Shedding(objective)
        self._clock = clock
        self._lock = threading.Lock()
        # Asked at each scrape: a level falls by itself where no posts come any more.
        LEVEL.set_function(lambda: float(self.level))

    @property
    def level(self) -> Level:
        """What a batch that is begun now leaves out."""
        with self._lock:
            return self._shedding.level(self._clock())

    def judged(self, posts: Sequence[Post], level: Level, now: float) -> None:
        """Take note of posts that were judged at a level, ``now`` in milliseconds since 1970."""
        POSTS.labels(str(int(level))).inc(len(posts))
        age = age_of([post.record.timestamp for post in posts], now)
        if age is not None:
            with self._lock:
                self._shedding.observe(age, self._clock())


def load_of(overload: "settings.Overload") -> Load:
    """Return what the settings ask for."""
    return Load(
        Objective(
            age=overload.age_objective,
            step=overload.shed_step,
            recovered=overload.shed_recovered,
            recovery=overload.shed_recovery,
        )
    )
