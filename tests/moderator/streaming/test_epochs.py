from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderator.records import Partition, Record
from moderator.streaming.epochs import Epochs

A, B = Partition("posts", 0), Partition("posts", 1)


def read(epochs: Epochs, partition: Partition) -> Record:
    """Return a record as it would be read of a partition now."""
    return Record(*partition, 0, 0, None, b"", epoch=epochs.snapshot()[partition])


@pytest.fixture
def epochs() -> Epochs:
    """Return epochs with both partitions assigned and reading where their group stands."""
    both = Epochs()
    both.assign([A, B])
    both.rewound(A)
    both.rewound(B)
    return both


def test_what_was_read_is_live_while_its_partition_is_assigned(epochs):
    record = read(epochs, A)
    assert epochs.live(record)
    assert not epochs.live(replace(record, partition=9))
    assert not epochs.live(replace(record, epoch=record.epoch + 1))
    epochs.give_up([A])
    assert not epochs.live(record)


def test_partitions_that_stay_are_not_touched_by_a_rebalance(epochs):
    record = read(epochs, B)
    epochs.close([A])
    epochs.give_up([A])
    epochs.assign([A])
    epochs.rewind([A])
    assert epochs.live(record)
    assert epochs.begin(record)


def test_what_was_read_before_a_partition_went_and_came_back_is_stale(epochs):
    record = read(epochs, A)
    epochs.give_up([A])
    epochs.assign([A])
    assert not epochs.live(record)
    assert epochs.live(read(epochs, A))


def test_an_assigned_partition_is_first_read_from_where_its_group_stands():
    epochs = Epochs()
    epochs.assign([A])
    assert epochs.rewinding() == {A}


def test_a_rewound_partition_is_to_be_read_again_until_that_is_done(epochs):
    record = read(epochs, A)
    epochs.rewind([A])
    assert not epochs.live(record)
    assert epochs.rewinding() == {A}
    epochs.rewound(A)
    assert epochs.rewinding() == frozenset()
    assert epochs.live(read(epochs, A))


def test_rewinding_everything_means_what_is_assigned(epochs):
    epochs.give_up([B])
    epochs.rewind()
    assert epochs.rewinding() == {A}
    epochs.rewind([B])
    assert epochs.rewinding() == {A}
    assert B not in epochs.snapshot()


def test_giving_a_partition_up_ends_its_rewind(epochs):
    epochs.rewind([A, B])
    epochs.give_up([A])
    assert epochs.rewinding() == {B}


def test_records_are_begun_while_they_are_live_and_counted_until_they_are_ended(epochs):
    first, second, other = read(epochs, A), read(epochs, A), read(epochs, B)
    assert all(epochs.begin(record) for record in (first, second, other))
    assert (epochs.begun([A]), epochs.begun([B]), epochs.begun([A, B])) == (2, 1, 3)
    epochs.end([first, other])
    assert (epochs.begun([A]), epochs.begun([B])) == (1, 0)
    epochs.rewind([A])
    assert not epochs.begin(first)
    # What was begun is counted to its end, stale or not.
    assert epochs.begun([A]) == 1
    epochs.end([second])
    assert epochs.begun([A]) == 0


def test_of_a_closing_partition_nothing_is_begun_and_what_was_begun_stays_live(epochs):
    begun, late, other = read(epochs, A), read(epochs, A), read(epochs, B)
    epochs.begin(begun)
    epochs.close([A])
    assert not epochs.begin(late)
    assert epochs.live(begun)
    assert epochs.begin(other)
    epochs.give_up([A])
    assert not epochs.live(begun)
    epochs.assign([A])
    assert epochs.begin(read(epochs, A))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["assign", "close", "give_up", "rewind", "rewound"]),
            st.sampled_from([A, B]),
        ),
        max_size=30,
    )
)
def test_a_record_is_live_exactly_until_the_next_change_of_its_partition(steps):
    epochs, alive, dead = Epochs(), {}, []
    for name, partition in steps:
        if name == "rewound":
            epochs.rewound(partition)
        else:
            getattr(epochs, name)([partition])
        if name not in {"rewound", "close"} and partition in alive:
            dead.append(alive.pop(partition))
        if partition in epochs.snapshot():
            alive[partition] = read(epochs, partition)
        assert all(epochs.live(record) for record in alive.values())
        assert not any(epochs.live(record) for record in dead)
        assert epochs.rewinding() <= epochs.snapshot().keys()
