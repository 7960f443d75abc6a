"""Rankings with neighbours, against a slow version that builds each database anew."""

import numpy as np
import pytest

from training.ranking.neighbours import POWER, ROUNDS, rank_with_neighbours
from training.ranking.rank import rank


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def some(count, dimension=6, seed=0):
    return unit(np.random.default_rng(seed).normal(size=(count, dimension)))


def mean_with_nearest(row, others, count):
    """Weigh the ``count`` nearest of ``others`` and ``row`` by their similarity."""
    near = sorted(others, key=lambda other: -float(other @ row))[:count]
    total = sum((max(0.0, float(other @ row)) ** POWER * other for other in near), row * 1.0)
    return total / np.linalg.norm(total)


def slow(query, database, left_out, count):
    """Return the places that are not left out, best first, with their similarities."""
    kept = [n for n in range(len(database)) if n not in left_out]
    entries = {n: database[n] for n in kept}
    for _ in range(ROUNDS):
        entries = {
            n: mean_with_nearest(entries[n], [entries[m] for m in kept if m != n], count)
            for n in kept
        }
    asked = mean_with_nearest(query, list(entries.values()), count)
    found = sorted(kept, key=lambda n: -float(entries[n] @ asked))
    return found, [float(entries[n] @ asked) for n in found]


@pytest.mark.parametrize(("size", "count"), [(24, 1), (24, 3), (24, 23), (24, 40), (90, 5)])
def test_a_database_is_as_if_what_a_query_ignores_had_never_been_in_it(size, count):
    database = some(size)
    database[9] = database[8]
    queries = np.concatenate([database[:3], some(2, seed=1)])
    ignored = [{0}, {1, 7, 8}, {2, 3}, set(), {5}]
    found = rank_with_neighbours(queries, database, [{20}] * 5, ignored, count=count)
    for place, query in enumerate(queries):
        order, similarities = slow(query, database, ignored[place], count)
        assert found.similarities[place] == pytest.approx(similarities, abs=1e-5)
        assert found.order[place].tolist() == order
        assert found.relevant[place].sum() == 1


def test_queries_apart_from_the_database_ignore_nothing():
    database, queries = some(15), some(4, seed=2)
    found = rank_with_neighbours(queries, database, [{1}] * 4, count=2)
    for place, query in enumerate(queries):
        assert found.order[place].tolist() == slow(query, database, (), 2)[0]


def test_a_photograph_is_found_through_what_lies_between():
    """The query is far from its like, which is near to what is near to the query."""
    angles = np.radians([45, 70, -60])
    database = unit(np.stack([np.cos(angles), np.sin(angles)], axis=1))
    query = np.array([[1.0, 0.0]], np.float32)
    plain = rank(query, database, [{1}])
    chained = rank_with_neighbours(query, database, [{1}], count=1)
    assert plain.order[0].tolist()[:2] == [0, 2]
    assert chained.order[0].tolist()[:2] == [0, 1]


def test_what_cannot_be_ranked_is_refused():
    database = some(5)
    for relevant, ignored in (
        ([{1}], ()),
        ([{1}] * 3, ()),
        ([{1}] * 2, [{0}]),
        ([{1}] * 2, [{0}] * 3),
    ):
        with pytest.raises(ValueError, match="2 queries have"):
            rank_with_neighbours(database[:2], database, relevant, ignored, count=2)
    with pytest.raises(ValueError, match="do not fit"):
        rank_with_neighbours(database, some(5, dimension=3), [{1}] * 5, count=2)
    with pytest.raises(ValueError, match="not finite"):
        rank_with_neighbours(database[:1], database * np.float32(np.nan), [{1}], count=2)


def test_nothing_is_found_in_an_empty_database_or_where_all_is_ignored():
    database = some(3)
    assert rank_with_neighbours(database, database[:0], [()] * 3, count=2).order[0].size == 0
    everything = [set(range(3))] * 3
    assert (
        rank_with_neighbours(database, database, [()] * 3, everything, count=2).order[0].size == 0
    )


def test_averaging_with_nothing_is_refused():
    with pytest.raises(ValueError, match="0 neighbours"):
        rank_with_neighbours(some(1), some(3), [{1}], count=0)
