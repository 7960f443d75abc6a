"""The flood breaker: what is held, for how long, and that only what is kept counts."""

import json
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from moderator.canary import CheckedCanary, Expectation
from moderator.decide import Evidence, ImageDecision, PostDecision
from moderator.decisions import Decided, DecidedImage, Provenance, outgoing
from moderator.flood import Breaker, FloodRules
from moderator.flood_marks import FloodMarks, hangs_on
from moderator.records import Post, Record
from moderator.settings import Flood
from tests.moderator.schemas import schema

RULES = FloodRules(
    least=10, share=0.1, factor=5.0, window=100.0, history=1000.0, quiet=200.0, prototypes=50
)


def feed(breaker: Breaker, posts: list[str | None], now: float) -> list[bool]:
    marks, change = breaker.step(posts, now)
    breaker.keep(change)
    return marks


def usual(breaker: Breaker, seconds: int, *, every: int = 25, begin: float = 0.0) -> float:
    """Feed ten posts a second, one in ``every`` of them flagged by ``a``; return when it ended."""
    for second in range(seconds):
        numbers = range(second * 10, second * 10 + 10)
        feed(breaker, ["a" if n % every == 0 else None for n in numbers], begin + second)
    return begin + seconds


def test_what_is_usual_is_no_flood() -> None:
    breaker = Breaker(RULES)
    usual(breaker, 1000, every=3)
    # A third of all posts is over the share that is asked for, but not over what is usual.
    assert breaker.held == frozenset()


def test_what_flags_far_more_than_it_used_to_is_held_and_let_go_when_quiet() -> None:
    breaker = Breaker(RULES)
    now = usual(breaker, 1000)
    marks = feed(breaker, ["a"] * 900, now)
    assert breaker.held == {"a"}
    assert not marks[0]
    assert marks[-1]
    # Once held, all of its flags are marked, and nobody else's.
    assert feed(breaker, ["a", None, "b"], now + 1) == [True, False, False]
    usual(breaker, 150, begin=now + 2)
    assert breaker.held == {"a"}
    usual(breaker, 250, begin=now + 152)
    assert breaker.held == frozenset()
    assert feed(breaker, ["a"], now + 402) == [False]


def test_a_flood_that_lasts_stays_one() -> None:
    breaker = Breaker(RULES)
    now = usual(breaker, 500)
    for second in range(3000):
        feed(breaker, ["a"] * 5 + [None] * 5, now + second)
    assert breaker.held == {"a"}


def test_a_rush_of_posts_is_no_flood() -> None:
    breaker = Breaker(RULES)
    now = usual(breaker, 1000, every=12)
    for step in range(1000):
        marks = feed(breaker, ["a"] + [None] * 11, now + step / 100)
        assert not any(marks)


def test_few_flags_are_no_flood_whatever_their_share() -> None:
    breaker = Breaker(RULES)
    assert not any(feed(breaker, ["a"] * 9, 0))
    assert feed(breaker, ["a"], 0) == [True]


def test_without_history_the_share_that_is_asked_for_is_usual() -> None:
    breaker = Breaker(RULES)
    # 0.4 of all posts is under 5 times 0.1; 0.6 is over it.
    assert not any(feed(breaker, (["a"] * 2 + [None] * 3) * 40, 0))
    breaker = Breaker(RULES)
    assert any(feed(breaker, (["a"] * 3 + [None] * 2) * 40, 0))


batches = st.lists(
    st.tuples(
        st.lists(st.none() | st.sampled_from("abcdefgh"), max_size=40),
        st.floats(0, 400, allow_nan=False),
        st.booleans(),
    ),
    max_size=30,
)


