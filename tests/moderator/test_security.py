"""Workers and checks against a Kafka and a Redis with TLS, users and least rights.

Tokens of OAUTHBEARER are verified by the broker by signature, with the provider's public key.
"""

import io
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest
from kafka.admin import ScramMechanism, UserScramCredentialUpsertion
from rich.console import Console

from moderator.check import run_check
from moderator.compose import NamedImage, build_record
from moderator.errors import BadSettings
from moderator.settings import load_settings
from moderator.streaming import clients
from tests.conftest import TopicNames
from tests.moderator.member import Member, Network, until
from tests.moderator.secured import (
    CLIENT,
    CLIENT_SECRET,
    KEY_PASSWORD,
    PASSWORD,
    REDIS_PASSWORD,
    WORKER,
    Secured,
    least_rights,
    secured,
)
from tests.services.certificates import Authority

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SECRETS = (PASSWORD, REDIS_PASSWORD, CLIENT_SECRET, KEY_PASSWORD, "wr0ng", "eyJ")
"""What must never be seen: all secrets, and how a token begins."""


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Iterator[Secured]:
    with secured(tmp_path_factory.mktemp("secured")) as found:
        yield found


@pytest.fixture
def topics(world) -> TopicNames:
    names = TopicNames.unique()
    names.create(world.kafka)
    return names


@pytest.fixture
def network(world, topics) -> Iterator[Network]:
    found = Network(world.kafka, topics)
    yield found
    found.close()


@pytest.fixture
def member(world, topics, tiny_release, tmp_path) -> Iterator[Callable[..., Member]]:
    members: list[Member] = []

    def start(**settings: str) -> Member:
        given = topics.overrides(world.kafka) | {"release": str(tiny_release.path)} | settings
        members.append(Member(given, tmp_path))
        return members[-1]

    yield start
    for each in members:
        each.close()


def post(network: Network, drawn, count: int, begin: int = 0) -> None:
    for n in range(begin, begin + count):
        image = NamedImage("0", drawn("revolver", n % 2), "image/jpeg")
        network.post(build_record([image], post_id=f"p{n}", form="binary"))


def silent(*texts: str) -> None:
    for text in texts:
        assert text
        assert [secret for secret in SECRETS if secret in text] == []
        # Libraries may write theirs into the log at the level DEBUG, within a line.
        assert "\nTraceback" not in f"\n{text}"


def test_with_least_rights_each_post_is_decided_once_and_passwords_may_be_rotated(
    world, topics, network, member, drawn
) -> None:
    world.kafka.allow(WORKER, least_rights(topics))
    settings = {**world.scram(), **world.cached(), "log_level": "DEBUG"}
    post(network, drawn, 10)
    first = member(**settings)
    until(lambda: network.committed() >= 4, "some decisions")
    first.kill()
    second = member(**settings)
    post(network, drawn, 10, 10)
    until(lambda: network.committed() >= 20, "all decisions")
    assert second.metric('moderator_cache_lookups_total{result="hit"}') > 0
    with world.redis.client() as client:
        assert list(client.scan_iter("moderator:embedding:*"))
    rotate(world, "rotated-s3cret")
    try:
        until(lambda: not second.ready, "unreadiness")
        world.file("sasl_password", "rotated-s3cret")
        second.await_ready()
        post(network, drawn, 5, 20)
        assert network.ledger(25) == network.sources
    finally:
        rotate(world, PASSWORD, restart=False)
    metrics = second.get("/metrics")[1]
    assert second.stop() == 0
    silent(first.log.read_text(), second.log.read_text(), metrics)
    assert "rotated-s3cret" not in second.log.read_text() + metrics


def rotate(world: Secured, password: str, *, restart: bool = True) -> None:
    """Give the user another password, and have every connection made anew."""
    with world.kafka.admin() as admin:
        admin.alter_user_scram_credentials(
            [UserScramCredentialUpsertion(WORKER, ScramMechanism.SCRAM_SHA_512, password)]
        )
    if restart:
        world.kafka.restart()


def test_tokens_are_renewed_while_posts_are_decided(world, topics, network, member, drawn) -> None:
    world.kafka.allow(CLIENT, least_rights(topics))
    world.provider.lifetime = 8.0
    world.provider.asked.clear()
    worker = member(**world.oauth(), log_level="DEBUG")
    begin = time.monotonic()
    sent = 0
    # Long enough that every connection outlives its first token.
    while time.monotonic() < begin + 25 or sent < 10:
        post(network, drawn, 1, sent)
        sent += 1
        time.sleep(1)
    assert network.ledger(sent) == network.sources
    assert len(world.provider.asked) >= 3
    assert world.provider.asked[0]["grant_type"] == ["client_credentials"]
    metrics = worker.get("/metrics")[1]
    assert worker.stop() == 0
    world.provider.lifetime = 300.0
    silent(worker.log.read_text(), metrics)


