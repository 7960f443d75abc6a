"""Replaying and canaries against the real Kafka, with a real worker's decisions."""

import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kafka import TopicPartition
from rich.console import Console

from models.release import write_release
from moderator.canary import Expectation
from moderator.compose import NamedImage, build_record
from moderator.demo.drawings import names
from moderator.errors import BadSettings
from moderator.overlay import encode_prototype
from moderator.post import post_images
from moderator.replaying.replay import Request, run_replay
from moderator.settings import Settings, load_settings
from moderator.streaming import clients
from tests.moderator.heads import POLICY, with_head
from tests.moderator.member import Member, Network, until
from tests.moderator.schemas import schema

pytestmark = pytest.mark.timeout(300)

SECRET = "a secret of some length"


@pytest.fixture
def network(kafka, topics) -> Iterator[Network]:
    topics.create(kafka)
    network = Network(kafka, topics)
    yield network
    network.close()


@pytest.fixture
def member(kafka, topics, tiny_release, tmp_path) -> Iterator[Callable[..., Member]]:
    members: list[Member] = []

    def start(**settings: str) -> Member:
        given = topics.overrides(kafka) | {"release": str(tiny_release.path)} | settings
        members.append(Member(given, tmp_path))
        return members[-1]

    yield start
    for each in members:
        each.close()


@pytest.fixture
def settings(kafka, topics, tmp_path) -> Settings:
    given = {"decode_processes": "1", "embed_threads": "1", "max_batch": "8"}
    root = {"allowed_root": str(tmp_path / "root"), "canary_secret": SECRET}
    return load_settings(topics.overrides(kafka) | given | root, environ={})


def other(release, folder: Path):
    """Write a release like another whose look-alikes excuse nothing.

    Its revolvers need the similarity of a picture to itself, which is at their threshold.
    """
    return write_release(
        folder,
        network=release.load_network("cpu", fold=False),
        prototypes=release.prototypes,
        types=release.types,
        policy=replace(release.policy, lookalike_margin=2.0, thresholds={"revolver": 1.0}),
        report={},
        created="2026-01-02T03:04:05Z",
        git_commit=None,
        dataset_digest=None,
    )


def replayed(settings: Settings, request: Request, tmp_path) -> tuple[dict[str, Any], list[dict]]:
    """Return the summary, and what was written as differing or to be listed apart."""
    path = tmp_path / "differs.jsonl"
    out, err = Console(file=io.StringIO()), Console(file=io.StringIO())
    assert run_replay(settings, replace(request, out=path, as_json=True), out=out, err=err) == 0
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        schema("replay-1").validate(line)
    return json.loads(out.file.getvalue()), lines


def offsets(settings: Settings) -> dict[str, int]:
    """Return the group's committed offsets."""
    admin = clients.admin(settings.kafka)
    try:
        found = admin.list_group_offsets([settings.kafka.group])
        ((_, committed),) = found.items()
        return {str(key): value.offset for key, value in committed.items()}
    finally:
        admin.close()


def picture(data: bytes, post_id: str):
    return build_record([NamedImage("0", data, "image/jpeg")], post_id=post_id, form="binary")


