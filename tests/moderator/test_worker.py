"""The worker against the real Kafka: every form of post, exactly once through crashes and moves.

What is published is read by Kafka's own console consumer with ``read_committed`` and counted by
the coordinates of the posts' records.
"""

import base64
import io
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from PIL import Image

from moderator.compose import NamedImage, PostRecord, build_record
from moderator.demo.drawings import names
from moderator.settings import STARTER
from tests.moderator.conftest import _embed
from tests.moderator.member import Member, Network, until
from tests.services.redis import RedisService

pytestmark = pytest.mark.timeout(300)

SCHEMAS = Path(__file__).resolve().parents[2] / "moderator" / "schemas"


@pytest.fixture
def network(kafka, topics) -> Iterator[Network]:
    topics.create(kafka)
    network = Network(kafka, topics)
    yield network
    network.close()


@pytest.fixture
def member(kafka, topics, tiny_release, tmp_path) -> Iterator[Callable[..., Member]]:
    """Start members of the group; they are gone after the test."""
    members: list[Member] = []

    def start(name: str = "0", **settings: str) -> Member:
        given = topics.overrides(kafka) | {"release": str(tiny_release.path)} | settings
        members.append(Member(given, tmp_path, name))
        return members[-1]

    yield start
    for each in members:
        each.close()


def picture(data: bytes, post_id: str, media_type: str = "image/jpeg") -> PostRecord:
    return build_record([NamedImage("0", data, media_type)], post_id=post_id, form="binary")


def as_json(*images: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"post_id": "p", "images": list(images), **more}).encode()


def encoded(data: bytes) -> dict[str, str]:
    return {"data": base64.b64encode(data).decode()}


def large_png(size: int) -> bytes:
    """Return a valid PNG of about ``size`` bytes: noise does not compress."""
    import numpy as np

    side = round((size / 3) ** 0.5)
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    return file.getvalue()


def outcome(decision: dict[str, Any]) -> tuple[str, str]:
    return decision["decision"], decision["reason"]