def test_all_ways_of_being_known_work_and_what_is_refused_is_one_line(world, tmp_path) -> None:
    other = Authority(tmp_path, "other")
    stranger = other.issue("stranger")
    token = world.file("token", world.provider.token(CLIENT))
    forged = world.file("forged", world.provider.token(CLIENT)[:-8] + "AAAAAAAA")
    by_file = {k: v for k, v in world.oauth().items() if "client" not in k and "_cafile" not in k}
    by_file["ssl_cafile"] = str(world.authority.cert)
    place = "sasl_oauthbearer_token_endpoint_url"
    well = (
        world.scram(),
        world.scram("SCRAM-SHA-256"),
        world.scram("PLAIN"),
        world.oauth(),
        world.mtls(),
        {**by_file, place: f"file://{token}"},
    )
    for settings in well:
        clients.wait_for_broker(load_settings(settings, environ={}).kafka, 20, None)
    wrong = world.file("wrong", "wr0ng")
    bare = {k: v for k, v in world.mtls().items() if "cafile" in k or not k.startswith("ssl_")}
    named = {"ssl_certfile": str(stranger[0]), "ssl_keyfile": str(stranger[1])}
    cases = [
        (world.scram(), {"sasl_password_file": wrong}, "wrong user name or password"),
        (world.scram("PLAIN"), {"sasl_password_file": wrong}, "wrong user name or password"),
        (world.scram(), {"bootstrap_servers": world.kafka.listener("SCRAM", "127.0.0.1")},
         "another host name"),
        (world.scram(), {"bootstrap_servers": world.kafka.listener("EXPIRED")}, "has expired"),
        (world.scram(), {"ssl_cafile": str(other.cert)}, "not trusted"),
        (world.mtls(), {"ssl_key_password_file": wrong}, "password is wrong"),
        (bare, {}, "client's certificate"),
        (bare, named, "client's certificate"),
        (world.oauth(), {"sasl_oauthbearer_client_secret_file": wrong}, "client or its secret"),
        (world.oauth(), {"sasl_oauthbearer_cafile": str(other.cert)}, "not trusted"),
        (by_file, {place: f"file://{forged}"}, "refuses the token"),
    ]  # fmt: skip
    for settings, change, said in cases:
        kafka = load_settings({**settings, **change}, environ={}).kafka
        with pytest.raises(BadSettings) as caught:
            clients.wait_for_broker(kafka, 20, None)
        text = str(caught.value)
        assert said in text
        assert "\n" not in text
        silent(text, repr(kafka), kafka.model_dump_json())


def test_check_names_the_right_that_is_missing(world, topics, tiny_release) -> None:
    rights = least_rights(topics)
    world.kafka.allow("poor", [each for each in rights if each[1] != topics.flagged])
    settings = {
        **topics.overrides(world.kafka), **world.scram(), **world.cached(),
        "sasl_username": "poor", "release": str(tiny_release.path), "max_post_bytes": "1000000",
    }  # fmt: skip
    code, text = checked(settings)
    failures = [line for line in text.splitlines() if line.startswith("FAIL")]
    assert (code, len(failures)) == (1, 1), text
    assert f"--operation Describe --topic {topics.flagged}" in failures[0]
    world.kafka.allow("poor", [("TOPIC", topics.flagged, "DESCRIBE")])
    code, text = checked(settings)
    (failure,) = [line for line in text.splitlines() if line.startswith("FAIL")]
    assert f"User:poor --operation Write --topic {topics.flagged}" in failure
    world.kafka.allow("poor", [("TOPIC", topics.flagged, "WRITE")])
    code, text = checked(settings)
    assert (code, "FAIL" in text) == (0, False), text


def checked(settings: dict[str, str]) -> tuple[int, str]:
    out = Console(file=io.StringIO(), width=40)
    code = run_check(load_settings(settings, environ={}), out)
    return code, out.file.getvalue()


def test_wrong_secrets_are_seen_nowhere(world, topics, tiny_release) -> None:
    world.kafka.allow(WORKER, least_rights(topics))
    wrong = world.file("wrong", "wr0ng")
    shared = {**topics.overrides(world.kafka), "release": str(tiny_release.path),
              "log_level": "DEBUG", "http_port": "0", "start_timeout": "6"}  # fmt: skip
    cases = [
        (world.scram(), "sasl_password_file", "sasl_password"),
        ({**world.scram(), **world.cached()}, "redis_password_file", "redis_password"),
        (world.oauth(), "sasl_oauthbearer_client_secret_file", "sasl_oauthbearer_client_secret"),
        (world.mtls(), "ssl_key_password_file", "ssl_key_password"),
    ]
    runs = []
    for settings, file, name in cases:
        plain = {k: v for k, v in settings.items() if k != file}
        for given in ({**settings, file: wrong}, {**plain, name: "wr0ng"}):
            # A worker by files, a check by variables: each secret is given in both ways.
            command = "worker" if file in given else "check"
            environ = {f"MODERATOR_{k.upper()}": v for k, v in {**shared, **given}.items()}
            runs.append((command, name, subprocess.Popen(
                [sys.executable, "-m", "moderator", command], text=True,
                env={**os.environ, **environ}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )))  # fmt: skip
    for command, name, process in runs:
        text, _ = process.communicate(timeout=250)
        assert process.returncode == (2 if command == "worker" else 1), text
        assert name in text
        silent(text)
