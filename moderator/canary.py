"""Canaries: posts whose right answer is known, signed so that nobody can pass a real post for one.

A canary is a post with two more headers: what is expected of it, and an HMAC-SHA256 (RFC 2104)
over its key, its value, the headers by which its value is read, and that expectation. It is
decided like any other post, and its decision says how it went; but reviewers never get to see it.
Pure; knows nothing of Kafka clients or of what becomes of the answers.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from moderator.decide import UNJUDGED, Answer, PostDecision
from moderator.records import MAX_ID, Headers, Record

EXPECTED = "moderator-canary"
SIGNATURE = "moderator-canary-signature"
READ_BY = ("content-type", "post-id")
"""Headers that say how a value is read, and so are signed with it."""

CONTEXT = b"moderator canary/2"
"""What is signed first, so that the secret's signatures of other things are none of canaries."""

Refusal = Literal["no-secret", "malformed", "signature"]
"""Why a post that says it is a canary is not taken for one."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is right of a canary: the decision and, where that is known too, the best type."""

    decision: Answer
    type: str | None = None


@dataclass(frozen=True, slots=True)
class CheckedCanary:
    """A canary that was decided: what was expected, and whether the decision is that."""

    expected: Expectation
    right: bool


class NoCanary(Exception):
    """A post says that it is a canary and is none; ``cause`` is a metric's label."""

    def __init__(self, cause: Refusal) -> None:
        super().__init__(cause)
        self.cause: Refusal = cause


def signed(
    secret: str, expected: Expectation, *, key: bytes | None, value: bytes, headers: Headers
) -> Headers:
    """Return a record's headers with those that make it a canary."""
    said = json.dumps({"decision": expected.decision, "type": expected.type}).encode()
    signature = _signature(secret, said, key, value, headers)
    return (*headers, (EXPECTED, said), (SIGNATURE, signature.encode()))


def recognised(record: Record, secret: str | None) -> Expectation | None:
    """Return what is expected of a canary, None of any other post.

    A record without a value is a deletion whatever it says of itself.

    Raises:
        NoCanary: It says that it is one, and there is no secret to tell by, its signature is
            wrong, or it does not say once what is expected.
    """
    if record.value is None or not any(name.lower() == EXPECTED for name, _ in record.headers):
        return None
    if secret is None:
        raise NoCanary("no-secret")
    said = _only(record.headers, EXPECTED)
    signature = _only(record.headers, SIGNATURE)
    right = _signature(secret, said, record.key, record.value, record.headers)
    if not hmac.compare_digest(right.encode(), signature):
        raise NoCanary("signature")
    return _expectation(said)


def checked(expected: Expectation, decision: PostDecision) -> CheckedCanary:
    """Hold a decision against what is expected of a canary.

    One that could not be judged is wrong whatever was decided of it, and one of another type is
    where a type is expected.
    """
    best = decision.types[0].type if decision.types else None
    right = (
        decision.decision == expected.decision
        and decision.reason not in UNJUDGED
        and expected.type in (None, best)
    )
    return CheckedCanary(expected, right)


def _only(headers: Headers, wanted: str) -> bytes:
    """Return the value of a header that is there once.

    Raises:
        NoCanary: It is not there, or twice.
    """
    found = [value for name, value in headers if name.lower() == wanted]
    if len(found) != 1:
        raise NoCanary("malformed")
    return found[0]


def _expectation(said: bytes) -> Expectation:
    try:
        body = json.loads(said)
    except (ValueError, RecursionError):
        raise NoCanary("malformed") from None
    decision = _answer(body.get("decision")) if isinstance(body, dict) else None
    name = body.get("type") if isinstance(body, dict) else None
    named = name is None or (isinstance(name, str) and 0 < len(name) <= MAX_ID)
    if decision is None or not named:
        raise NoCanary("malformed")
    return Expectation(decision, name)


def _answer(value: object) -> Answer | None:
    if value == "flag":
        return "flag"
    return "pass" if value == "pass" else None


def _signature(secret: str, said: bytes, key: bytes | None, value: bytes, headers: Headers) -> str:
    mac = hmac.new(secret.encode(), digestmod=hashlib.sha256)
    for part in _parts(said, key, value, headers):
        # Each with its length, so that nothing can be moved from one part to the next.
        mac.update(len(part).to_bytes(8, "big"))
        mac.update(part)
    return mac.hexdigest()


def _parts(said: bytes, key: bytes | None, value: bytes, headers: Headers) -> Iterable[bytes]:
    yield CONTEXT
    yield said
    yield b"" if key is None else b"key:" + key
    yield value
    for name in READ_BY:
        found = _named(headers, name)
        # An empty header is not one that is absent, nor are two headers one that has both values.
        yield str(len(found)).encode()
        yield from found


def _named(headers: Headers, wanted: str) -> Sequence[bytes]:
    return [value for name, value in headers if name.lower() == wanted]
