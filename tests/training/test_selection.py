import numpy as np
import pytest

from training.selection import clear, medoids, medoids_by_name


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
    chosen = medoids_by_name(rows, names, 2)
    assert [place // 10 for place in chosen] == [0, 1, 2, 3]
    assert medoids_by_name(rows, names, None) == list(range(40))


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
