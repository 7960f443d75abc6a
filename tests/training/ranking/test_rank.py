import numpy as np
import pytest

from training.ranking.rank import rank


def unit(chance, count, dimension):
    rows = chance.normal(size=(count, dimension)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def slow_rank(query, database, relevant, ignored):
    """Sort pairs of Python's own floats; equal ones by their place."""
    pairs = []
    for place, row in enumerate(database):
        if place not in ignored:
            pairs.append(
                (-sum(float(a) * float(b) for a, b in zip(query, row, strict=True)), place)
            )
    pairs.sort(key=lambda pair: (round(pair[0], 6), pair[1]))
    return [place for _, place in pairs], [place in relevant for _, place in pairs]


@pytest.mark.parametrize("seed", range(6))
def test_rankings_are_those_of_a_full_sort_with_ties_and_ignored_ones(seed):
    chance = np.random.default_rng(seed)
    queries, database = unit(chance, 7, 5), unit(chance, 29, 5)
    database[[3, 11, 20]] = database[17]
    queries[2] = database[17]
    relevant = [set(chance.choice(29, 5, replace=False).tolist()) for _ in queries]
    ignored = [set(chance.choice(29, n % 3, replace=False).tolist()) for n in range(7)]
    relevant = [right - left_out for right, left_out in zip(relevant, ignored, strict=True)]
    found = rank(queries, database, relevant, ignored)
    assert len(found) == 7
    for n in range(7):
        order, marks = slow_rank(queries[n], database, relevant[n], ignored[n])
        assert found.order[n].tolist() == order
        assert found.relevant[n].tolist() == marks
        expected = database[order] @ queries[n]
        np.testing.assert_allclose(found.similarities[n], expected, atol=1e-6)
        assert (np.diff(found.similarities[n]) <= 0).all()


def test_equal_ones_stay_in_the_order_of_the_database():
    rows = np.ones((6, 1), np.float32)
    found = rank(rows[:1], rows, [{5}], [{2}])
    assert found.order[0].tolist() == [0, 1, 3, 4, 5]
    assert found.relevant[0].tolist() == [False, False, False, False, True]


def test_without_ignored_ones_all_are_ranked():
    rows = np.eye(3, dtype=np.float32)
    found = rank(rows, rows, [{0}, {1}, {2}])
    assert [order.tolist()[0] for order in found.order] == [0, 1, 2]
    assert all(len(order) == 3 for order in found.order)


def test_what_does_not_fit_is_refused():
    rows = np.eye(3, dtype=np.float32)
    with pytest.raises(ValueError, match="do not fit"):
        rank(rows, rows[:, :2], [{0}] * 3)
    with pytest.raises(ValueError, match="3 queries have 2"):
        rank(rows, rows, [{0}] * 2)
    with pytest.raises(ValueError, match="1 of ignored"):
        rank(rows, rows, [{0}] * 3, [{1}])
    with pytest.raises(ValueError, match="not finite"):
        rank(rows, rows * np.float32(np.nan), [{0}] * 3)
