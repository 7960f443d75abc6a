from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.errors import BadInput
from training.method.pairs import sample_pairs, sample_triplets

ODD = [5, 5, 2, 9, 2, 2, 9, 9, 9, 1]
"""Types of 1, 3, 2 and 4 photographs, in no order."""


def chance(seed=0):
    return np.random.default_rng(seed)


def positive_probabilities(labels):
    """Return ordered pair → probability, of positive pairs, type by type."""
    shares = {}
    for i, a in enumerate(labels):
        for j, b in enumerate(labels):
            if i != j and a == b:
                size = labels.count(a)
                shares[i, j] = 1 / (size * (size - 1))
    return shares


def negative_probabilities(labels):
    """Return ordered pair → probability, of negative pairs, by the type of the first."""
    shares = {}
    for i, a in enumerate(labels):
        for j, b in enumerate(labels):
            if a != b:
                others = len(set(labels)) - 1
                shares[i, j] = 1 / labels.count(a) / others / labels.count(b)
    return shares


def assert_drawn_by(counts, shares, draws):
    """Each was drawn about as often as its share of so many draws says; nothing else was."""
    assert set(counts) == set(shares)
    for pair, share in shares.items():
        spread = (draws * share * (1 - share)) ** 0.5
        assert abs(counts[pair] - draws * share) <= 4 * spread + 1e-9, pair


def test_the_paper_draws_180_and_180_for_each_type():
    labels = np.repeat(np.arange(107), 3)
    pairs = sample_pairs(labels, generator=chance())
    assert len(pairs) == 38_520
    assert Counter(labels[pairs.first[pairs.same_type]].tolist()) == dict.fromkeys(range(107), 180)
    assert Counter(labels[pairs.first[~pairs.same_type]].tolist()) == dict.fromkeys(range(107), 180)


def test_pairs_are_drawn_as_often_as_a_double_loop_says():
    draws = 4000
    pairs = sample_pairs(
        ODD, positives_per_type=draws, negatives_per_type=draws, generator=chance(1)
    )
    found = list(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))
    positive = Counter(pair for pair, same in zip(found, pairs.same_type, strict=True) if same)
    negative = Counter(pair for pair, same in zip(found, pairs.same_type, strict=True) if not same)
    assert_drawn_by(positive, positive_probabilities(ODD), draws)
    assert_drawn_by(negative, negative_probabilities(ODD), draws)


def test_triplets_are_drawn_as_often_as_a_double_loop_says():
    draws = 4000
    triplets = sample_triplets(ODD, triplets_per_type=draws, generator=chance(2))
    assert len(triplets) == 3 * draws
    columns = triplets.anchor.tolist(), triplets.positive.tolist(), triplets.negative.tolist()
    found = list(zip(*columns, strict=True))
    assert_drawn_by(Counter((a, p) for a, p, _ in found), positive_probabilities(ODD), draws)
    plural = {
        pair: share for pair, share in negative_probabilities(ODD).items() if ODD[pair[0]] != 1
    }
    assert_drawn_by(Counter((a, n) for a, _, n in found), plural, draws)


def test_types_come_mixed():
    pairs = sample_pairs([0, 0, 1, 1], generator=chance())
    for half in (pairs.same_type[:360], pairs.same_type[360:]):
        assert 130 < half.sum() < 230
    assert 130 < sum(place < 2 for place in pairs.first[:360]) < 230


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(-3, 6), min_size=1, max_size=25),
    st.integers(0, 7),
    st.integers(0, 7),
    st.integers(0, 3),
)
def test_pairs_are_what_they_say(labels, positives, negatives, seed):
    sizes = Counter(labels)
    plural = [label for label in sizes if sizes[label] > 1]
    arguments = {"positives_per_type": positives, "negatives_per_type": negatives}
    if (positives and not plural) or (negatives and len(sizes) < 2):
        with pytest.raises(BadInput):
            sample_pairs(labels, **arguments, generator=chance(seed))
        return
    pairs = sample_pairs(labels, **arguments, generator=chance(seed))
    again = sample_pairs(np.array(labels), **arguments, generator=chance(seed))
    for name in ("first", "second", "same_type"):
        assert getattr(pairs, name).tolist() == getattr(again, name).tolist()
    counts = Counter()
    for first, second, same in zip(pairs.first, pairs.second, pairs.same_type, strict=True):
        assert first != second
        assert (labels[first] == labels[second]) == same
        counts[labels[first], bool(same)] += 1
    for label in sizes:
        assert counts[label, True] == (positives if label in plural else 0)
        assert counts[label, False] == negatives


def test_another_state_of_the_generator_gives_other_pairs():
    generator = chance()
    first, second = (sample_pairs(ODD, generator=generator) for _ in range(2))
    assert first.first.tolist() != second.first.tolist()


@pytest.mark.parametrize(
    ("labels", "message"),
    [([1, 2, 3], "no type has two photographs"), ([1, 1, 1], "two types"), ([], "no type")],
)
def test_what_cannot_be_paired_is_named(labels, message):
    with pytest.raises(BadInput, match=message):
        sample_pairs(labels, generator=chance())
    with pytest.raises(BadInput, match=message):
        sample_triplets(labels, generator=chance())


def test_negative_counts_are_refused():
    for name in ("positives_per_type", "negatives_per_type"):
        with pytest.raises(BadInput, match=f"{name} is -1"):
            sample_pairs(ODD, **{name: -1}, generator=chance())
    with pytest.raises(BadInput, match="triplets_per_type is -1"):
        sample_triplets(ODD, triplets_per_type=-1, generator=chance())
