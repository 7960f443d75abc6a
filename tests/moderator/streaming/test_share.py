"""A member without posts' partitions says so."""

import logging

from moderator.records import Partition
from moderator.streaming.share import POSTS_PARTITIONS, SETTLING, Share

RETRY = Partition("posts.retry.10s", 0)
POST = Partition("posts", 3)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_partitions_of_other_topics_are_no_posts(caplog) -> None:
    caplog.set_level(logging.INFO)
    clock = Clock()
    share = Share("posts", clock)
    share.note([RETRY, POST], joined=True)
    assert share.remark() is None
    assert POSTS_PARTITIONS._value.get() == 1
    share.note([RETRY], joined=True)
    assert "no partition of posts is this member's" in (share.remark() or "")
    assert POSTS_PARTITIONS._value.get() == 0
    assert not caplog.records
    for _ in range(3):
        clock.now += SETTLING
        share.note([RETRY], joined=True)
    share.note([POST], joined=True)
    assert share.remark() is None
    levels = [record.levelname for record in caplog.records]
    assert levels == ["WARNING", "INFO"]


def test_who_is_no_member_yet_is_not_blamed_for_having_nothing() -> None:
    clock = Clock()
    share = Share("posts", clock)
    share.note([], joined=False)
    clock.now += 2 * SETTLING
    share.note([], joined=False)
    assert share.remark() is None
