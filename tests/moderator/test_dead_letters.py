"""``moderator dead-letters`` on the real Kafka, beside a worker and without one."""

import json
from collections.abc import Iterator
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from moderator.cli import cli
from moderator.dead_letters.deletions import Extent, Origin, _refusal
from moderator.decisions import OMITTED_BODY, dead_letter
from moderator.errors import ModeratorError
from moderator.order import Place
from moderator.records import Record
from tests.moderator.member import Member, Network, until

pytestmark = pytest.mark.timeout(300)

BAD = b"no image"
IMAGE = (("content-type", b"image/jpeg"), ("author-id", b"a1"), ("x", b"\xff1"))
MOST = 2**20


@pytest.fixture
def network(kafka, topics) -> Iterator[Network]:
    topics.create(kafka)
    network = Network(kafka, topics)
    yield network
    network.close()


@pytest.fixture
def run(kafka, topics) -> Any:
    def _run(*arguments: str) -> Result:
        settings = topics.overrides(kafka) | {"start_timeout": "5"}
        given = [text for item in settings.items() for text in ("--set", "=".join(item))]
        return CliRunner().invoke(cli, ["dead-letters", *arguments, *given], standalone_mode=False)

    return _run


def listed(run: Any, *arguments: str) -> list[dict[str, Any]]:
    result = run("list", "--json", *arguments)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def one_line(result: Result) -> str:
    assert isinstance(result.exception, ModeratorError), result.output
    (line,) = str(result.exception).splitlines()
    return line


def test_dead_letters_are_listed_shown_saved_and_replayed_as_they_came(
    kafka, network, topics, run, tiny_release, tmp_path
) -> None:
    undecodable = network.send(b"u", BAD, IMAGE, 0)
    malformed = network.send(None, b"\xff{", [("y", b"2")], 1)
    large = network.send(b"l", bytes(MOST + 2**17), (), 1)
    network.send(b"good", None, (), 0)
    settings = {"release": str(tiny_release.path), "max_post_bytes": str(MOST)}
    worker = Member(topics.overrides(kafka) | settings, tmp_path)
    try:
        network.decided(4)
        by_decision = {each["decision_id"]: each for each in listed(run)}
        assert set(by_decision) == {undecodable, malformed, large}
        assert [by_decision[n]["reason"] for n in (undecodable, malformed, large)] == [
            "undecodable",
            "malformed",
            "malformed",
        ]
        letter = by_decision[undecodable]
        (only,) = listed(run, "--reason", "undecodable", "--since", "1h")
        assert only == letter
        assert not listed(run, "--until", "1h")
        assert len(listed(run, "--limit", "2")) == 2
        assert letter["id"] in run("list").stdout

        saved = tmp_path / "body"
        for name in (letter["id"], f"{topics.dead_letter}-{letter['id']}", undecodable):
            shown = run("show", name, "--out", str(saved))
            assert shown.exit_code == 0, shown.output
            assert f"__connect.errors.topic: {topics.posts}" in shown.stdout
            assert saved.read_bytes() == BAD
            saved.unlink()

        before = sum(1 for _ in network.rows(topics.posts))
        # Nothing that only looks may write.
        preview = run("replay", letter["id"], "--dry-run")
        assert preview.stdout.startswith("would replay ")
        assert sum(1 for _ in network.rows(topics.posts)) == before
        again = run("replay", letter["id"], by_decision[malformed]["id"])
        assert again.exit_code == 0, again.output
        origin = ("moderator.dead-letter", f"{topics.dead_letter}-{letter['id']}".encode())
        rows = [row for row in network.rows(topics.posts)
                if origin in row.headers]  # fmt: skip
        (row,) = rows
        assert (row.key, row.value) == (b"u", BAD)
        assert tuple(row.headers) == (*IMAGE, origin)
        assert sum(1 for _ in network.rows(topics.posts)) == before + 2
        found = network.decided(6)
        assert found[f"{row.topic}-{row.partition}-{row.offset}"]["reason"] == "undecodable"
        until(lambda: len(listed(run)) == 5, "the dead letters of what was replayed")

        refused = run("replay", by_decision[large]["id"])
        assert "cannot be replayed" in one_line(refused)
        several = run("replay", "--reason", "malformed", "--dry-run")
        assert several.return_value == 1
        assert [line.split()[0] for line in sorted(several.stdout.splitlines())] == [
            "refused", "would", "would",
        ]  # fmt: skip
        assert OMITTED_BODY in run("show", large).stdout
        assert worker.stop() == 0
    finally:
        worker.close()


def test_mistakes_end_in_one_line(run, network) -> None:
    assert "dead-letters list" in one_line(run("show", "0-17"))
    assert "dead-letters list" in one_line(run("show", "nothing"))
    assert "is no time" in one_line(run("list", "--since", "yesterday"))
    assert "--reason" in one_line(run("list", "--reason", "bad"))
    for arguments in ((), ("0-1", "--all"), ("0-1", "--limit", "3")):
        assert isinstance(run("replay", *arguments).exception, click.UsageError)
    assert not listed(run)