@given(batches)
def test_what_is_not_kept_changes_nothing(steps) -> None:
    """Batches that are aborted, and marked anew later, leave no trace."""
    one, other = Breaker(RULES), Breaker(RULES)
    now = 0.0
    for posts, seconds, aborted in steps:
        now += seconds
        if aborted:
            one.step(posts, now)
            one.step(posts[: len(posts) // 2], now + seconds)
        marks, change = one.step(posts, now)
        assert (marks, change) == other.step(posts, now)
        one.keep(change)
        other.keep(change)
        assert one.held == other.held


@given(batches)
def test_marks_do_not_hang_on_how_posts_are_cut_into_batches(steps) -> None:
    whole, single = Breaker(RULES), Breaker(RULES)
    now = 0.0
    for posts, seconds, _ in steps:
        now += seconds
        assert feed(whole, posts, now) == [feed(single, [post], now)[0] for post in posts]


@given(st.lists(st.lists(st.none() | st.text(max_size=3), max_size=30), max_size=30))
def test_memory_is_bounded(steps) -> None:
    breaker = Breaker(replace(RULES, prototypes=5, least=1, share=0.01, factor=1))
    for number, posts in enumerate(steps):
        feed(breaker, posts, float(number))
        assert breaker.known <= 5
        assert len(breaker.held) <= 5


@settings(max_examples=50)
@given(batches)
def test_a_slow_count_of_the_window_agrees(steps) -> None:
    """Held is who flooded within the last ``quiet`` seconds, by counting all posts again."""
    rules = replace(RULES, factor=1.0, least=5, share=0.2)
    breaker = Breaker(rules)
    seen: list[tuple[float, str | None]] = []
    flooded: dict[str, float] = {}
    now = 0.0
    piece = rules.window / 10
    for posts, seconds, _ in steps:
        now += seconds
        for name in [n for n, at in flooded.items() if now - at >= rules.quiet]:
            del flooded[name]
        for post in posts:
            seen.append((now, post))
            oldest = (now // piece - 9) * piece
            inside = [name for at, name in seen if at >= oldest]
            count = inside.count(post)
            # With a factor of 1 what is usual may still be more than the share: an upper bound.
            if post is not None and count >= 5 and count >= 0.2 * len(inside):
                flooded[post] = now
        feed(breaker, posts, now)
        assert breaker.held <= set(flooded)


def test_a_clock_that_is_set_back_is_borne() -> None:
    breaker = Breaker(RULES)
    now = usual(breaker, 500)
    assert feed(breaker, ["a"] * 900, now)[-1]
    assert feed(breaker, ["a"], now - 400) == [True]


EVIDENCE = {
    "firearm": Evidence("gun/1", "glock", "firearm", 0.9),
    "lookalike": Evidence("toy/1", "toy", "lookalike", 0.95),
    "override": Evidence("over/1", "glock", "override", 1.0),
}


def decided(decision: str, reason: str, *kinds: str) -> Decided:
    """Return a post whose second image is the worst."""
    post = Post(Record("posts", 0, 7, 1000, b"p", b"x"), "p")
    worst = ImageDecision(decision, reason, evidence=tuple(EVIDENCE[kind] for kind in kinds))
    other = ImageDecision("pass", "no-match", evidence=(Evidence("far", "m4", "firearm", 0.1),))
    images = (DecidedImage("0", other), DecidedImage("1", worst))
    said = PostDecision(decision, reason, worst=1)
    return Decided(post, said, images, Provenance("r", "n", "p", 0), 2000)


def test_a_flag_hangs_on_the_nearest_firearm_or_the_override_of_the_worst_image() -> None:
    assert hangs_on(decided("flag", "match", "firearm")) == "gun/1"
    assert hangs_on(decided("flag", "match", "lookalike", "firearm")) == "gun/1"
    assert hangs_on(decided("flag", "match", "lookalike")) is None
    assert hangs_on(decided("flag", "near-miss", "firearm")) == "gun/1"
    assert hangs_on(decided("flag", "override", "override", "firearm")) == "over/1"
    assert hangs_on(decided("pass", "near-miss", "firearm")) is None
    assert hangs_on(decided("flag", "undecodable")) is None


def test_a_marked_decision_is_of_its_schema_and_otherwise_as_it_was() -> None:
    marks = FloodMarks(Flood(flood_least=1, flood_share=0.1, flood_factor=1))
    plain = decided("flag", "match", "firearm")
    (marked,) = marks.mark([plain], 0.0).decided
    for before, after in zip(outgoing(plain, room=0), outgoing(marked, room=0), strict=True):
        said = json.loads(after.value)
        assert (said.pop("flood"), said.pop("flood_prototype")) == (True, "gun/1")
        assert said == json.loads(before.value)
    for record, name in zip(outgoing(marked, room=0), ("decision-1", "flagged-1"), strict=True):
        schema(name).validate(json.loads(record.value))


def test_canaries_are_no_flood_and_nothing_is_where_it_is_off() -> None:
    flag = decided("flag", "match", "firearm")
    canary = replace(flag, canary=CheckedCanary(Expectation("flag"), right=True))
    marks = FloodMarks(Flood(flood_least=2, flood_share=0.1, flood_factor=1))
    marked = marks.mark([canary, canary, flag, canary, flag], 0.0)
    assert [each.flood for each in marked.decided] == [None, None, None, None, "gun/1"]
    off = FloodMarks(Flood(flood_least=0))
    assert all(each.flood is None for each in off.mark([flag] * 1000, 0.0).decided)
