import numpy as np
import pytest

from tests.training.ranking.examples import entry
from training.ranking.spread import paired, spread
from training.ranking.summary import differences, figures, labels, summarise


@pytest.fixture(scope="module")
def entries():
    return [
        *(entry("arcface", split, seed, noise=0.5) for split in (0, 1, 2) for seed in (0, 1)),
        *(entry("cls", split, 0, noise=1.0) for split in (0, 1)),
        entry("mac", 0, harmless=False, noise=2.0),
    ]


def whole(one, protocol="every"):
    return one["protocols"][protocol]["whole"]["map"]["trapezoid"]


def test_figures_have_names(entries):
    found = figures(entries[0])
    assert found["every/map"] == whole(entries[0])
    assert found["paper/recall/1"] == entries[0]["protocols"]["paper"]["whole"]["recall"]["1"]
    assert (
        found["paper/pca/train/16"]
        == (entries[0]["protocols"]["paper"]["pca"]["train"]["16"]["map"]["trapezoid"])
    )
    rates = entries[0]["flags"]["unseen"]["rates"]
    assert found["flags/unseen/0.01"] == rates["0.01"]["recall"]
    assert found["flags/unseen/lookalikes"] == rates["0.01"]["false_flags_lookalikes"]
    assert found["error/equal-width"] == entries[0]["calibration"]["equal-width"]["error"]
    assert not any(name.startswith(("flags", "error")) for name in figures(entries[-1]))


def test_networks_of_a_split_are_averaged_before_the_spread_over_splits(entries):
    by_split = [np.mean([whole(entries[2 * n]), whole(entries[2 * n + 1])]) for n in range(3)]
    expected = spread(by_split)
    assert summarise(entries)["arcface"]["every/map"].to_json() == pytest.approx(expected.to_json())
    assert expected.count == 3


def test_with_a_single_split_the_spread_is_over_its_networks(entries):
    found = summarise(entries[:2])["arcface"]["every/map"]
    assert found.to_json() == pytest.approx(spread([whole(e) for e in entries[:2]]).to_json())
    assert found.count == 2


def test_differences_are_paired_by_the_splits_in_common(entries):
    found = differences(entries, "cls")
    first = [np.mean([whole(entries[2 * n]), whole(entries[2 * n + 1])]) for n in range(2)]
    second = [whole(entries[6]), whole(entries[7])]
    assert found["arcface"]["every/map"].to_json() == pytest.approx(paired(first, second).to_json())
    assert found["mac"]["every/map"].count == 1
    assert "flags/unseen/0.01" not in found["mac"]
    assert "cls" not in found


def test_labels_without_a_split_in_common_have_no_difference():
    apart = [entry("a", 0), entry("b", 1)]
    assert differences(apart, "a") == {}


def test_labels_stand_in_the_order_of_the_papers_tables(entries):
    assert labels(entries) == ["mac", "cls", "arcface"]
