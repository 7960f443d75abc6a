from dataclasses import replace

import numpy as np
import pytest

from tests.training.ranking.examples import embedded, split
from training.data.folders import every_image_as_query
from training.data.sets import QuerySet
from training.ranking.measure import measure
from training.ranking.precision import average_precision


@pytest.fixture(scope="module")
def data():
    return split(types=12, each=8)


@pytest.fixture(scope="module")
def found(data):
    return measure(data, embedded(data))


def slow_map(asked, embeddings):
    """Sort the whole database anew for each query, by types instead of places."""
    values = []
    for query in asked.queries:
        row = embeddings.rows[embeddings.places[query.digest]]
        others = [p for p in asked.database if p.group != query.group]
        others.sort(key=lambda p: -float(row @ embeddings.rows[embeddings.places[p.digest]]))
        values.append(average_precision(np.array([p.name == query.name for p in others])))
    return float(np.mean(values))


def test_both_protocols_are_measured(data, found):
    embeddings = embedded(data)
    for name, asked in (("paper", data.test), ("every", every_image_as_query(data.test))):
        part = found["protocols"][name]
        assert part["whole"]["queries"] == len(asked.queries)
        assert part["database"] == len(asked.database)
        expected = slow_map(asked, embeddings)
        assert part["whole"]["map"]["trapezoid"] == pytest.approx(expected, abs=1e-6)
        assert 0.1 < expected < 1
    assert found["protocols"]["paper"]["whole"]["queries"] == 6
    assert found["protocols"]["every"]["whole"]["queries"] == 24


def test_pca_is_fitted_on_both_sides(found):
    fitted = found["protocols"]["every"]["pca"]
    assert set(fitted) == {"train", "test database"}
    assert list(fitted["train"]) == ["16"]
    assert fitted["train"] != fitted["test database"]


def test_each_test_type_has_its_figures(data, found):
    assert {row["type"] for row in found["types"]} == {p.name for p in data.test.database}
    assert sum(row["queries"] for row in found["types"]) == 24


def test_near_copies_are_no_pairs(found):
    # Eight photographs of three types, of which two are near copies.
    assert found["distances"]["same"]["pairs"] == 3 * (8 * 7 // 2 - 1)
    assert found["distances"]["same"]["mean"] < found["distances"]["other"]["mean"]


def test_flags_are_measured_with_prototypes_of_other_and_of_own_types(data, found):
    flags = found["flags"]
    assert flags["unseen"]["firearms"] == flags["seen"]["firearms"] == 24
    assert flags["unseen"]["harmless"] == 30
    assert flags["unseen"]["lookalikes"] == 6
    assert flags["seen"]["area"] > 0.9
    assert set(flags["harmless"]["by_name"]) == {"power_drill", "room"}
    assert set(flags["firearms"]["by_source"]) == {"source0", "source1", "source2"}
    harmless = found["calibration"]["fitted_on"]["harmless"]
    assert harmless + found["calibration"]["held_out"]["harmless"] == 30


def test_without_harmless_photographs_flags_are_not_measured(data):
    found = measure(replace(data, harmless=()), embedded(data))
    assert found["flags"] is None
    assert found["calibration"] is None


def test_other_lookalikes_can_be_named(data):
    found = measure(data, embedded(data), lookalikes=("room",))
    assert found["flags"]["unseen"]["lookalikes"] == 24


def test_without_training_photographs_pca_is_fitted_on_the_test_alone(data):
    found = measure(replace(data, train=(), harmless=()), embedded(data))
    assert set(found["protocols"]["paper"]["pca"]) == {"test database"}


def test_without_validation_nothing_is_calibrated(data):
    found = measure(replace(data, validation=QuerySet((), (), ())), embedded(data))
    assert found["calibration"] is None
    assert found["flags"] is not None


def test_with_neighbours_rankings_are_others_and_there_is_no_pca(data, found):
    averaged = measure(data, embedded(data), neighbours=3)
    for name in ("paper", "every"):
        own, plain = (each["protocols"][name] for each in (averaged, found))
        assert own["pca"] == {}
        assert own["database"] == plain["database"]
        assert own["whole"]["queries"] == plain["whole"]["queries"]
        assert own["whole"]["map"] != plain["whole"]["map"]
    assert averaged["flags"] == found["flags"]
    assert {row["type"] for row in averaged["types"]} == {row["type"] for row in found["types"]}
