"""The posts topic is deleted and made anew under a running member, against the real Kafka."""

import time

import pytest

from tests.moderator.member import Member, Network, until

PARTITIONS = 2
POSTS = 120


@pytest.mark.parametrize("away", [0.0, 1.5])
def test_a_posts_topic_made_anew_is_read_from_its_beginning(
    kafka, topics, tiny_release, tmp_path, away
) -> None:
    topics.create(kafka, PARTITIONS)
    network = Network(kafka, topics)
    given = {
        **topics.overrides(kafka),
        "release": str(tiny_release.path),
        "start_from": "latest",
    }
    member = Member(given, tmp_path).await_ready()
    labels = f'{{topic="{topics.posts}"}}'
    try:
        # A new group that starts at the end has to have its place before the first post.
        until(lambda: member.metric("moderator_assigned_posts_partitions") == PARTITIONS, "posts")
        time.sleep(2)
        for n in range(40):
            network.send(b"%d" % n, None, partition=n % PARTITIONS)
        until(lambda: network.committed() >= 40, "the first decisions")
        with kafka.admin() as admin:
            admin.delete_topics([topics.posts])
        time.sleep(away)
        kafka.create(topics.posts, partitions=PARTITIONS)
        anew = Network(kafka, topics)
        for n in range(POSTS):
            anew.send(b"n%d" % n, None, partition=n % PARTITIONS)
        anew.close()
        until(lambda: network.committed() >= 40 + POSTS, "all posts of the new topic")
        decided = network.decisions(expect=40 + POSTS)
        # Each once, and nothing of the old topic again.
        keys = sorted(each["post_id"] for each in decided)
        assert keys == sorted([str(n) for n in range(40)] + [f"n{n}" for n in range(POSTS)])
        assert member.metric(f"moderator_topics_made_anew_total{labels}") == 1
        assert f"{topics.posts} was deleted and made anew" in member.log.read_text()
        assert member.stop() == 0
    finally:
        member.close()
        network.close()