def test_every_form_of_post_gets_its_one_decision(network, member, topics, drawn, tmp_path) -> None:
    photograph = tmp_path / "root" / "revolver.jpg"
    photograph.parent.mkdir()
    photograph.write_bytes(drawn("revolver", 1))
    firearm, other = drawn("revolver"), drawn("pistol", 3, "posted")
    posts: dict[str, tuple[str, tuple[str, str]]] = {}

    def expect(name: str, sent: str, *said: str) -> None:
        posts[name] = sent, said

    expect("binary", network.post(picture(firearm, "a")), "flag", "match")
    expect("harmless", network.post(picture(other, "b")), "pass", "no-match")
    lookalike = drawn(names("lookalike")[0])
    expect("lookalike", network.post(picture(lookalike, "c")), "pass", "lookalike")
    several = as_json(encoded(other), encoded(firearm), {"data": "%%%"})
    expect("several", network.send(b"d", several), "flag", "match")
    by_file = as_json({"url": photograph.as_uri()})
    expect("reference", network.send(b"e", by_file), "flag", "match")
    outside = as_json({"url": "file:///etc/hostname"}, encoded(other))
    expect("unreachable", network.send(b"f", outside), "flag", "unreachable")
    by_https = as_json({"url": "https://localhost/a.jpg"})
    expect("no host", network.send(b"g", by_https), "flag", "unreachable")
    expect("undecodable", network.post(picture(b"no image", "h")), "flag", "undecodable")
    # Cut within the first line of its pixels, so that nothing shows.
    cut = firearm[: firearm.index(b"\xff\xda") + 24]
    expect("cut", network.post(picture(cut, "i")), "flag", "undecodable")
    expect("malformed", network.send(b"j", b"\xff{"), "flag", "malformed")
    expect("no images", network.send(b"k", as_json()), "pass", "no-images")
    expect("too many", network.send(b"l", as_json(*[encoded(b"x")] * 21)), "flag", "malformed")
    expect("deleted", network.send(b"m", None), "pass", "deleted")
    content_type = [("content-type", b"image/jpeg")]
    expect("no key", network.send(None, firearm, content_type), "flag", "match")
    large = picture(large_png(7_500_000), "n", "image/png")
    expect("large", network.post(large), "pass", "no-match")
    expect("oversized", network.send(b"o", bytes(8 * 2**20 + 1)), "flag", "malformed")
    expect("repeat", network.post(picture(firearm, "a")), "flag", "match")

    worker = member(allowed_root=str(photograph.parent), allowed_hosts="localhost").await_ready()
    decisions = network.decided(len(posts))
    found = {name: decisions[sent] for name, (sent, _) in posts.items()}
    assert {name: outcome(each) for name, each in found.items()} == {
        name: said for name, (_, said) in posts.items()
    }

    schema = json.loads((SCHEMAS / "decision-1.json").read_text())
    for each in decisions.values():
        jsonschema.validate(each, schema)
    assert found["binary"]["post_id"] == "a"
    assert found["no key"]["post_id"] == found["no key"]["decision_id"]
    assert found["binary"]["types"][0]["type"] == "revolver"
    assert found["binary"]["images"][0]["prototypes"][0]["id"] == "drawing/revolver/0"
    assert [image["reason"] for image in found["several"]["images"]] == [
        "no-match",
        "match",
        "malformed",
    ]
    assert found["unreachable"]["images"][0]["cause"] == "not-allowed"

    flagged = network.decisions(topics.flagged)
    assert {each["decision_id"] for each in flagged} == {
        each["decision_id"] for each in decisions.values() if each["decision"] == "flag"
    }
    dead = {}
    for row in network.rows(topics.dead_letter):
        headers = dict(row.headers)
        assert headers["__connect.errors.topic"] == topics.posts.encode()
        at = headers["__connect.errors.partition"], headers["__connect.errors.offset"]
        dead[tuple(map(int, at))] = row
    unjudged = [each for each in decisions.values() if each["cause"]] + [found["several"]]
    assert dead.keys() == {(d["source"]["partition"], d["source"]["offset"]) for d in unjudged}
    source = found["cut"]["source"]
    assert dead[source["partition"], source["offset"]].value == cut
    source = found["oversized"]["source"]
    assert len(dead[source["partition"], source["offset"]].value) == 8 * 2**20 + 1

    assert worker.metric('moderator_decisions_total{decision="pass",reason="deleted"}') == 1
    assert worker.metric('moderator_flags_total{type="revolver"}') == 5
    assert worker.metric("moderator_age_seconds_count") == len(posts)
    assert worker.metric('moderator_decode_failures_total{cause="corrupt"}') >= 1
    for partition in (0, 1):
        labels = f'{{partition="{partition}",topic="{topics.posts}"}}'
        until(
            lambda labels=labels: worker.metric(f"moderator_position_offset{labels}"), "positions"
        )
        assert worker.metric(f"moderator_lag_records{labels}") == 0
    assert worker.stop() == 0


