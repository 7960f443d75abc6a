import numpy as np
import pytest

from training.selection import SELECTIONS, chosen_by_name, clear, facility, k_centre, medoids


def unit(rows):
    rows = np.asarray(rows, np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def blobs(centres, each, spread=0.05, seed=0):
    chance = np.random.default_rng(seed)
    rows = np.repeat(unit(centres), each, axis=0)
    return unit(rows + spread * chance.standard_normal(rows.shape))


def test_one_row_of_each_cluster_is_chosen_the_nearest_to_its_centre():
    rows = blobs(np.eye(5), each=20)
    chosen = medoids(rows, 5)
    assert [place // 20 for place in chosen] == [0, 1, 2, 3, 4]
    for cluster, place in enumerate(chosen):
        members = rows[20 * cluster : 20 * cluster + 20]
        centre = members.mean(axis=0)
        best = max(range(20), key=lambda n: float(members[n] @ centre))
        assert place == 20 * cluster + best


def test_the_same_rows_give_the_same_choice():
    rows = blobs(np.eye(4), each=15, spread=0.5)
    assert medoids(rows, 7, seed=3) == medoids(rows.copy(), 7, seed=3)
    assert len(medoids(rows, 7)) == 7


def test_few_or_equal_rows_are_chosen_once():
    rows = blobs(np.eye(3), each=1)
    assert medoids(rows, 3) == [0, 1, 2]
    assert medoids(rows, 9) == [0, 1, 2]
    assert medoids(np.repeat(rows, 4, axis=0), 5) == [0, 4, 8]
    assert medoids(rows[:0], 2) == []
    with pytest.raises(ValueError, match="too few"):
        medoids(rows, 0)


def test_each_name_has_its_own_choice():
    rows = blobs(np.eye(4), each=10)
    names = ["a"] * 20 + ["b"] * 20
    chosen = chosen_by_name(rows, names, 2)
    assert [place // 10 for place in chosen] == [0, 1, 2, 3]
    assert chosen_by_name(rows, names, None) == list(range(40))


@pytest.mark.parametrize("seed", range(4))
def test_facility_is_the_greedy_choice_that_a_search_makes(seed):
    rows = unit(np.random.default_rng(seed).standard_normal((23, 5)))

    def coverage(chosen):
        return sum(max(float(row @ rows[n]) for n in chosen) for row in rows)

    chosen = []
    for _ in range(6):
        left = [n for n in range(23) if n not in chosen]
        chosen.append(max(left, key=lambda n: coverage([*chosen, n])))
    assert facility(rows, 6) == sorted(chosen)


@pytest.mark.parametrize("seed", range(4))
def test_k_centre_takes_the_farthest_each_time(seed):
    rows = unit(np.random.default_rng(seed).standard_normal((19, 4)))
    chosen = [max(range(19), key=lambda n: float(rows[n] @ rows.mean(axis=0)))]
    for _ in range(5):
        left = [n for n in range(19) if n not in chosen]
        chosen.append(min(left, key=lambda n: max(float(rows[n] @ rows[m]) for m in chosen)))
    assert k_centre(rows, 6) == sorted(chosen)


@pytest.mark.parametrize("method", SELECTIONS)
def test_every_method_chooses_k_different_rows_or_all(method):
    rows = blobs(np.eye(4), each=10, spread=0.3)
    choose = SELECTIONS[method]
    for k in (1, 3, 39):
        chosen = choose(rows, k, 0)
        assert chosen == sorted(set(chosen))
        assert len(chosen) == k
    assert choose(rows, 40, 0) == choose(rows, 99, 0) == list(range(40))
    assert choose(rows[:0], 1, 0) == []
    with pytest.raises(ValueError, match="too few"):
        choose(rows, 0, 0)


@pytest.mark.parametrize("method", SELECTIONS)
def test_every_method_covers_the_clusters(method):
    rows = blobs(np.eye(5), each=12)
    chosen = chosen_by_name(rows, ["a"] * 60, 5, method=method)
    assert sorted(place // 12 for place in chosen) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("seed", range(5))
def test_clear_is_what_a_double_loop_finds(seed):
    chance = np.random.default_rng(seed)
    firearms = unit(chance.standard_normal((17, 6)))
    harmless = unit(chance.standard_normal((9, 6)))
    groups = [f"g{n}" for n in chance.integers(0, 12, 17)]
    sources = [None if n == 0 else f"s{n}" for n in chance.integers(0, 4, 17)]

    found = clear(firearms, harmless, groups, sources, 0.05)

    for n in range(17):
        own = [
            float(firearms[n] @ firearms[m])
            for m in range(17)
            if groups[n] != groups[m] and (sources[n] is None or sources[n] != sources[m])
        ]
        against = max(float(firearms[n] @ row) for row in harmless)
        assert found[n] == (not own or max(own) > against + 0.05)


def test_all_are_clear_where_there_is_nothing_to_confuse_them_with():
    rows = unit(np.eye(3))
    assert clear(rows, rows[:0], ["a", "b", "c"], [None] * 3, 0.5).all()
    assert clear(rows, rows, ["a"] * 3, ["s"] * 3, 0.5).all()