def test_a_range_is_decided_again_and_the_group_left_alone(
    kafka, network, member, topics, settings, tiny_release, drawn, tmp_path
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "gone.jpg").write_bytes(drawn("pistol"))
    kinds = ("firearm", "lookalike", "harmless")
    shown = [drawn(name) for kind in kinds for name in names(kind)[:5]]
    sent = [network.post(picture(data, f"p{n}"), n % 2) for n, data in enumerate(shown * 2)]
    by_file = json.dumps({"images": [{"url": (root / "gone.jpg").as_uri()}]}).encode()
    network.send(b"file", by_file, partition=0)
    network.send(b"p0", None, partition=0)
    network.send(b"bad", b"\xff{", partition=1)
    worker = member(allowed_root=str(root)).await_ready()
    total = len(sent) + 3
    decided = network.decided(total)
    assert worker.stop() == 0
    network.post(picture(shown[0], "not decided"), 1)
    before = offsets(settings)

    # What was published, decided again by the release that decided it.
    same = Request("-1h", "latest", tiny_release.path)
    found, lines = replayed(settings, same, tmp_path)
    assert found["posts"] == total + 1
    assert found["statuses"] | {"missing": 0} == {
        "same": total, "changed": 0, "near-threshold": 0, "unreachable": 0, "missing": 0,
    }  # fmt: skip
    assert len(found["missing"]) == 1
    assert [line["status"] for line in lines] == ["missing"]
    assert found["largest_similarity_difference"] <= 1e-4
    assert (found["deletions"], found["unfetched"]) == (1, 0)
    assert found["old_releases"] == {tiny_release.id: total}

    # Of a candidate without look-alikes; and a picture that is gone by now.
    (root / "gone.jpg").unlink()
    candidate = other(tiny_release, tmp_path / "other")
    kafka.create("differs-" + topics.posts)
    ends = ",".join(f"{p}:{n}" for p, n in ((0, len(shown) + 2), (1, len(shown) + 1)))
    request = Request("0:0,1:0", ends, candidate.path, topic="differs-" + topics.posts)
    found, lines = replayed(settings, request, tmp_path)
    by_status = {
        status: {line["decision_id"] for line in lines if line["status"] == status}
        for status in ("changed", "near-threshold")
    }
    excused = {n for n, each in decided.items() if each["reason"] == "lookalike"}
    assert by_status["changed"] == excused
    assert found["changes"]["pass-to-flag"] == len(excused) == 10
    assert {"type": "pistol", "change": "pass-to-flag", "posts": 10} in found["types"]
    assert {"old": "lookalike", "new": "match", "posts": 10} in found["reasons"]
    revolvers = {
        n
        for n, each in decided.items()
        if each["reason"] == "match" and each["types"][0]["type"] == "revolver"
    }
    assert revolvers <= by_status["near-threshold"]
    assert (found["statuses"]["unreachable"], found["unfetched"]) == (1, 1)
    assert found["statuses"]["missing"] == 0
    assert kafka.read("differs-" + topics.posts, expect=len(lines))
    rows = network.rows("differs-" + topics.posts)
    assert [json.loads(row.value) for row in rows] == lines

    # Offsets that retention has taken are said to be gone.
    with kafka.admin() as admin:
        admin.delete_records({TopicPartition(topics.posts, 0): 4})
    found, _ = replayed(settings, replace(request, topic=None), tmp_path)
    assert found["offsets_lost"] == {"0": 4}
    found, _ = replayed(settings, same, tmp_path)
    assert found["begins_at_oldest"] == {"0": 4}

    with pytest.raises(BadSettings, match="own"):
        run_replay(settings, replace(same, topic=topics.flagged), out=Console(), err=Console())
    assert offsets(settings) == before
    assert set(network.decided(total)) == set(decided)


def test_the_same_twice_is_the_same_and_the_overlay_is_only_what_is_asked_for(
    network, topics, settings, tiny_release, drawn, tmp_path
) -> None:
    for n in range(30):
        kind = ("firearm", "lookalike", "harmless")[n % 3]
        name = names(kind)[n % len(names(kind))]
        network.post(picture(drawn(name, n % 4, "posted" if n % 5 == 0 else "indexed"), f"p{n}"))
    twice = Request("earliest", "latest", tiny_release.path, against=tiny_release.path)
    found, lines = replayed(settings, twice, tmp_path)
    near = [line for line in lines if line["status"] == "near-threshold"]
    assert found["statuses"]["same"] + len(near) == found["posts"] == 30
    assert len(lines) == len(near)
    assert found["largest_similarity_difference"] <= 1e-4

    # Two prototypes leave the index, at offsets 0 and 1 of the topic.
    producer = clients.producer(settings.kafka, transactional=False)
    for seed in (0, 1):
        key, _ = encode_prototype(
            f"drawing/revolver/{seed}", tiny_release.network_digest, "revolver", "firearm", None,
            family="small", display_name="Revolver",
        )  # fmt: skip
        producer.send(topics.prototypes, key=key, value=None).get(30)
    producer.close()
    assert replayed(settings, twice, tmp_path)[0]["old_overlays"] == [0, 0]
    found, _ = replayed(settings, replace(twice, overlay="1"), tmp_path)
    assert found["old_overlays"] == [1, 1]
    found, _ = replayed(settings, replace(twice, overlay="latest"), tmp_path)
    assert found["old_overlays"] == [2, 2]
    assert found["statuses"]["changed"] == 0


