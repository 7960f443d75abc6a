"""How decisions differ, and what a replay comes to."""

import io
import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from moderator.replaying.outcome import Outcome, change, drift, status
from moderator.replaying.show import show
from moderator.replaying.store import OutcomeStore
from moderator.replaying.tally import LISTED, Tally, compared
from tests.moderator.schemas import schema

FLAG = Outcome(
    decision="flag",
    reason="match",
    cause=None,
    types=("glock", "m4"),
    nearest=((("a/1", 0.9), ("b/1", 0.5)),),
    unreachable=False,
    release="r",
    network="sha256:n",
    overlay=3,
)
PASS = replace(FLAG, decision="pass", reason="no-match", types=())
AWAY = replace(FLAG, reason="unreachable", cause="time-out", types=(), unreachable=True)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (FLAG, FLAG, None),
        (FLAG, PASS, "flag-to-pass"),
        (PASS, FLAG, "pass-to-flag"),
        (FLAG, replace(FLAG, reason="override"), "reason"),
        (PASS, replace(PASS, reason="lookalike"), "reason"),
        (FLAG, replace(FLAG, types=("m4", "glock")), "type"),
        (FLAG, replace(FLAG, types=()), "type"),
        (FLAG, replace(FLAG, types=("glock",)), "order"),
        (FLAG, replace(FLAG, release="other", overlay=9, nearest=()), None),
    ],
)
def test_how_decisions_differ(old, new, expected) -> None:
    assert change(old, new) == expected


@pytest.mark.parametrize(
    ("old", "new", "closest", "expected"),
    [
        (None, FLAG, 0.0, "missing"),
        (FLAG, FLAG, 1.0, "same"),
        (FLAG, PASS, 1.0, "changed"),
        (FLAG, PASS, 1e-4, "near-threshold"),
        (FLAG, FLAG, 5e-5, "near-threshold"),
        (FLAG, AWAY, 1.0, "unreachable"),
        (AWAY, PASS, 0.0, "unreachable"),
        (AWAY, AWAY, math.inf, "same"),
        (AWAY, replace(AWAY, decision="pass"), math.inf, "changed"),
    ],
)
def test_what_is_said_of_a_post(old, new, closest, expected) -> None:
    assert status(old, new, closest) == expected


def test_drift_is_of_the_same_prototypes_by_the_same_network() -> None:
    moved = replace(FLAG, nearest=((("b/1", 0.5002), ("c/1", 0.3)),))
    assert drift(FLAG, moved) == pytest.approx(0.0002)
    assert drift(FLAG, replace(moved, network="other")) is None
    assert drift(FLAG, replace(moved, nearest=((("z", 1.0),),))) is None


outcomes = st.builds(
    Outcome,
    decision=st.sampled_from(["flag", "pass"]),
    reason=st.text(max_size=5),
    cause=st.none() | st.text(max_size=5),
    types=st.lists(st.text(max_size=5), max_size=3).map(tuple),
    nearest=st.lists(
        st.lists(st.tuples(st.text(max_size=3), st.floats(-1, 1)), max_size=3).map(tuple),
        max_size=3,
    ).map(tuple),
    unreachable=st.booleans(),
    release=st.text(max_size=5),
    network=st.text(max_size=5),
    overlay=st.integers(0, 2**40),
)


@given(st.dictionaries(st.tuples(st.integers(0, 3), st.integers(0, 2**60)), outcomes, max_size=5))
def test_the_store_gives_back_what_it_took(kept) -> None:
    with OutcomeStore() as store:
        store.put([(place, FLAG) for place in kept])
        store.put(kept.items())
        assert len(store) == len(kept)
        assert {place: store.get(place) for place in kept} == kept
        assert store.get((9, 9)) is None


def body(number: int) -> dict:
    source = {"topic": "posts", "partition": 0, "offset": number}
    return {
        "schema": "decision/1",
        "decision_id": f"posts-0-{number}",
        "post_id": f"p{number}",
        "source": source,
    }


def tallied() -> tuple[Tally, list]:
    cases = [
        (FLAG, FLAG, 1.0),
        (FLAG, PASS, 1.0),
        (PASS, replace(FLAG, types=("m4",)), 1.0),
        (FLAG, replace(FLAG, types=("m4",)), 1.0),
        (FLAG, PASS, 2e-5),
        (FLAG, FLAG, 2e-5),
        (FLAG, AWAY, math.inf),
        *[(None, FLAG, 1.0)] * (LISTED + 2),
        (replace(PASS, reason="deleted"), replace(PASS, reason="deleted", overlay=9), math.inf),
    ]
    tally = Tally(offsets=len(cases) + 3, lost={1: 7}, cut={2: 30})
    posts = [compared(body(n), new, old, by) for n, (old, new, by) in enumerate(cases)]
    for post in posts:
        tally.add(post)
    return tally, posts


def test_a_tally_counts_by_change_reason_and_type() -> None:
    tally, posts = tallied()
    found = tally.to_json()
    assert found["posts"] == len(posts)
    assert sum(found["statuses"].values()) == len(posts)
    assert found["statuses"] == {
        "same": 2, "changed": 3, "near-threshold": 2, "unreachable": 1, "missing": LISTED + 2,
    }  # fmt: skip
    assert {n: c for n, c in found["changes"].items() if c} == {
        "flag-to-pass": 1, "pass-to-flag": 1, "type": 1,
    }  # fmt: skip
    assert {(each["type"], each["change"]) for each in found["types"]} == {
        ("glock", "flag-to-pass"),
        ("m4", "pass-to-flag"),
        ("glock -> m4", "type"),
    }
    assert {(each["old"], each["new"]) for each in found["reasons"]} == {
        ("match", "no-match"),
        ("no-match", "match"),
        ("match", "match"),
    }
    assert found["near_threshold_changed"] == 1
    assert found["missing"] == [f"posts-0-{n}" for n in range(7, 7 + LISTED)]
    assert (found["deletions"], found["unfetched"]) == (1, 1)
    assert (found["offsets_lost"], found["begins_at_oldest"]) == ({"1": 7}, {"2": 30})
    assert found["offsets_without_record"] == 3
    json.dumps(found, allow_nan=False)


def test_what_differs_is_of_its_schema() -> None:
    for post in tallied()[1]:
        if post.status != "same":
            line = json.loads(json.dumps(post.to_json(), allow_nan=False))
            schema("replay-1").validate(line)


@pytest.mark.parametrize("terminal", [True, False])
def test_people_are_told_everything(terminal) -> None:
    out = Console(file=io.StringIO(), force_terminal=terminal, width=120, color_system=None)
    show(out, tallied()[0])
    text = out.file.getvalue()
    for said in (
        "flag-to-pass",
        "glock -> m4",
        "7 offsets of the range are gone",
        "oldest record left, offset 30",
        "3 offsets hold no record",
        "1 posts have images that cannot be fetched now",
        "1 records say that a post was deleted",
        "posts-0-7",
        "and 2 more without an old decision",
        "1 of the posts near a threshold were decided differently",
        "overlay 3 to 3",
    ):
        assert said in text
