from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.errors import BadInput
from training.method.batches import balanced_batches


def chance(seed=0):
    return np.random.default_rng(seed)


def even(counts, cards):
    """Whether no card was dealt more than once more than another."""
    times = [counts[card] for card in cards]
    return max(times) - min(times) <= 1


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=30),
    st.integers(1, 7),
    st.integers(1, 6),
    st.integers(0, 9),
    st.integers(0, 4),
    st.integers(0, 2),
)
def test_batches_are_balanced(labels, types, images, batches, harmless, seed):
    kinds = sorted(set(labels))
    types = min(types, len(kinds))
    beyond = range(len(labels), len(labels) + 3)
    drawn = balanced_batches(
        labels,
        types_per_batch=types,
        images_per_type=images,
        batches=batches,
        generator=chance(seed),
        extra=(beyond, harmless),
    )
    assert len(drawn) == batches
    for batch in drawn:
        firearms, others = batch[: types * images], batch[types * images :]
        assert Counter(labels[place] for place in firearms) == dict.fromkeys(
            {labels[place] for place in firearms}, images
        )
        assert len({labels[place] for place in firearms}) == types
        times = Counter(firearms)
        for kind in {labels[place] for place in firearms}:
            assert even(times, [n for n, label in enumerate(labels) if label == kind])
        assert len(others) == harmless
        assert set(others) <= set(beyond)
        assert even(Counter(others), beyond)


def test_every_photograph_has_its_turn():
    labels = [0] * 12 + [1] * 8 + [2] * 4
    arguments = {"types_per_batch": 3, "images_per_type": 4, "extra": ([24, 25, 26, 27], 2)}
    drawn = balanced_batches(labels, batches=6, generator=chance(), **arguments)
    times = Counter(place for batch in drawn for place in batch)
    assert [times[place] for place in range(28)] == [2] * 12 + [3] * 8 + [6] * 4 + [3] * 4


def test_types_come_equally_often_whatever_their_size():
    labels = [0] * 90 + [1] * 5 + [2] * 3 + [3] * 2 + [4]
    drawn = balanced_batches(
        labels, types_per_batch=2, images_per_type=2, batches=25, generator=chance()
    )
    types = Counter(kind for batch in drawn for kind in {labels[place] for place in batch})
    assert types == dict.fromkeys(range(5), 10)


def test_order_is_of_chance_and_the_generator_decides_it():
    arguments = {"types_per_batch": 2, "images_per_type": 2, "batches": 5}
    labels = np.repeat(np.arange(6), 7)
    first, second, other = (
        balanced_batches(labels, generator=chance(seed), **arguments) for seed in (3, 3, 4)
    )
    assert first == second
    assert first != other
    assert all(type(place) is int for batch in first for place in batch)
    starts = Counter(
        balanced_batches(labels, generator=chance(seed), **arguments)[0][0] for seed in range(300)
    )
    assert len(starts) > 35


def test_harmless_photographs_among_the_labels_are_no_type():
    labels = [0, 0, 1, 1, 2, 2]
    drawn = balanced_batches(
        labels,
        types_per_batch=2,
        images_per_type=2,
        batches=4,
        generator=chance(),
        extra=([4, 5], 1),
    )
    for batch in drawn:
        assert {labels[place] for place in batch[:4]} == {0, 1}
        assert labels[batch[4]] == 2


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"types_per_batch": 3}, "3 types a batch is not in 1..2"),
        ({"types_per_batch": 0}, "0 types a batch"),
        ({"images_per_type": 0}, "0 images of a type"),
        ({"batches": -1}, "-1 batches"),
        ({"extra": ((), 2)}, "2 harmless photographs a batch were asked of 0"),
        ({"extra": ((4,), -1)}, "-1 harmless"),
    ],
)
def test_what_cannot_be_drawn_is_named(changed, message):
    arguments = {"types_per_batch": 2, "images_per_type": 2, "batches": 1, "generator": chance()}
    with pytest.raises(BadInput, match=message):
        balanced_batches([0, 0, 1, 1], **(arguments | changed))