def test_a_topic_that_is_not_there_is_named(run, topics) -> None:
    assert topics.dead_letter in one_line(run("list"))


def buried(network: Network, post: str, key: bytes | None, headers: Any = IMAGE) -> None:
    """Write the dead letter of a record of the posts topic, as a worker does."""
    topic, partition, offset = post.rsplit("-", 2)
    record = Record(topic, int(partition), int(offset), 1000, key, BAD, tuple(headers))
    out = dead_letter(record, [("undecodable", "corrupt")], room=MOST)
    network._producer.send(
        network.topics.dead_letter, key=out.key, value=out.value, headers=list(out.headers)
    ).get(30)


def test_what_was_deleted_since_is_not_posted_again(network, run, topics) -> None:
    long = b"k" * 600
    before = network.send(b"again", None, partition=0)
    assert before
    posts = {
        b"gone": network.send(b"gone", BAD, IMAGE, 0),
        b"stays": network.send(b"stays", BAD, IMAGE, 0),
        long: network.send(long, BAD, IMAGE, 1),
        b"again": network.send(b"again", BAD, IMAGE, 0),
    }
    for key, post in posts.items():
        buried(network, post, key)
    # Without a key, it is the header that names the post, in whichever partition.
    named = (("content-type", b"image/jpeg"), ("post-id", b"named"))
    buried(network, network.send(None, BAD, named, 0), None, named)
    letters = {each["key"] or "named": each["id"] for each in listed(run)}
    network.send(b"gone", None, partition=0)
    network.send(long, None, partition=1)
    network.send(b"", None, [("post-id", b"named")], 1)

    only = one_line(run("replay", letters["gone"]))
    assert "is not replayed: its post was deleted since" in only
    preview = run("replay", "--all", "--dry-run")
    assert preview.return_value == 1
    count = sum(1 for _ in network.rows(topics.posts))
    result = run("replay", "--all")
    assert result.return_value == 1, result.output
    lines = result.stdout.splitlines()
    replayed = {line.split()[1] for line in lines if line.startswith("replayed")}
    assert replayed == {letters["stays"], letters["again"]}
    assert sum(line.startswith("refused") for line in lines) == 3
    assert [line.split()[0] for line in preview.stdout.splitlines()].count("refused") == 3
    assert sum(1 for _ in network.rows(topics.posts)) == count + 2
    assert run("replay", letters["gone"], "--unchecked").return_value == 0
    assert sum(1 for _ in network.rows(topics.posts)) == count + 3


@pytest.mark.parametrize(
    ("place", "topic", "offset", "refused"),
    [
        (Place("a", 0, 150, 1000), "posts", 151, True),
        (Place("a", 0, 150, 1000), "posts", 149, False),
        # A letter of an earlier version does not say of which topic of the name it is.
        (Place("", 0, 150, 1000), "posts", 151, True),
        (Place("", 0, 150, 1000), "posts", 149, False),
        # Its offsets are of another topic: it is deleted rather than not.
        (Place("", 0, 150, 1000), "retry", 149, True),
    ],
)
def test_a_deletion_that_came_before_a_post_refuses_nothing(place, topic, offset, refused) -> None:
    deletion = Record("posts", 0, offset, 2000, b"p", None, topic_id="a")
    extent = Extent("posts", "a", {0: (100, 200)})
    refusal = _refusal(Origin("0-0", "p", topic, place), [deletion], extent)
    assert ("was deleted since (posts-0-" in (refusal or "")) == refused


@pytest.mark.parametrize(
    ("place", "topic", "said"),
    [
        (Place("a", 0, 99, 1000), "posts", None),
        (Place("a", 0, 150, 1000), "posts", None),
        (Place("a", 0, 5, 1000), "posts", "posts-0 begins at 100, after its record"),
        (Place("a", 0, 200, 1000), "posts", "posts-0 ends at 200, before its record"),
        (Place("a", 7, 5, 1000), "posts", "posts-7 ends at 0, before its record"),
        (Place("b", 0, 150, 1000), "posts", "posts was made anew"),
        (Place("", 0, 150, 1000), "posts", None),
        (Place("", 0, 150, 1000), "retry", "its record came from retry"),
        (Place("", -1, -1, -1), "", "its record came from no topic"),
    ],
)
def test_what_cannot_be_known_is_said(place, topic, said) -> None:
    extent = Extent("posts", "a", {0: (100, 200)})
    refusal = _refusal(Origin("0-0", "p", topic, place), [], extent)
    assert (refusal is None) == (said is None)
    assert said is None or (said in refusal and "--unchecked" in refusal)