def test_canaries_are_checked_and_reviewers_never_see_them(
    network, member, topics, settings, drawn, tmp_path
) -> None:
    files = {"gun": drawn("revolver"), "cat": drawn("cat", 3, "posted"), "broken": b"no image"}
    paths = {name: tmp_path / f"{name}.jpg" for name in files}
    for name, data in files.items():
        paths[name].write_bytes(data)
    worker = member(canary_secret=SECRET).await_ready()

    def post(name: str, canary: Expectation | None, given: Settings = settings) -> str:
        (posted,) = post_images(given, [paths[name]], canary=canary)
        return posted.decision_id

    foreign = settings.model_copy(
        update={"canaries": load_settings({"canary_secret": SECRET[::-1]}, environ={}).canaries}
    )
    ids = {
        "post": post("gun", None),
        "right": post("gun", Expectation("flag", "revolver")),
        "wrong type": post("gun", Expectation("flag", "pistol")),
        "harmless": post("cat", Expectation("pass")),
        "wrong": post("cat", Expectation("flag")),
        "broken": post("broken", Expectation("flag")),
        "smuggled": post("gun", Expectation("pass"), foreign),
    }
    decisions = network.decided(len(ids))
    for each in decisions.values():
        schema("decision-1").validate(each)
    assert {name: decisions[n].get("canary", {}).get("right") for name, n in ids.items()} == {
        "post": None,
        "right": True,
        "wrong type": False,
        "harmless": True,
        "wrong": False,
        "broken": False,
        "smuggled": None,
    }
    assert not decisions[ids["right"]]["cached"]
    flagged = {each["decision_id"] for each in network.decisions(topics.flagged, expect=2)}
    assert flagged == {ids["post"], ids["smuggled"]}
    assert network.rows(topics.dead_letter) == []
    until(lambda: worker.metric('moderator_canaries_total{outcome="wrong"}') == 3, "the count")
    assert worker.metric('moderator_canaries_total{outcome="right"}') == 2
    assert worker.metric('moderator_canaries_refused_total{cause="signature"}') == 1
    assert worker.metric("moderator_canary_last_seen_timestamp_seconds") > 1.7e9
    assert f"canary {ids['wrong']} was answered wrong" in worker.log.read_text()
    assert worker.stop() == 0
    assert SECRET not in worker.log.read_text()


def test_ctrl_c_ends_a_replay_with_what_was_found_so_far(
    kafka, network, topics, tiny_release, drawn, tmp_path
) -> None:
    data = drawn("revolver")
    for n in range(3000):
        network.put(picture(data + n.to_bytes(4, "big"), f"p{n}"))
    network.flush()
    given = topics.overrides(kafka) | {"decode_processes": "1", "embed_threads": "1"}
    pairs = [text for item in given.items() for text in ("--set", "=".join(item))]
    release = str(tiny_release.path)
    command = [sys.executable, "-m", "moderator", "replay", "--from", "earliest", "--to", "latest",
               "--release", release, "--against", release, "--json", *pairs]  # fmt: skip
    ours, theirs = pty.openpty()
    replay = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, text=True)
    os.close(theirs)
    shown = b""
    try:
        while not re.search(rb"[1-9][0-9]*/3000", shown):
            shown += os.read(ours, 4096)
        replay.send_signal(signal.SIGINT)
        # A terminal that nobody reads is soon full.
        rest = bytearray()
        reading = threading.Thread(target=read_to_end, args=(ours, rest))
        reading.start()
        out, _ = replay.communicate(timeout=60)
        reading.join(10)
    finally:
        replay.kill()
        replay.wait()
        os.close(ours)
    assert replay.returncode == 130
    found = json.loads(out)
    assert found["interrupted"]
    assert found["posts"] < 3000
    assert b"Traceback" not in shown + rest
    with kafka.admin() as admin:
        assert not any(topics.group in str(each) for each in admin.list_groups())


def read_to_end(file: int, into: bytearray) -> None:
    """Read what comes until the other side is closed."""
    with suppress(OSError):
        while data := os.read(file, 4096):
            into += data


def test_a_release_with_a_head_is_held_against_one_without_and_the_reverse(
    network, topics, settings, tiny_release, drawn, tmp_path
) -> None:
    every = [(kind, name) for kind in ("firearm", "harmless") for name in names(kind)]
    for n, (_, name) in enumerate(every):
        network.post(picture(drawn(name), f"p{n}"))
    guns = len(names("firearm"))
    headed = with_head(tiny_release, tmp_path / "headed", replace(POLICY, threshold=-1000.0))
    for one, against, change in (
        (headed, tiny_release, "pass-to-flag"),
        (tiny_release, headed, "flag-to-pass"),
    ):
        request = Request("earliest", "latest", one.path, against=against.path)
        found, lines = replayed(settings, request, tmp_path)
        assert found["posts"] == len(every)
        # Some are near a threshold: what shows nothing is as much of one type as of another.
        assert sum(line["change"] == change for line in lines) == len(every) - guns
        # It is one network: the same prototypes are as near.
        assert found["largest_similarity_difference"] <= 1e-4
        flagged = [line["new"] for line in lines if line["new"]["decision"] == "flag"]
        assert all(("mechanisms" in each) == (one is headed) for each in flagged)
