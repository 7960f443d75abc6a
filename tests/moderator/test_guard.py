"""Overload and evidence through the whole worker, on the real Kafka."""

import io
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from PIL import Image

from moderator.compose import NamedImage, PostRecord, build_record
from tests.chaos.disk import small_disk
from tests.moderator.member import Member, Network, until
from tests.moderator.schemas import schema

pytestmark = pytest.mark.timeout(300)

HOUR = 3_600_000


@pytest.fixture
def network(kafka, topics) -> Iterator[Network]:
    topics.create(kafka)
    network = Network(kafka, topics)
    yield network
    network.close()


@pytest.fixture
def member(kafka, topics, tiny_release, tmp_path) -> Iterator[Callable[..., Member]]:
    members: list[Member] = []

    def start(name: str = "0", **settings: str) -> Member:
        given = topics.overrides(kafka) | {"release": str(tiny_release.path)} | settings
        members.append(Member(given, tmp_path, name))
        return members[-1]

    yield start
    for each in members:
        each.close()


def picture(data: bytes, post_id: str) -> PostRecord:
    return build_record([NamedImage("0", data, "image/jpeg")], post_id=post_id, form="binary")


def put_aged(network: Network, record: PostRecord, age: int) -> None:
    """Post with a timestamp of so many milliseconds ago."""
    at = network._producer.send(
        network.topics.posts,
        key=record.key,
        value=record.value,
        headers=list(record.headers),
        timestamp_ms=int(time.time() * 1000) - age,
    ).get(30)
    network.sources[at.topic, at.partition, at.offset] += 1


def animation(seed: int) -> bytes:
    """Return a picture of two frames, another one for each seed."""
    first, other = (Image.new("RGB", (64, 64), (seed % 256, n * 99, 50)) for n in range(2))
    file = io.BytesIO()
    first.save(file, "PNG", save_all=True, append_images=[other], duration=100)
    return file.getvalue()


def burdened(drawing: bytes) -> bytes:
    """Return the drawing's very bytes with a place and an author between its segments."""
    exif = Image.Exif()
    exif[0x013B] = "an author"
    block = b"Exif\0\0" + exif.tobytes().removeprefix(b"Exif\0\0")
    segment = b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block
    return drawing[:2] + segment + drawing[2:]


def test_late_posts_cost_less_and_are_all_decided_and_fresh_ones_are_judged_whole(
    network, member, drawn
) -> None:
    worker = member(
        age_objective="60", shed_step="0.2", shed_recovery="0.5", max_batch="2", cache_entries="0"
    ).await_ready()
    for n in range(40):
        put_aged(network, picture(animation(n), f"late-{n}"), HOUR)
    until(lambda: network.committed() >= 40, "the late posts")
    assert worker.metric("moderator_shed_level") == 2
    assert worker.metric('moderator_shed_posts_total{level="2"}') > 0

    def recovered() -> bool:
        network.post(picture(animation(60), "fresh"))
        return worker.metric("moderator_shed_level") == 0

    until(recovered, "work to be taken up again")
    last = [network.post(picture(animation(100 + n), f"whole-{n}")) for n in range(4)]
    count = sum(network.sources.values())
    assert network.ledger(count) == network.sources
    decisions = network.decided(count)
    for each in decisions.values():
        assert not list(schema("decision-1").iter_errors(each))
    shed = [each["post_id"] for each in decisions.values() if "shed" in each]
    assert any(name.startswith("late") for name in shed)
    assert {tuple(d["shed"]) for d in decisions.values() if "shed" in d} == {("frames",)}
    assert not any("shed" in decisions[each] for each in last)
    posts = {
        level: worker.metric(f'moderator_shed_posts_total{{level="{level}"}}') for level in range(3)
    }
    assert sum(posts.values()) == count and posts[1] > 0
    assert worker.stop() == 0


def evidence(decision: dict[str, Any]) -> str | None:
    return decision["images"][0]["evidence"]


def path_of(url: str) -> Path:
    return Path(unquote(urlsplit(url).path))


