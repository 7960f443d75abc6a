"""Tokens of OAUTHBEARER: from files, from an identity provider, good and bad."""

import base64
import contextlib
import threading

import pytest
from kafka.errors import KafkaConnectionError

from moderator.errors import BadSettings, Unavailable
from moderator.settings import Kafka
from moderator.streaming import tokens
from moderator.streaming.token_endpoint import Token, fetch_token
from moderator.streaming.tokens import FileTokens, ProviderTokens, tokens_of
from tests.moderator.tls_server import TlsServer, answer, redirect
from tests.services.certificates import Authority
from tests.services.process import wait_until


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(authority):
    cert, key = authority.issue("identity")
    found = TlsServer(key, cert)
    yield found
    found.close()


def kafka(server, authority, **more) -> Kafka:
    return Kafka(**{
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "OAUTHBEARER",
        "sasl_oauthbearer_token_endpoint_url": f"https://localhost:{server.port}/token",
        "sasl_oauthbearer_client_id": "me:too",
        "sasl_oauthbearer_client_secret": "s3cret+",
        "sasl_oauthbearer_cafile": authority.cert,
        **more,
    })  # fmt: skip


def test_a_token_is_asked_for_with_the_clients_credentials(server, authority) -> None:
    server.paths["/token"] = answer(b'{"access_token": "a.b-c", "expires_in": 60}')
    found = fetch_token(kafka(server, authority, sasl_oauthbearer_scope="posts"))
    assert (found.text, found.lifetime) == ("a.b-c", 60)
    assert "a.b-c" not in repr(found)
    head = server.requests[-1]
    assert head.startswith("POST /token ")
    coded = base64.b64encode(b"me%3Atoo:s3cret%2B").decode()
    assert f"Authorization: Basic {coded}".lower() in head.lower()


@pytest.mark.parametrize(
    ("behaviour", "error", "said"),
    [
        (answer(b'{"error": "invalid_scope"}', status="400 Bad"), BadSettings, "this scope"),
        (answer(b"s3cret+", status="401 No"), BadSettings, "status 401"),
        (answer(b"{}", status="500 Broken"), Unavailable, "status 500"),
        (redirect("https://elsewhere.example/"), Unavailable, "status 302"),
        (answer(b"<html>s3cret+</html>"), Unavailable, "without a token"),
        (answer(b'["s3cret+"]'), Unavailable, "without a token"),
        (answer(b'{"access_token": "a\\u0001b"}'), Unavailable, "without a token"),
        (answer(b'{"access_token": "a", "expires_in": -5}'), Unavailable, "ended already"),
        (answer(b'{"access_token": "' + b"a" * 2**20), Unavailable, "without a token"),
        (answer(b"{}", length=100), Unavailable, "gives"),
    ],
)
def test_what_is_no_token_is_one_line_without_the_secret(
    server, authority, behaviour, error, said
) -> None:
    server.paths["/token"] = behaviour
    if said == "gives":
        said = "does not answer|without a token"
    with pytest.raises(error, match=said) as caught:
        fetch_token(kafka(server, authority))
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("seconds", [b"null", b'"soon"', b"[]"])
def test_a_token_without_an_end_lives_for_a_while(server, authority, seconds) -> None:
    server.paths["/token"] = answer(b'{"access_token": "a", "expires_in": ' + seconds + b"}")
    assert fetch_token(kafka(server, authority)).lifetime == 300


def test_a_provider_that_is_away_is_waited_for_and_one_in_disguise_is_not(
    server, authority, tmp_path
) -> None:
    away = "https://localhost:9/token"
    with pytest.raises(Unavailable, match="does not answer"):
        fetch_token(kafka(server, authority, sasl_oauthbearer_token_endpoint_url=away))
    other = Authority(tmp_path, "other").cert
    with pytest.raises(BadSettings, match="not trusted"):
        fetch_token(kafka(server, authority, sasl_oauthbearer_cafile=other))


class Provider:
    """Gives tokens that live for ``lifetime``, or fails."""

    def __init__(self) -> None:
        self.given = 0
        self.lifetime = 2.0
        self.failure: Exception | None = None

    def __call__(self) -> Token:
        if self.failure is not None:
            raise self.failure
        self.given += 1
        return Token(f"token-{self.given}", self.lifetime)


def test_tokens_are_renewed_before_they_end_and_none_is_given_after(monkeypatch) -> None:
    monkeypatch.setattr(tokens, "BACK_OFF", (0.05, 0.1))
    monkeypatch.setattr(tokens, "RENEW_AT", 0.1)
    provider = Provider()
    found = ProviderTokens(provider)
    with pytest.raises(KafkaConnectionError, match="no valid token"):
        found.token()
    found.await_first()
    seen = set()
    for _ in range(60):
        seen.add(found.token())
        threading.Event().wait(0.02)
    assert len(seen) >= 3
    provider.failure = Unavailable("the provider is away")
    wait_until(lambda: not _has_token(found), 5, "the end of the last token")
    provider.failure = None
    wait_until(lambda: _has_token(found), 5, "a new token")
    provider.lifetime = 3600


def _has_token(found: ProviderTokens) -> bool:
    try:
        return bool(found.token())
    except KafkaConnectionError:
        return False


def test_why_there_is_no_first_token_is_said_at_once_and_asked_again(monkeypatch) -> None:
    monkeypatch.setattr(tokens, "BACK_OFF", (60.0, 60.0))
    provider = Provider()
    provider.lifetime = 3600
    provider.failure = BadSettings("it does not know this client")
    found = ProviderTokens(provider)
    with pytest.raises(BadSettings, match="does not know"):
        found.await_first()
    provider.failure = None
    found.await_first()
    assert found.token() == "token-1"


def test_a_file_is_read_each_time(tmp_path) -> None:
    path = tmp_path / "a token"
    path.write_text("one\n")
    settings = Kafka(security_protocol="SASL_SSL", sasl_mechanism="OAUTHBEARER",
                     sasl_oauthbearer_token_endpoint_url=path.as_uri())  # fmt: skip
    found = tokens_of(settings)
    assert isinstance(found, FileTokens)
    assert tokens_of(settings) is found
    assert found.token() == "one"
    path.write_text("two")
    assert found.token() == "two"
    path.unlink()
    with pytest.raises(KafkaConnectionError, match="no file"):
        found.token()
    with pytest.raises(BadSettings, match="no file"):
        found.await_first()


def test_what_nobody_foresaw_does_not_end_the_thread_that_renews(caplog) -> None:
    answers = iter([ZeroDivisionError("a bug"), Token("t", 3600.0)])

    def fetch() -> Token:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    tokens = ProviderTokens(fetch)
    with pytest.raises(Unavailable, match="not understood: ZeroDivisionError"):
        tokens.await_first()
    tokens.await_first()
    assert tokens.token() == "t"
    assert "for a reason nobody foresaw" in caplog.text


@pytest.mark.parametrize("expires", [b"1" + b"0" * 400, b"[" * 100_000, b'"soon"', b"null", b"{}"])
def test_any_answer_of_a_provider_is_a_token_or_an_error_with_an_owner(expires) -> None:
    from moderator.streaming.token_endpoint import _token

    body = b'{"access_token": "t", "expires_in": ' + expires + b"}"
    with contextlib.suppress(Unavailable):
        assert _token(body, "https://id").text == "t"
