"""Which posts are tried again, what they carry, and what comes back."""

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from moderator import retries
from moderator.decide import Actions, PostDecision, decide_post, unjudged
from moderator.decisions import Decided, DecidedImage, Provenance, outgoing, to_json
from moderator.fetching.unreachable import CAUSES, FOR_GOOD
from moderator.records import Post, Record, parse_post
from moderator.retries import DELETIONS, Retries, RetryTopic, deletion, retry_topics
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
    said = PostDecision("pass", "deleted")
    if images:
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
    # Any number can be a timestamp.
    assume((name, value) != (retries.TIMESTAMP, b"-2"))
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


OLD, NEW = (f"0000000{n}-0000-0000-0000-000000000000" for n in (1, 2))


class Ids:
    """The ids of a topic that is made anew when ``now`` is set."""

    def __init__(self) -> None:
        self.id = OLD

    def of(self, record: Record) -> str:
        return self.id

    def now(self) -> str:
        return self.id


@pytest.fixture
def ids() -> Ids:
    return Ids()


@pytest.fixture
def known(ids) -> Retries:
    topics = retry_topics(load_settings({}, environ={}).retry)
    deletions = RetryTopic(DELETIONS, "posts.deletions", 30)
    return Retries(topics, "posts", deletions=deletions, topic_ids=ids)


def test_a_post_that_was_deleted_while_it_waited_is_deleted_and_not_fetched(known) -> None:
    waits = read(sent(known, POSTED, missing()), "posts.retry.10s")
    later = replace(POSTED, offset=POSTED.offset + 2)
    waits_later = read(sent(known, later, missing()), "posts.retry.10s")
    assert known.post(waits, **LIMITS).images
    gone = known.post(replace(POSTED, offset=POSTED.offset + 1, value=None, headers=()), **LIMITS)
    assert gone.removal
    post = known.post(waits, **LIMITS)
    assert (post.deleted, post.images, post.decision_id) == (True, (), "posts-3-7")
    # It is no deletion by itself, and its record is decided, once.
    assert not post.removal
    assert decided(post).last_word
    assert not known.post(waits_later, **LIMITS).deleted


def test_what_waits_remembers_of_which_topic_it_is(known, ids) -> None:
    waits = read(sent(known, POSTED, missing()), "posts.retry.10s")
    assert known.post(waits, **LIMITS).record.topic_id == OLD
    assert not known.post(waits, **LIMITS).record.past
    ids.id = NEW
    post = known.post(waits, **LIMITS)
    assert (post.record.topic_id, post.record.past) == (OLD, True)
    known.post(replace(POSTED, offset=0, value=None), **LIMITS)
    assert known.post(waits, **LIMITS).deleted
    fresh = known.post(replace(POSTED, offset=1), **LIMITS)
    assert (fresh.record.topic_id, fresh.record.past, fresh.deleted) == (NEW, False, False)


@pytest.mark.parametrize("timestamp", [-(2**63), -2, -1, 0, 2**63 - 1])
def test_a_deletion_comes_round_as_the_record_that_it_was(known, timestamp) -> None:
    headers = (("author-id", b"a"), ("moderator.unreadable", b"no"))
    record = replace(POSTED, value=None, timestamp=timestamp, headers=headers[:1])
    first = known.post(record, **LIMITS)
    out = deletion(decided(first))
    back = Record("posts.deletions", 0, 5, 1, out.key, out.value, (*out.headers, headers[1]), 4)
    assert known.wait(back, NOW) == pytest.approx(30)
    post = known.post(back, **LIMITS)
    assert post.removal and post.again and not decided(post).last_word
    assert (post.post_id, post.decision_id, post.attempt) == ("p", "posts-3-7", 1)
    assert (post.record.timestamp, post.record.topic_id) == (timestamp, OLD)
    assert outgoing(decided(post), room=10**6) == []


def test_a_posts_retry_topic_deletes_nothing(known) -> None:
    """Only the topic of deletions does: whatever is in another one is a post."""
    out = deletion(decided(known.post(replace(POSTED, value=None), **LIMITS)))
    back = Record("posts.retry.10s", 0, 5, 1, out.key, out.value, out.headers, 4)
    assert not known.post(back, **LIMITS).deleted