def test_photographs_are_decided_by_the_starter_release(
    kafka, network, member, topics, photographs
) -> None:
    shown = {
        "firearm": ("revolver_double_action", "semi_auto_pistol_other", "ar15_m16_family"),
        "negative": ("coco_scene", "furniture", "person_clothing_photo"),
    }
    sent: dict[str, str] = {}
    for role, kinds in shown.items():
        for kind in kinds:
            paths = sorted((photographs / f"{role}s" / kind).glob("*.jpg"))
            for n, path in enumerate(paths[:: max(1, len(paths) // 7)][:7]):
                image = NamedImage(path.name, path.read_bytes(), "image/jpeg")
                form = "json" if n % 2 else "binary"
                record = build_record([image], post_id=f"{role}/{path.name}", form=form)
                sent[network.post(record)] = role
    worker = member(release=str(STARTER))
    decisions = network.decided(len(sent))
    assert {each["reason"] for each in decisions.values()} <= {
        "match",
        "near-miss",
        "lookalike",
        "no-match",
    }
    flagged = Counter(sent[n] for n, each in decisions.items() if each["decision"] == "flag")
    # It is no good network (see its report), but far from chance: 21 of each were posted.
    assert flagged["firearm"] >= 14
    assert flagged["negative"] <= 3
    assert worker.stop() == 0


def test_of_two_members_of_one_static_name_the_displaced_one_says_so(
    network, member, topics, drawn
) -> None:
    first = member("a", group_instance_id="same").await_ready()
    pour(network, drawn, 10)
    until(lambda: network.committed() >= 10, "decisions")
    second = member("b", group_instance_id="same").await_ready()
    pour(network, drawn, 20, 10)
    code, text = ends(first)
    assert code == 2
    assert "group_instance_id" in text
    assert network.ledger(30) == network.sources
    assert second.stop() == 0


def pour(network: Network, drawn: Callable[..., bytes], count: int, first: int = 0) -> None:
    """Post drawings, few of them different, so that decoding costs little."""
    pictures = [drawn(name) for name in ("revolver", "pistol", "shotgun")]
    for n in range(first, first + count):
        network.post(picture(pictures[n % 3], f"post-{n}"))


def test_stopping_under_load_finishes_what_was_begun_and_exits_0(network, member, drawn) -> None:
    worker = member(max_batch="4").await_ready()
    pour(network, drawn, 200)
    until(lambda: network.committed() >= 20, "some decisions")
    assert worker.stop() == 0
    assert "drained" in worker.log.read_text()
    again = member().await_ready()
    assert network.ledger(200) == network.sources
    assert again.stop() == 0


def positions(worker: Member, topic: str) -> int:
    """Return of how many partitions of a topic a member knows where it reads."""
    lines = worker.get("/metrics")[1].splitlines()
    return sum(line.startswith("moderator_position_offset{") and topic in line for line in lines)


def test_both_embedders_and_both_deliveries_decide_alike(network, member, topics, drawn) -> None:
    pictures = [drawn(name, seed, variant) for name in (*names("firearm"), *names("lookalike"))
                for seed, variant in ((0, "indexed"), (1, "posted"))]  # fmt: skip
    count = len(pictures)
    sent = []
    runs = {}
    for run, settings in enumerate(
        ({}, {"embedder": "process"}, {"embedder": "process", "delivery": "at-least-once"})
    ):
        worker = member(group=f"{topics.group}-{run}", start_from="latest", **settings)
        worker.await_ready()
        # A new group starts at the end: what comes before a partition's is found is not read.
        until(lambda w=worker: positions(w, topics.posts) == 2, "the ends of both partitions")
        sent = [network.post(picture(data, f"{n}")) for n, data in enumerate(pictures)]
        decisions = network.decided((run + 1) * count)
        runs[run] = [decisions[each] for each in sent]
        assert worker.stop() == 0
    for run in (1, 2):
        for one, other in zip(runs[0], runs[run], strict=True):
            assert outcome(one) == outcome(other)
            assert [t["type"] for t in one["types"]] == [t["type"] for t in other["types"]]
            near, far = one["images"][0]["prototypes"], other["images"][0]["prototypes"]
            assert [each["id"] for each in near] == [each["id"] for each in far]
            for a, b in zip(near, far, strict=True):
                assert a["similarity"] == pytest.approx(b["similarity"], abs=1e-4)


def test_the_overlay_is_served_before_the_first_post_is_decided(
    kafka, network, member, topics, drawn, tiny_release
) -> None:
    from moderator.overlay import encode_prototype
    from moderator.records import digest

    other, banned = drawn("pistol", 3, "posted"), drawn("revolver")
    sent = network.post(picture(other, "a")), network.post(picture(banned, "b"))
    producer = network._producer
    for name, kind, data, said in (
        ("x", "override", other, "glock"),
        ("y", "override", banned, ""),
    ):
        key, value = encode_prototype(
            name,
            tiny_release.network_digest,
            said,
            kind,
            None,
            family="pistol",
            display_name=said,
            digest=digest(data),
        )
        producer.send(topics.prototypes, key=key, value=value).get(30)
    producer.send(topics.prototypes, key=b"another/z", value=b"{}").get(30)
    worker = member().await_ready()
    decisions = network.decided(2)
    assert [outcome(decisions[each]) for each in sent] == [
        ("flag", "override"),
        ("pass", "override"),
    ]
    assert {each["overlay"] for each in decisions.values()} == {3}
    assert worker.metric('moderator_overlay_skipped_total{cause="network"}') == 1
    assert worker.stop() == 0


def test_what_reviewers_say_holds_on_every_member_within_seconds(
    kafka, network, member, topics, drawn, tiny_release
) -> None:
    """By the embedding as it is flagged; a look-alike, a new type and one that is known."""
    from moderator.overlay import encode_prototype

    members = [member(name).await_ready() for name in ("a", "b")]
    for each in members:
        until(lambda each=each: each.metric("moderator_assigned_partitions") == 1, "a partition")
    firearm, new, old = (
        drawn("revolver"),
        drawn("pistol", 3, "posted"),
        drawn("shotgun", 1, "posted"),
    )
    for number, data in enumerate((firearm, new, old)):
        network.post(picture(data, f"{number}"))
    until(lambda: network.committed() >= 3, "the decisions")
    (flagged,) = kafka.read(topics.flagged, expect=1)
    taken = json.loads(flagged.value)["images"][0]["embedding"]
    rows = _embed(tiny_release.load_network(), [("pistol", 3, "posted"), ("shotgun", 1, "posted")])
    begin = time.monotonic()
    for name, kind, firearm_type, embedding in (
        ("said/toy", "lookalike", "toy", taken),
        ("said/new", "firearm", "derringer", rows[0]),
        ("said/old", "firearm", "revolver", rows[1]),
    ):
        plain = None if embedding is taken else embedding
        key, value = encode_prototype(
            name,
            tiny_release.network_digest,
            firearm_type,
            kind,
            plain,
            family="pistol",
            display_name=firearm_type,
        )
        if plain is None:
            value = json.dumps({**json.loads(value), "embedding": taken}).encode()
        network._producer.send(topics.prototypes, key=key, value=value).get(30)
    for each in members:
        until(lambda each=each: each.metric("moderator_overlay_version") == 3, "the overlay")
    assert time.monotonic() - begin < 5
    again = [
        [network.post(picture(data, f"{n}"), partition) for partition in (0, 1)]
        for n, data in enumerate((firearm, new, old))
    ]
    after = network.decided(9)
    expected = [("pass", "lookalike"), ("flag", "match"), ("flag", "match")]
    for ids, said in zip(again, expected, strict=True):
        assert [outcome(after[each]) for each in ids] == [said, said]
    for ids, name in zip(again[1:], ("derringer", "revolver"), strict=True):
        assert {after[each]["types"][0]["type"] for each in ids} == {name}
    assert [each.metric("moderator_assigned_partitions") for each in members] == [1, 1]
    assert {each.stop() for each in members} == {0}


def test_pictures_are_remembered_in_redis_and_without_it_decided_all_the_same(
    network, member, drawn, redis_service
) -> None:
    first = member("a", redis_url=redis_service.url).await_ready()
    network.post(picture(drawn("revolver"), "a"))
    (one,) = network.decided(1).values()
    assert first.stop() == 0
    second = member("b", redis_url=redis_service.url).await_ready()
    again = network.post(picture(drawn("revolver"), "b"))
    other = network.decided(2)[again]
    assert (one["cached"], other["cached"]) == (False, True)
    assert outcome(one) == outcome(other)
    assert one["images"][0]["prototypes"] == other["images"][0]["prototypes"]
    redis_service.kill()
    try:
        lost = network.post(picture(drawn("pistol"), "c"))
        assert outcome(network.decided(3)[lost]) == ("flag", "match")
        assert second.get("/livez")[0] == 200
    finally:
        redis_service.start()
    assert second.stop() == 0


def test_decode_processes_may_die_without_the_member(network, member, drawn) -> None:
    import subprocess

    worker = member(max_batch="2", cache_entries="0").await_ready()
    pour(network, drawn, 60)
    until(lambda: network.committed() >= 5, "some decisions")
    listed = subprocess.run(
        ["pgrep", "-P", str(worker.process.pid)], capture_output=True, text=True, check=True
    )
    for pid in listed.stdout.split():
        subprocess.run(["kill", "-9", pid], check=False)
    assert network.ledger(60) == network.sources
    assert worker.stop() == 0


def ends(worker: Member) -> tuple[int, str]:
    """Return exit code and output of a worker that is to end by itself."""
    code = worker.process.wait(20)
    return code, worker.log.read_text()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"max_batchs": "4"}, "max_batch"),
        ({"max_batch": "many"}, "max_batch"),
        ({"transaction_timeout": "60"}, "session_timeout"),
        ({"bootstrap_servers": "127.0.0.1:9", "start_timeout": "2"}, "127.0.0.1:9"),
        ({"posts_topic": "absent", "start_timeout": "2"}, "topics create"),
        ({"release": "/nowhere"}, "/nowhere"),
        ({"redis_url": "redis://127.0.0.1:9/0", "start_timeout": "2"}, "127.0.0.1:9"),
        ({"device": "cuda:7"}, "cuda:7"),
    ],
    ids=lambda given: next(iter(given)) if isinstance(given, dict) else "",
)
def test_wrong_settings_end_in_one_line_with_exit_code_2(network, member, settings, said) -> None:
    code, text = ends(member(**settings))
    assert code == 2, text
    (line,) = [each for each in text.splitlines() if each.startswith("moderator: ")]
    assert said in line
    assert "Traceback" not in text


