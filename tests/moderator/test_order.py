"""Which of two records of one post came first: within a topic, and over its being made anew."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderator.order import Place
from moderator.records import Record


def at(
    offset: int,
    topic_id: str = "a",
    *,
    partition: int = 0,
    timestamp: int = 1000,
    past: bool | None = None,
) -> Place:
    return Place(topic_id, partition, offset, timestamp, past)


@pytest.mark.parametrize(
    ("record", "deletion", "before"),
    [
        # One partition: offsets alone, whatever the clocks of those who posted say.
        (at(5, timestamp=9000), at(6), True),
        (at(7, timestamp=0), at(6, timestamp=9000), False),
        (at(6), at(6), False),
        # The topic was made anew: what is read now comes after what it is not in any more.
        (at(5000, "old"), at(10, "new", past=False), True),
        (at(10, "new", past=False), at(5000, "old"), False),
        (at(5000, "old", past=True), at(10, "new"), True),
        (at(10, "new"), at(5000, "old", past=True), False),
        # Partitions were added, so that the key moved: only the times can tell.
        (at(9, timestamp=999), at(2, partition=1, timestamp=1000), True),
        (at(0, timestamp=1001), at(2, partition=1, timestamp=1000), False),
        # Nothing is known: it is deleted rather than kept.
        (at(0, timestamp=-1), at(2, partition=1), True),
        (at(0, timestamp=5000), at(2, partition=1, timestamp=-1), True),
        (at(9, ""), at(2, "new", past=False), True),
        # A deletion of a store that was moved over does not say which topic it is from.
        (at(5, "new", timestamp=999, past=False), at(6, ""), True),
        (at(5, "new", timestamp=1001, past=False), at(6, ""), False),
    ],
)
def test_a_record_is_before_a_deletion_or_not(record, deletion, before) -> None:
    assert record.before(deletion) == before


@given(
    st.sampled_from(["", "f" * 32]),
    st.integers(0, 2**31),
    st.integers(0, 2**63 - 1),
    st.integers(-(2**63), 2**63 - 1),
)
def test_a_place_is_read_from_its_text(topic_id, partition, offset, timestamp) -> None:
    record = Record("posts", partition, offset, timestamp, b"k", None, topic_id=topic_id)
    place = Place.of(record)
    read = Place.parse(str(place))
    assert read is not None
    assert (str(read), read.topic_id, read.timestamp) == (str(place), topic_id, timestamp)
    assert "." not in str(place) and "/" not in str(place)


@pytest.mark.parametrize("text", ["", "a", "a_1_2", "a_1_2_x", "a_1_2_3_4", "operator"])
def test_another_text_is_no_place(text) -> None:
    assert Place.parse(text) is None
