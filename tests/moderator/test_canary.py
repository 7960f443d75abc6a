"""Canaries: only what was signed is one, and only the right answer is right."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from moderator.canary import (
    EXPECTED,
    SIGNATURE,
    CheckedCanary,
    Expectation,
    NoCanary,
    checked,
    recognised,
    signed,
)
from moderator.canary_watch import CanaryWatch
from moderator.cli import cli
from moderator.decide import Evidence, ImageDecision, PostDecision, TypeScore
from moderator.decisions import Decided, DecidedImage, Provenance, outgoing
from moderator.options import exit_code
from moderator.records import Post, Record
from moderator.settings import Canaries, load_settings
from tests.moderator.schemas import schema

SECRET = "a secret of some length"
expectations = st.builds(
    Expectation, st.sampled_from(["flag", "pass"]), st.none() | st.text(min_size=1, max_size=20)
)
keys = st.none() | st.binary(max_size=8)
headers = st.lists(
    st.tuples(st.sampled_from(["content-type", "post-id", "other"]), st.binary(max_size=8)),
    max_size=3,
).map(tuple)


def record(key, value, given) -> Record:
    return Record("posts", 0, 0, 0, key, value, given)


@given(expectations, keys, st.binary(max_size=40), headers)
def test_what_was_signed_is_recognised(expected, key, value, given) -> None:
    all_headers = signed(SECRET, expected, key=key, value=value, headers=given)
    assert recognised(record(key, value, all_headers), SECRET) == expected


@pytest.mark.parametrize(
    ("theirs", "others"),
    [
        ([], [("post-id", b"")]),
        ([("post-id", b"a\0b")], [("post-id", b"a"), ("post-id", b"b")]),
    ],
)
def test_headers_that_are_empty_absent_or_several_are_told_apart(theirs, others) -> None:
    made = signed(SECRET, Expectation("flag", None), key=None, value=b"", headers=theirs)[-2:]
    with pytest.raises(NoCanary, match="signature"):
        recognised(record(None, b"", (*others, *made)), SECRET)


@given(expectations, keys, st.binary(max_size=40), headers, keys, st.binary(max_size=40), headers)
def test_a_signature_is_of_that_one_post(expected, key, value, theirs, key2, value2, theirs2):
    made = signed(SECRET, expected, key=key, value=value, headers=theirs)[-2:]
    read_by = [(n, v) for n, v in theirs if n != "other"]
    other = [(n, v) for n, v in theirs2 if n != "other"]
    same = (key, value) == (key2, value2) and sorted(read_by) == sorted(other)
    if not same:
        with pytest.raises(NoCanary, match="signature"):
            recognised(record(key2, value2, (*theirs2, *made)), SECRET)


@pytest.mark.parametrize(
    ("change", "secret", "cause"),
    [
        (lambda said, sign: [(EXPECTED, said), (SIGNATURE, sign)], None, "no-secret"),
        (lambda said, sign: [(EXPECTED, said), (SIGNATURE, sign)], SECRET[:-1], "signature"),
        (lambda said, _: [(EXPECTED, said)], SECRET, "malformed"),
        (lambda said, sign: [(EXPECTED, said), (SIGNATURE, sign)] * 2, SECRET, "malformed"),
        (lambda said, sign: [(EXPECTED, b"{}"), (SIGNATURE, sign)], SECRET, "signature"),
        (lambda said, _: [(EXPECTED, said), (SIGNATURE, b"\xff\x00")], SECRET, "signature"),
        (
            lambda said, sign: [
                (EXPECTED.upper(), said.replace(b"flag", b"pass")),
                (SIGNATURE, sign),
            ],
            SECRET,
            "signature",
        ),
    ],
)
def test_whoever_only_says_so_posts_an_ordinary_post(change, secret, cause) -> None:
    made = signed(SECRET, Expectation("flag"), key=b"p", value=b"x", headers=())
    (_, said), (_, signature) = made
    found = record(b"p", b"x", tuple(change(said, signature)))
    with pytest.raises(NoCanary) as caught:
        recognised(found, secret)
    assert caught.value.cause == cause
    watch = CanaryWatch(Canaries(canary_secret=secret))
    assert watch.expected(found) is None


def test_a_deletion_and_a_post_without_the_header_are_none() -> None:
    made = signed(SECRET, Expectation("flag"), key=b"p", value=b"", headers=())
    assert recognised(record(b"p", None, made), SECRET) is None
    assert recognised(record(b"p", b"x", (("content-type", b"image/png"),)), SECRET) is None


def scores(*types: str) -> tuple[TypeScore, ...]:
    return tuple(TypeScore(name, "pistol", name, 0.9) for name in types)


@pytest.mark.parametrize(
    ("expected", "said", "right"),
    [
        (Expectation("flag"), PostDecision("flag", "match", scores("glock")), True),
        (Expectation("flag", "glock"), PostDecision("flag", "match", scores("glock", "m4")), True),
        (Expectation("flag", "m4"), PostDecision("flag", "match", scores("glock", "m4")), False),
        (Expectation("flag", "m4"), PostDecision("flag", "override"), False),
        (Expectation("flag"), PostDecision("flag", "undecodable"), False),
        (Expectation("flag"), PostDecision("pass", "near-miss", scores("glock")), False),
        (Expectation("pass"), PostDecision("pass", "no-match"), True),
        (Expectation("pass"), PostDecision("pass", "near-miss", scores("glock")), True),
        (Expectation("pass"), PostDecision("pass", "unreachable"), False),
        (Expectation("pass"), PostDecision("flag", "match", scores("glock")), False),
    ],
)
def test_the_right_answer(expected, said, right) -> None:
    assert checked(expected, said).right is right


def test_its_decision_is_all_that_is_published_and_says_how_it_went() -> None:
    post = Post(Record("posts", 0, 7, 1000, b"p", b"x"), "p")
    evidence = (Evidence("gun/1", "glock", "firearm", 0.9),)
    image = DecidedImage("0", ImageDecision("flag", "match", scores("glock"), evidence))
    decided = Decided(
        post,
        PostDecision("flag", "match", scores("glock"), worst=0),
        (image,),
        Provenance("r", "n", "p", 0),
        2000,
        canary=CheckedCanary(Expectation("flag", "m4"), right=False),
    )
    (only,) = outgoing(decided, room=10**6)
    said = json.loads(only.value)
    assert only.role == "decisions"
    assert said["canary"] == {"expected": "flag", "type": "m4", "right": False}
    schema("decision-1").validate(said)


def test_a_secret_is_long_enough_and_never_shown(tmp_path) -> None:
    with pytest.raises(ValidationError, match="16 characters"):
        Canaries(canary_secret="short")
    file = tmp_path / "secret"
    file.write_text("short\n")
    with pytest.raises(ValidationError, match=r"canary_secret_file: .*16 characters"):
        Canaries(canary_secret_file=file)
    file.write_text(f"{SECRET}\n")
    assert Canaries(canary_secret_file=file).secret("canary_secret") == SECRET
    settings = load_settings({"canary_secret": SECRET}, environ={})
    assert SECRET not in repr(settings)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--canary", "flag"], "canary_secret"),
        (["--canary", "pass", "--type", "glock"], "--canary flag"),
        (["--type", "glock"], "--canary flag"),
    ],
)
def test_posting_canaries_wants_a_secret_and_options_that_agree(
    options, said, capsys, tmp_path
) -> None:
    picture = tmp_path / "a.jpg"
    picture.write_bytes(b"x")
    assert exit_code(cli, ["post", str(picture), *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
