"""Posts whose images cannot be fetched, through workers on the real Kafka and a host over TLS."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from moderator import retries
from tests.conftest import TopicNames
from tests.moderator.member import Member, Network, until
from tests.moderator.schemas import schema
from tests.moderator.tls_server import TlsServer, answer, certificate

pytestmark = pytest.mark.timeout(300)

DELAYS = ("1s", "4s")
BOTH = 5


@pytest.fixture
def topics() -> TopicNames:
    return TopicNames.unique().retrying(*DELAYS)


@pytest.fixture
def network(kafka, topics) -> Iterator[Network]:
    topics.create(kafka)
    network = Network(kafka, topics)
    yield network
    network.close()


@pytest.fixture
def member(kafka, topics, network, tiny_release, tmp_path) -> Iterator[Callable[..., Member]]:
    """Start members of the group, which may read files under ``tmp_path``."""
    members: list[Member] = []

    def start(name: str = "0", server: TlsServer | None = None, **settings: str) -> Member:
        given = topics.overrides(kafka) | {
            "release": str(tiny_release.path),
            "allowed_root": str(tmp_path),
        }
        if server is None:
            members.append(Member(given | settings, tmp_path, name))
        else:
            trusted = {"TRUSTED_PORT": str(server.port), "TRUSTED_CERT": str(server.cert)}
            given["allowed_hosts"] = "images.example,*.cdn.example"
            members.append(
                Member(
                    given | settings,
                    tmp_path,
                    name,
                    module="tests.moderator.trusting",
                    environment=trusted,
                )
            )
        return members[-1]

    yield start
    for each in members:
        each.close()


@pytest.fixture
def server(tmp_path) -> Iterator[TlsServer]:
    server = TlsServer(*certificate(tmp_path))
    yield server
    server.close()


def by_reference(*urls: str) -> bytes:
    return json.dumps({"images": [{"url": url} for url in urls]}).encode()


def file(folder: Path, name: str) -> str:
    return (folder / name).as_uri()


def times(network: Network, topic: str) -> dict[int, Any]:
    """Return the records of a retry topic by the offset of the post that they try again."""
    return {int(dict(row.headers)[retries.OFFSET]): row for row in network.rows(topic)}


@pytest.mark.parametrize("delivery", ["exactly-once", "at-least-once"])
def test_an_image_that_comes_late_is_judged_and_one_that_never_comes_is_unreachable(
    network, member, topics, drawn, tmp_path, delivery
) -> None:
    worker = member(delivery=delivery).await_ready()
    begin = time.time()
    late = network.send(b"late", by_reference(file(tmp_path, "late.jpg")), [("x", b"1")], 0)
    never = network.send(b"never", by_reference(file(tmp_path, "never.jpg")), [("y", b"2")], 1)
    hostile = network.send(b"hostile", by_reference("file:///etc/passwd"), (), 0)
    inline = network.send(b"inline", drawn("revolver"), [("content-type", b"image/jpeg")], 1)
    series = f'moderator_retries_total{{topic="{topics.retry_prefix}{DELAYS[0]}"}}'
    until(lambda: worker.metric(series) == 2, "the first attempts")
    (tmp_path / "late.jpg").write_bytes(drawn("pistol"))
    found = network.decided(4)
    ended = time.time()

    said = {n: (found[n]["decision"], found[n]["reason"]) for n in (late, never)}
    assert said == {late: ("flag", "match"), never: ("flag", "unreachable")}
    assert found[late]["post_id"] == "late"
    assert found[never]["cause"] == "not-found"
    assert found[never]["attempts"] == 3
    assert found[late]["attempts"] in (2, 3)
    assert [found[n].get("attempts") for n in (hostile, inline)] == [None, None]
    assert (found[hostile]["reason"], found[inline]["reason"]) == ("unreachable", "match")
    assert Counter((s["topic"], s["partition"], s["offset"]) for s in
                   (each["source"] for each in found.values())) == network.sources  # fmt: skip
    for each in found.values():
        schema("decision-1").validate(each)

    one, two = (network.rows(f"{topics.retry_prefix}{delay}") for delay in DELAYS)
    assert sorted(row.key for row in one) == [b"late", b"never"]
    last = next(row for row in two if row.key == b"never")
    headers = dict(last.headers)
    assert last.value == by_reference(file(tmp_path, "never.jpg"))
    assert (headers["y"], headers[retries.ATTEMPT]) == (b"2", b"2")
    where = (headers[each].decode() for each in (retries.TOPIC, retries.PARTITION, retries.OFFSET))
    assert "-".join(where) == never
    assert begin - 5 < int(headers[retries.TIMESTAMP]) / 1000 < begin + 5
    # Not before it was due, which is when both delays are over.
    assert ended - begin >= BOTH
    assert int(headers[retries.DUE]) / 1000 >= begin + BOTH - 0.1

    dead = {dict(row.headers)["y"]: row for row in network.rows(topics.dead_letter)
            if row.key == b"never"}  # fmt: skip
    headers = dict(dead[b"2"].headers)
    where = (headers[f"__connect.errors.{each}"].decode()
             for each in ("topic", "partition", "offset"))  # fmt: skip
    assert "-".join(where) == never
    assert not [name for name in headers if name.startswith(retries.PREFIX)]
    assert worker.metric(series) == 2
    # Its age counts from the post itself, so it is that of both delays at least.
    assert worker.metric("moderator_age_seconds_sum") >= BOTH
    assert worker.stop() == 0


def test_kills_lose_and_double_nothing_while_posts_wait_for_their_next_attempt(
    network, member, drawn, tmp_path
) -> None:
    present = file(tmp_path, "there.jpg")
    (tmp_path / "there.jpg").write_bytes(drawn("shotgun"))
    settings = {"max_batch": "4"}
    worker = member(**settings).await_ready()
    total = 0
    for round_ in range(3):
        for n in range(20):
            url = file(tmp_path, f"{round_}-{n}.jpg") if n % 2 else present
            network.send(f"{round_}-{n}".encode(), by_reference(url))
        total += 20
        until(lambda least=total - 15: network.committed() >= least, "some decisions")
        worker.kill()
        worker = member(**settings)
    assert network.ledger(total) == network.sources
    reasons = Counter(each["reason"] for each in network.decisions(expect=total))
    assert reasons == {"match": 30, "unreachable": 30}
    assert worker.stop() == 0


def test_what_others_write_to_a_retry_topic_is_malformed_and_holds_up_nothing(
    network, member, topics, tmp_path
) -> None:
    name = f"{topics.retry_prefix}{DELAYS[0]}"
    ours = {
        retries.ATTEMPT: "1",
        retries.DUE: str(round(time.time() * 1000)),
        retries.TOPIC: topics.posts,
        retries.PARTITION: "0",
        retries.OFFSET: "5",
        retries.TIMESTAMP: "1",
    }
    wrong: list[dict[str, str]] = [
        {},
        ours | {retries.OFFSET: "-7"},
        ours | {retries.TOPIC: "another"},
        ours | {retries.DUE: "soon"},
        ours | {retries.ATTEMPT: "9" * 40},
    ]
    sent = []
    for headers in wrong:
        pairs = [(key, text.encode()) for key, text in headers.items()]
        future = network._producer.send(name, key=b"k", value=b"{}", headers=pairs, partition=0)
        sent.append(future.get(30))
    far = str(round(time.time() * 1000) + 10**9)
    pairs = [(key, text.encode()) for key, text in (ours | {retries.DUE: far}).items()]
    far = b'{"images": 5}'
    network._producer.send(name, key=b"far", value=far, headers=pairs, partition=0).get(30)
    worker = member().await_ready()
    found = network.decided(len(wrong) + 1)
    for at in sent:
        said = found[f"{at.topic}-{at.partition}-{at.offset}"]
        assert (said["decision"], said["reason"]) == ("flag", "malformed")
        assert "retry topic" in said["cause"]
    # Due in eleven days by its header: it waits for the topic's delay and no longer.
    assert found[f"{topics.posts}-0-5"]["cause"] == "images is not a list"
    dead = network.rows(topics.dead_letter)
    topics_said = Counter(dict(row.headers)["__connect.errors.topic"] for row in dead)
    assert topics_said == {name.encode(): len(wrong), topics.posts.encode(): 1}
    assert worker.stop() == 0


def test_half_the_posts_on_a_host_that_never_answers_hold_up_none_of_the_others(
    network, member, topics, drawn, server
) -> None:
    pictures = [drawn(name) for name in ("revolver", "pistol", "shotgun")]
    for n, data in enumerate(pictures):
        server.paths[f"/{n}.jpg"] = answer(data)
    server.paths["/dead.jpg"] = lambda _, the_server: the_server.stopped.wait(60)
    good, total = "https://images.example/{}.jpg", 120
    worker = member(server=server, max_batch="8", decode_timeout="5").await_ready()
    begin = time.monotonic()
    sent = [network.send(b"%d" % n, by_reference(good.format(n % 3))) for n in range(total)]
    until(lambda: network.committed() >= total, "the posts of a good host")
    alone = time.monotonic() - begin

    urls = [good.format(n % 3) if n % 2 else "https://a.cdn.example/dead.jpg" for n in range(total)]
    begin = time.monotonic()
    mixed = {network.send(b"%d" % n, by_reference(url)): url for n, url in enumerate(urls)}
    until(lambda: network.committed() >= total + total // 2, "the half of the good host")
    beside = time.monotonic() - begin
    # As fast as they were alone but for the one time that it takes to see that the host is dead:
    # 15 batches that each waited for it would take 30 s more.
    assert beside < 2 * alone + 3 * 2.25

    found = network.decided(2 * total)
    assert {(found[n]["reason"], found[n].get("cause")) for n in sent} == {("match", None)}
    for n, url in mixed.items():
        dead = "dead" in url
        assert found[n]["reason"] == ("unreachable" if dead else "match")
        if not dead:
            assert found[n].get("attempts") is None
            assert found[n]["seconds"]["fetch"] < 2 + 1
    causes = Counter(found[n]["cause"] for n, url in mixed.items() if "dead" in url)
    assert causes["host-down"] > total // 4
    assert worker.metric("moderator_fetch_hosts_down") == 1
    assert worker.stop() == 0
