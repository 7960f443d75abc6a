"""Which posts are tried again, what they carry, and what comes back."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moderator import retries
from moderator.decide import Actions, decide_post, unjudged
from moderator.decisions import Decided, DecidedImage, Provenance, outgoing, to_json
from moderator.fetching.unreachable import CAUSES, FOR_GOOD
from moderator.records import Post, Record, parse_post
from moderator.retries import Retries, retry_topics
from moderator.settings import load_settings
from tests.moderator.schemas import schema
from tests.moderator.test_decisions import matched, passed

LIMITS = {"max_bytes": 10_000, "max_images": 5}
BODY = b'{"images": [{"url": "https://a.example/1"}]}'
POSTED = Record("posts", 3, 7, 1_700_000_000_000, b"p", BODY, (("x", b"1"), ("x", b"2")), 9)
NOW = 1_700_000_005.0


@pytest.fixture
def rounds() -> Retries:
    return Retries(retry_topics(load_settings({}, environ={}).retry), "posts")


def missing(cause: str = "timeout") -> DecidedImage:
    return DecidedImage("0", unjudged("unreachable", cause, Actions()))


def decided(post: Post, *images: DecidedImage) -> Decided:
    said = decide_post([image.decision for image in images], 5)
    return Decided(post, said, images, Provenance("r", "n", "p", 0), NOW * 1000)


def sent(rounds: Retries, record: Record, *images: DecidedImage) -> Decided:
    return rounds.considered(decided(rounds.post(record, **LIMITS), *images))


def read(found: Decided, topic: str, offset: int = 5) -> Record:
    """Return what is published as it is read from a retry topic."""
    (out,) = outgoing(found, room=10**6)
    assert out.role == f"retry {topic.removeprefix('posts.retry.')}"
    return Record(topic, 0, offset, 1, out.key, out.value, out.headers, 4)


NUMBERS = st.integers(-(2**63), 2**63 - 1)


@settings(deadline=None)
@given(
    timestamp=NUMBERS | st.sampled_from([-(2**63), -2, -1, 0, 2**63 - 1]),
    partition=st.integers(0, 2**31 - 1),
    offset=st.integers(0, 2**63 - 2),
    key=st.none() | st.binary(max_size=8),
    headers=st.lists(st.tuples(st.text(max_size=8), st.binary(max_size=8)), max_size=3),
)
def test_whatever_a_record_is_what_is_written_of_it_is_read_again_as_it_was(
    timestamp, partition, offset, key, headers
) -> None:
    rounds = Retries(retry_topics(load_settings({}, environ={}).retry), "posts")
    record = Record("posts", partition, offset, timestamp, key, BODY, tuple(headers))
    back = read(sent(rounds, record, missing()), "posts.retry.10s")
    post = rounds.post(back, **LIMITS)
    assert post.record == record
    assert (post.fault, post.attempt) == (None, 1)


def test_a_post_goes_through_all_topics_and_is_then_decided_as_its_own_record(rounds) -> None:
    record = POSTED
    for attempt, (topic, delay) in enumerate(
        (("posts.retry.10s", 10), ("posts.retry.1m", 60), ("posts.retry.10m", 600)), 1
    ):
        record = read(sent(rounds, record, missing()), topic)
        assert rounds.wait(record, NOW) == pytest.approx(delay)
        assert rounds.wait(record, NOW + delay) == 0
        post = rounds.post(record, **LIMITS)
        assert (post.attempt, post.read, post.decision_id) == (attempt, record, "posts-3-7")
        assert replace(post.record, epoch=9) == POSTED
    last = sent(rounds, record, missing())
    assert last.retry is None
    assert [each.role for each in outgoing(last, room=10**6)] == [
        "decisions",
        "flagged",
        "dead_letter",
    ]
    body = to_json(last)
    assert body["attempts"] == 4
    assert body["source"] == {"topic": "posts", "partition": 3, "offset": 7}
    # The ids in this decision are too short to be real ones.
    real = {"release": "0123456789abcdef", "policy": "0123456789abcdef"}
    schema("decision-1").validate(body | real | {"network": "sha256:" + "ab" * 32})


@pytest.mark.parametrize("cause", CAUSES)
def test_what_cannot_change_is_not_tried_again(rounds, cause) -> None:
    assert (sent(rounds, POSTED, passed(), missing(cause)).retry is None) == (cause in FOR_GOOD)


def test_a_post_that_is_flagged_for_a_firearm_does_not_wait_for_its_other_images(rounds) -> None:
    assert sent(rounds, POSTED, matched(), missing()).retry is None


def test_what_would_not_fit_the_topic_is_decided(rounds) -> None:
    found = sent(rounds, POSTED, missing())
    assert found.retry is not None
    assert outgoing(found, room=found.retry.size)[0].role == "retry 10s"
    assert outgoing(found, room=found.retry.size - 1)[0].role == "decisions"


def test_headers_of_the_posts_own_under_our_names_are_not_believed(rounds) -> None:
    forged = replace(POSTED, headers=((retries.OFFSET, b"99"), (retries.ATTEMPT, b"3")))
    assert rounds.post(forged, **LIMITS) == parse_post(forged, **LIMITS)
    back = rounds.post(read(sent(rounds, forged, missing()), "posts.retry.10s"), **LIMITS)
    assert (back.decision_id, back.attempt, back.record.headers) == ("posts-3-7", 1, ())


@given(
    name=st.sampled_from(
        [
            retries.ATTEMPT,
            retries.DUE,
            retries.TOPIC,
            retries.PARTITION,
            retries.OFFSET,
            retries.TIMESTAMP,
        ]
    ),
    value=st.none()
    | st.sampled_from([b"", b"-", b"1e3", b"9" * 20, b"-" + b"9" * 20, b"\xff", b" 1"]),
)
def test_headers_that_are_not_ours_are_malformed_and_due_at_once(name, value) -> None:
    rounds = Retries(retry_topics(load_settings({}, environ={}).retry), "posts")
    record = read(sent(rounds, POSTED, missing()), "posts.retry.10s")
    pairs = dict(record.headers) | ({name: value} if value is not None else {})
    if value is None:
        del pairs[name]
    post = rounds.post(replace(record, headers=tuple(pairs.items())), **LIMITS)
    assert post.fault is not None
    assert name in post.fault
    assert (post.decision_id, post.images, post.read.offset) == ("posts.retry.10s-0-5", (), 5)
    if name == retries.DUE:
        assert rounds.wait(replace(record, headers=tuple(pairs.items())), NOW) == 0


def test_no_clock_holds_a_record_up_longer_than_its_topics_delay(rounds) -> None:
    record = read(sent(rounds, POSTED, missing()), "posts.retry.10s")
    assert rounds.wait(record, NOW - 10_000) == 10
    assert rounds.wait(POSTED, NOW - 10_000) == 0