def test_wrong_passwords_end_in_one_line_without_the_password(
    kafka, network, member, tmp_path
) -> None:
    redis = RedisService(tmp_path, password="right-password")
    redis.start()
    sasl = {
        "bootstrap_servers": kafka.sasl_bootstrap_servers,
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "PLAIN",
        "sasl_username": "member",
        "sasl_password": "wrong-password",
    }
    try:
        for settings, said in (
            (sasl, "sasl_password"),
            ({"redis_url": redis.url_with("wrong-password")}, "redis_url"),
        ):
            code, text = ends(member(**settings))
            assert code == 2, text
            assert said in text
            assert "wrong-password" not in text
            assert "Traceback" not in text
    finally:
        redis.kill()


def test_a_damaged_release_is_refused(network, member, tiny_release, tmp_path) -> None:
    import shutil

    damaged = tmp_path / "damaged"
    shutil.copytree(tiny_release.path, damaged)
    weights = damaged / "weights.safetensors"
    raw = bytearray(weights.read_bytes())
    raw[-1] ^= 1
    weights.write_bytes(raw)
    code, text = ends(member(release=str(damaged)))
    assert code == 2
    assert "weights.safetensors" in text
    assert "Traceback" not in text


def test_a_thread_that_ends_by_an_error_ends_the_process_with_a_reason() -> None:
    script = (
        "import threading, time\n"
        "from moderator.worker import ended_by_threads\n"
        "with ended_by_threads():\n"
        "    threading.Thread(target=lambda: 1 / 0, name='reading').start()\n"
        "    time.sleep(60)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 1
    assert "thread reading ended by an error nobody foresaw" in done.stderr
    assert "ZeroDivisionError" in done.stderr


def test_a_session_timeout_that_the_brokers_refuse_ends_the_member_with_one_line(
    kafka, member, network
) -> None:
    # Kafka's own most is 30 minutes.
    found = member(session_timeout="3600", transaction_timeout="5")
    assert found.process.wait(90) == 2
    said = [line for line in found.log.read_text().splitlines() if line.startswith("moderator:")]
    assert len(said) == 1
    assert "session_timeout" in said[0]
