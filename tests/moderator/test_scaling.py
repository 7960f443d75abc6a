"""Members that are added get their part of the posts, against the real Kafka."""

from moderator.findings import findings
from moderator.settings import load_settings
from moderator.survey import survey
from tests.moderator.member import Member, until

PARTITIONS = 6


def test_members_started_one_after_another_get_equally_many_partitions_of_posts(
    kafka, topics, tiny_release, tmp_path
) -> None:
    topics = topics.retrying("10s", "1m", "10m")
    topics.create(kafka, PARTITIONS)
    given = {**topics.overrides(kafka), "release": str(tiny_release.path)}
    members: list[Member] = []

    def start(name: str) -> None:
        members.append(Member(given, tmp_path, name).await_ready())

    def shares() -> list[int]:
        return [int(each.metric("moderator_assigned_posts_partitions")) for each in members]

    def checked() -> list[tuple[str, str]]:
        settings = load_settings(topics.overrides(kafka), environ={})
        found = findings(survey(settings), settings, 512)
        return [(each.level, each.found) for each in found if each.what.startswith("posts of")]

    try:
        for name, wanted in (("a", [6]), ("b", [3, 3]), ("c", [2, 2, 2])):
            start(name)
            until(lambda wanted=wanted: shares() == wanted, f"{wanted} partitions, not {shares()}")
        said = f"3 members with 2, 2, 2 partitions of {topics.posts}"
        until(lambda: checked() == [("ok", said)], "check to show it")
        # A restart, as in a rolling upgrade.
        first = members.pop(0)
        assert first.stop() == 0
        first.close()
        until(lambda: shares() == [3, 3], "the others to take over")
        start("a")
        until(lambda: shares() == [2, 2, 2], "the restarted member to get its part")
        assert all(each.get("/readyz") == (200, "ok\n") for each in members)
    finally:
        for each in members:
            each.close()