def test_flagged_pictures_have_a_safe_copy_until_their_posts_are_deleted(
    network, member, drawn, tmp_path
) -> None:
    folder = tmp_path / "evidence"
    worker = member(evidence_url=str(folder)).await_ready()
    data = burdened(drawn("revolver"))
    first = network.post(picture(data, "a"), 0)
    again = network.post(picture(data, "b"), 0)
    harmless = network.post(picture(drawn("pistol", 3, "posted"), "c"), 0)
    broken = network.post(picture(data[:900], "d"), 0)
    decisions = network.decided(4)
    one, other = evidence(decisions[first]), evidence(decisions[again])
    assert one is not None and other is not None and one != other
    assert [evidence(decisions[each]) for each in (harmless, broken)] == [None, None]
    copy, second = path_of(one), path_of(other)
    digest = decisions[first]["images"][0]["digest"].removeprefix("sha256:")
    assert copy.is_relative_to(folder / "kept") and digest in copy.name
    content = copy.read_bytes()
    image = Image.open(io.BytesIO(content))
    assert image.format == "JPEG" and not image.getexif() and b"an author" not in content
    assert second.read_bytes() == content
    assert {each.stat().st_mode & 0o077 for each in folder.rglob("*")} == {0}
    flagged = {
        each["decision_id"]: each for each in network.decisions(network.topics.flagged, expect=3)
    }
    assert evidence(flagged[first]) == one
    assert worker.stop() == 0

    # The same records once more, as after a crash: the same copies, and what is gone made anew.
    copy.unlink()
    worker = member("1", evidence_url=str(folder), group=f"{network.topics.group}-again",
                    start_from="earliest").await_ready()  # fmt: skip
    until(lambda: network.committed() >= 8, "the same records decided again")
    (copy,) = (each for each in folder.rglob("*.jpg") if each != second)
    assert copy.read_bytes() == second.read_bytes() == content

    network.send(b"a", None, partition=0)
    until(lambda: not copy.exists(), "the copy to be gone")
    assert second.exists()
    network.send(b"b", None, partition=0)
    until(lambda: network.committed() >= 10, "the deletions")
    until(lambda: not second.exists(), "the other copy to be gone")
    assert not list(folder.rglob("*.jpg"))
    assert worker.metric("moderator_evidence_removed_total") == 2
    assert worker.stop() == 0


@pytest.mark.parametrize("delivery", ["exactly-once", "at-least-once"])
def test_a_deletion_outlives_the_member_that_could_not_do_it(
    network, member, drawn, tmp_path, delivery
) -> None:
    folder, away = tmp_path / "evidence", tmp_path / "away"
    settings = {"evidence_url": str(folder), "delivery": delivery}
    first = member("a", **settings).await_ready()
    shown = network.post(picture(drawn("revolver"), "p"), 0)
    copy = path_of(evidence(network.decided(1)[shown]) or "")
    assert copy.exists()

    # The store goes away: what lies in its place is no folder.
    folder.rename(away)
    folder.write_text("no folder")
    network.send(b"p", None, partition=0)
    kept = network.post(picture(drawn("revolver"), "q"), 0)
    decisions = network.decided(3)
    assert evidence(decisions[kept]) is None
    assert first.metric("moderator_evidence_deletions_postponed_total") >= 1
    first.kill()
    assert (away / copy.relative_to(folder)).exists()

    folder.unlink()
    away.rename(folder)
    second = member("b", **settings).await_ready()
    until(lambda: not copy.exists(), "the deletion to be done by another member")
    until(lambda: second.metric("moderator_evidence_removed_total") == 1, "its being counted")
    # It was decided once, when it was read; what comes round has no decision.
    last = network.post(picture(drawn("revolver"), "r"), 0)
    until(lambda: network.committed() >= 4, "the last post")
    found = network.decisions(expect=4)
    deleted = [each["decision_id"] for each in found if each["reason"] == "deleted"]
    assert len(deleted) == 1
    if delivery == "exactly-once":
        assert network.ledger(4) == network.sources
    assert evidence({each["decision_id"]: each for each in found}[last]) is not None
    assert second.stop() == 0
    # Done for good: whoever starts later finds nothing left to do.
    third = member("c", **settings).await_ready()
    lag = f'moderator_lag_records{{partition="0",topic="{network.topics.deletions}"}}'
    until(lambda: lag in third.get("/metrics")[1], "the lag")
    assert third.metric(lag) == 0
    assert third.metric("moderator_evidence_removed_total") == 0
    assert third.stop() == 0


