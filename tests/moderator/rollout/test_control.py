"""The control record: what is written, what is read, and how it changes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderator.errors import BadInput, BadSettings
from moderator.rollout.control import (
    MOST_HISTORY,
    Control,
    decode_control,
    encode_control,
)
from moderator.rollout.staging import is_staged
from tests.moderator.schemas import schema

A, B, C = ("a" * 16, "b" * 16, "c" * 16)

NOW = "2026-01-02T03:04:05.678Z"

CONTROLS = (
    Control(),
    Control(A),
    Control(A, (None, B), C),
    Control(A, (B,), None, C, 0.25),
    Control(A, (B,), digests={A: "a" * 64}),
)


@pytest.mark.parametrize("control", CONTROLS)
def test_what_is_written_fits_the_schema_and_is_read_again(control) -> None:
    key, value = encode_control("a-group", control, NOW)
    assert key == b"a-group"
    assert not list(schema("control-1").iter_errors(json.loads(value)))
    assert decode_control(value) == control


def test_no_value_sets_nothing() -> None:
    assert decode_control(None) == Control()


def test_fields_that_are_not_known_are_ignored_and_absent_ones_are_none() -> None:
    assert decode_control(b'{"schema": "control/1", "release": null, "new": 1}') == Control()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schema", "control/2"),
        ("release", "../../etc"),
        ("release", 7),
        ("shadow", "A" * 16),
        ("history", "none"),
        ("history", [7]),
        ("staged_fraction", 1.5),
        ("staged_fraction", True),
        ("staged_fraction", float("nan")),
        ("staged_fraction", None),
        ("digests", [A]),
        ("digests", {A: "a" * 16}),
        ("digests", {A: None}),
    ],
)
def test_what_is_not_such_a_record_is_one_line(field, value) -> None:
    body = json.loads(encode_control("g", Control(A, (), B, C, 0.5), NOW)[1])
    with pytest.raises(BadInput) as caught:
        decode_control(json.dumps({**body, field: value}).encode())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("raw", [b"", b"\xff", b"[]", b"null", b"[" * 100_000])
def test_what_is_no_object_is_one_line(raw) -> None:
    with pytest.raises(BadInput):
        decode_control(raw)


def test_going_back_twice_is_back_and_forth() -> None:
    control = Control().activated(A).activated(B).activated(B).activated(C)
    assert control.history == (B, A, None)
    back = control.rolled_back()
    assert (back.release, back.history) == (B, (C, A, None))
    forth = back.rolled_back()
    assert (forth.release, forth.history) == (C, (B, A, None))
    assert forth.rolled_back() == back


def test_without_another_there_is_no_going_back() -> None:
    with pytest.raises(BadSettings, match="no release was active before"):
        Control(A).rolled_back()
    assert Control(A, (None,)).rolled_back() == Control(None, (A,))


def test_digests_are_written_of_what_is_named_alone() -> None:
    digests = {name: name[0] * 64 for name in (A, B, C, "d" * 16)}
    _, value = encode_control("g", Control(A, (B,), C, digests=digests), NOW)
    assert decode_control(value).digests == {name: digests[name] for name in (A, B, C)}
    assert Control(A).knowing(A, "a" * 64).activated(B).digests == {A: "a" * 64}


def test_history_has_an_end() -> None:
    control = Control()
    for number in range(3 * MOST_HISTORY):
        control = control.activated(f"{number:016x}")
    assert len(control.history) == MOST_HISTORY


def test_a_candidate_that_becomes_active_is_one_no_more_and_others_stay() -> None:
    control = Control(A, (), B, C, 0.5)
    assert control.activated(C) == Control(C, (A,), B)
    assert control.activated(B) == Control(B, (A,), None, C, 0.5)
    assert Control(A, (B,), C, C, 0.5).rolled_back() == Control(B, (A,), C)


@given(st.text(), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_holds_every_post_of_a_smaller_one(post_id, one, other) -> None:
    if is_staged(post_id, min(one, other)):
        assert is_staged(post_id, max(one, other))
    assert not is_staged(post_id, 0.0)
    assert is_staged(post_id, 1.0)


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.5])
def test_the_share_of_posts_is_what_was_asked_for(fraction) -> None:
    count = 20_000
    chosen = sum(is_staged(f"post-{number}", fraction) for number in range(count))
    # Five standard deviations of a fair choice.
    assert abs(chosen - fraction * count) < 5 * (fraction * (1 - fraction) * count) ** 0.5
