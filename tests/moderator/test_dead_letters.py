"""``moderator dead-letters`` on the real Kafka, beside a worker and without one."""

import json
from collections.abc import Iterator
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from moderator.cli import cli
from moderator.decisions import OMITTED_BODY
from moderator.errors import ModeratorError
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