def test_a_store_that_cannot_be_written_stops_nothing(network, member, drawn, tmp_path) -> None:
    place = tmp_path / "evidence"
    worker = member(evidence_url=str(place), max_batch="2").await_ready()
    shutil.rmtree(place)
    place.write_text("no folder any more")
    for n in range(20):
        network.post(picture(drawn("revolver"), f"p{n}"))
        network.send(f"p{n}".encode(), None)
    decisions = network.decided(40)
    assert network.ledger(40) == network.sources
    flagged = [each for each in decisions.values() if each["decision"] == "flag"]
    assert len(flagged) == 20 and {evidence(each) for each in flagged} == {None}
    missed = [
        worker.metric(f'moderator_evidence_failures_total{{cause="{cause}"}}')
        for cause in ("store", "bypass")
    ]
    assert missed[0] >= 1 and sum(missed) == 20
    assert worker.metric("moderator_evidence_deletions_postponed_total") >= 20
    # None of them is forgotten: each waits in its topic.
    waiting = {row.key for row in network.rows(network.topics.deletions)}
    assert waiting == {b"p%d" % n for n in range(20)}
    assert worker.stop() == 0
    assert "no evidence is kept" in worker.log.read_text()


def test_a_folder_that_cannot_be_made_is_refused_in_one_line(network, member, tmp_path) -> None:
    (tmp_path / "file").write_text("no folder")
    worker = member(evidence_url=str(tmp_path / "file" / "evidence"))
    assert worker.process.wait(60) == 2
    lines = worker.log.read_text().splitlines()
    (line,) = [each for each in lines if each.startswith("moderator: ")]
    assert "evidence_url" in line and "Not a directory" in line


def test_a_place_of_no_known_store_is_refused_in_one_line(network, member) -> None:
    worker = member(evidence_url="nowhere://bucket/evidence")
    assert worker.process.wait(60) == 2
    lines = worker.log.read_text().splitlines()
    (line,) = [each for each in lines if each.startswith("moderator: ")]
    assert "evidence_url" in line and "nowhere" in line
    assert not any("Traceback" in each for each in lines)


def test_a_full_disk_stops_nothing_and_once_there_is_room_copies_are_kept_again(
    network, member, drawn, tmp_path
) -> None:
    with small_disk(tmp_path / "disk", 4) as disk:
        if disk is None:
            pytest.skip("this user may not mount")
        worker = member(evidence_url=str(disk.folder), max_batch="2").await_ready()
        disk.fill()
        without = {network.post(picture(drawn("revolver"), f"full-{n}")) for n in range(10)}
        network.decided(10)
        assert worker.metric('moderator_evidence_failures_total{cause="store"}') >= 1
        disk.free()

        def kept() -> bool:
            network.post(picture(drawn("revolver"), "room"))
            return worker.metric("moderator_evidence_copies_total") > 0

        until(kept, "a copy")
        count = sum(network.sources.values())
        decisions = network.decided(count)
        assert network.ledger(count) == network.sources
        assert {evidence(decisions[each]) for each in without} == {None}
        # Each record of the post that was sent again has a copy of its own.
        urls = {evidence(each) for each in decisions.values()} - {None}
        assert urls
        assert {Image.open(path_of(url)).format for url in urls} == {"JPEG"}
        assert not list((disk.folder / ".writing").iterdir())
        assert worker.stop() == 0
    assert "evidence is kept again" in worker.log.read_text()
