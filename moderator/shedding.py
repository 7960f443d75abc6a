"""The level of ``moderator.overload`` as the threads of a member share it, with its metrics."""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from prometheus_client import Counter, Gauge

from moderator import settings
from moderator.overload import Level, Objective, Shedding, age_of
from moderator.records import Post

logger = logging.getLogger(__name__)

LEVEL = Gauge(
    "moderator_shed_level",
    "What is left out because posts are late: 0 nothing, 1 regions, 2 also all frames of an "
    "animation but that longest in view.",
)
POSTS = Counter("moderator_shed_posts_total", "Posts judged, by the level in force.", ["level"])


LEFT_OUT = {
    Level.WHOLE: "nothing is left out",
    Level.NO_REGIONS: "regions are left out",
    Level.ONE_FRAME: "regions and all frames but that longest in view are left out",
}


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
        self._logged = Level.WHOLE
        # Asked at each scrape: a level falls by itself where no posts come any more.
        LEVEL.set_function(lambda: float(self.level))

    @property
    def level(self) -> Level:
        """What is left out now."""
        return self._changed(self._shedding.level)

    def begun(self, posts: Sequence[Post], now: float) -> Level:
        """Return what a batch of these posts leaves out, ``now`` in milliseconds since 1970."""
        age = age_of([post.record.timestamp for post in posts], now)
        if age is None:
            return self.level
        return self._changed(lambda moment: self._shedding.begun(age, moment))

    def _changed(self, step: Callable[[float], Level]) -> Level:
        """Take a step, and log where it changed the level."""
        with self._lock:
            level = step(self._clock())
            before, self._logged = self._logged, level
        if level != before:
            logger.log(
                logging.WARNING if level > before else logging.INFO,
                "posts are %s: shed level %d, %s",
                "late" if level > before else "in time again",
                level,
                LEFT_OUT[level],
            )
        return level

    def judged(self, posts: Sequence[Post], level: Level, now: float) -> None:
        """Take note of posts that were judged at a level, ``now`` in milliseconds since 1970."""
        POSTS.labels(str(int(level))).inc(len(posts))
        age = age_of([post.record.timestamp for post in posts], now)
        if age is not None:
            self._changed(lambda moment: self._shedding.observe(age, moment))


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
