import numpy as np
import pytest

from training.ranking.pca import fit_pca
from training.ranking.precision import average_precision
from training.ranking.quality import by_type, confusions, quality, reduced
from training.ranking.rank import rank


def example(seed=0, queries=13, database=41, dimension=20):
    chance = np.random.default_rng(seed)
    asked = [f"t{n % 4}" for n in range(queries)]
    found = [f"t{chance.integers(4)}" for _ in range(database)]
    rows = [chance.normal(size=(n, dimension)).astype(np.float32) for n in (queries, database)]
    relevant = [{n for n, name in enumerate(found) if name == kind} for kind in asked]
    return rows[0], rows[1], asked, found, relevant


def test_quality_is_means_over_queries():
    queries, database, asked, _, relevant = example()
    ranked = rank(queries, database, relevant)
    found = quality(ranked, asked)
    assert found["queries"] == 13
    for rule in ("trapezoid", "standard"):
        expected = sum(average_precision(r, rule=rule) for r in ranked.relevant) / 13
        assert found["map"][rule] == pytest.approx(expected)
    assert found["recall"]["1"] == pytest.approx(sum(bool(r[0]) for r in ranked.relevant) / 13)
    low, high = found["interval"]
    assert low < found["map"]["trapezoid"] < high


def test_one_type_has_no_interval():
    queries, database, *_ = example()
    ranked = rank(queries[:2], database, [{0}, {1}])
    assert quality(ranked, ["a", "a"])["interval"] is None


def test_dimensions_are_capped_and_fitted_where_asked():
    queries, database, asked, _, relevant = example()
    few = database[:17]
    given = {"train": few, "test database": database, "tiny": database[:9]}
    found = reduced(queries, database, asked, relevant=relevant, ignored=(), fitted_on=given)
    assert {name: list(part) for name, part in found.items()} == {
        "train": ["16"],
        "test database": ["16"],
    }
    pca = fit_pca(few, 16)
    expected = quality(rank(pca.apply(queries), pca.apply(database), relevant), asked)
    assert found["train"]["16"] == expected
    assert found["train"]["16"]["map"] != found["test database"]["16"]["map"]


def test_types_are_counted_one_by_one_worst_first():
    queries, database, asked, found, relevant = example(3)
    ranked = rank(queries, database, relevant)
    rows = by_type(ranked, asked, found)
    assert [row["map"] for row in rows] == sorted(row["map"] for row in rows)
    for row in rows:
        own = [n for n, name in enumerate(asked) if name == row["type"]]
        nearest = [found[ranked.order[n][0]] for n in own]
        assert row["queries"] == len(own)
        assert row["photographs"] == found.count(row["type"])
        assert row["recall_at_1"] == pytest.approx(nearest.count(row["type"]) / len(own))
        mean = np.mean([average_precision(ranked.relevant[n]) for n in own])
        assert row["map"] == pytest.approx(mean)
        wrong = [name for name in nearest if name != row["type"]]
        assert row["taken_for"] == {name: wrong.count(name) for name in set(wrong)}


def test_confusions_come_by_share():
    types = [
        {"type": "a", "queries": 10, "taken_for": {"b": 2, "c": 1}},
        {"type": "b", "queries": 2, "taken_for": {"a": 1}},
    ]
    found = confusions(types, most=2)
    assert [(row["asked"], row["found"], row["share"]) for row in found] == [
        ("b", "a", 0.5),
        ("a", "b", 0.2),
    ]
