"""What a teacher says: the same each time, kept, and in the learner's dimensions."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from tests.training.stages.samples import damaged, distil_settings
from training.errors import BadInput
from training.stages.teacher import projected, taught


def test_rows_are_normalised_and_kept(data, tmp_path):
    settings = distil_settings(tmp_path)
    rows, none = taught(data.train, (), settings, 8)
    assert none.shape == (0, 8)
    assert rows.shape == (len(data.train), 8)
    assert rows.dtype == np.float32
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-5)
    (kept,) = tmp_path.glob("teacher-*.npz")
    before = kept.stat().st_mtime_ns
    assert np.array_equal(taught(data.train, (), settings, 8)[0], rows)
    assert kept.stat().st_mtime_ns == before
    shutil.rmtree(tmp_path)
    assert np.array_equal(taught(data.train, (), settings, 8)[0], rows)


def test_other_photographs_and_other_teachers_are_asked_anew(data, tmp_path):
    settings = distil_settings(tmp_path)
    few, _ = taught(data.train[1:], (), settings, 17)
    (kept,) = tmp_path.glob("teacher-*.npz")
    assert len(np.load(kept)["rows"]) == len(data.train) - 1
    taught(data.train, (), settings, 4)
    assert len(np.load(kept)["rows"]) == len(data.train)
    assert np.array_equal(taught(data.train[1:], (), settings, 17)[0], few)
    taught(data.train, (), replace(settings, teacher_pooling="mac"), 4)
    taught(data.train, (), replace(settings, lr=0.5), 4)
    assert len(list(tmp_path.glob("teacher-*.npz"))) == 2


def test_too_few_photographs_for_the_dimension_are_told(data, tmp_path):
    with pytest.raises(BadInput, match=r"cannot teach 200; give a lower --dimension"):
        taught(data.train, (), distil_settings(tmp_path), 200)


def test_a_photograph_that_cannot_be_read_is_named(data, tmp_path):
    bad = damaged(data.train[0], tmp_path)
    with pytest.raises(BadInput, match=bad.path.name):
        taught((bad, *data.train), (), distil_settings(tmp_path / "cache"), 4)


def test_harmless_photographs_do_not_choose_the_directions(data, tmp_path):
    settings = distil_settings(tmp_path)
    alone, _ = taught(data.train, (), settings, 4)
    together, _ = taught((*data.train, *data.harmless), (), settings, 4)
    assert np.array_equal(together[: len(data.train)], alone)
    with pytest.raises(BadInput, match=f"{len(data.train)} firearms cannot teach 19"):
        taught((*data.train, *data.harmless), (), settings, 19)


def test_photographs_that_are_not_learnt_from_do_not_choose_the_directions(data, tmp_path):
    settings = distil_settings(tmp_path)
    others = (*data.validation.database, *data.train[:1])
    alone, _ = taught(data.train, (), settings, 4)
    beside, found = taught(data.train, others, settings, 4)
    assert np.array_equal(beside, alone)
    assert found.shape == (len(others), 4)
    assert found[-1] == pytest.approx(alone[0], abs=1e-6)
    assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-5)


def test_what_all_firearms_have_in_common_does_not_matter():
    rows = np.random.default_rng(0).normal(size=(30, 6)).astype(np.float32)
    moved = rows + np.float32(3)
    assert np.abs(projected(moved, moved, 6)) == pytest.approx(
        np.abs(projected(rows, rows, 6)), abs=1e-4
    )


def test_directions_count_as_the_fourth_root_of_how_much_they_vary():
    """Two orthogonal directions, one of four times the deviation: twice the weight stays."""
    firearms = np.array([[4, 0], [-4, 0], [0, 1], [0, -1]], np.float32)
    asked = np.array([[4, 1], [4, 4]], np.float32)
    first, second = np.abs(projected(asked, firearms, 2))
    assert first[0] / first[1] == pytest.approx(2)
    assert second[0] / second[1] == pytest.approx(0.5)


def test_rounding_does_not_become_a_direction():
    """Four rows less their mean have three directions; the fourth says nothing."""
    rows = np.random.default_rng(2).normal(size=(4, 6)).astype(np.float32)
    assert np.abs(projected(rows, rows, 4)[:, 3]).max() < 1e-3


def test_fewer_dimensions_are_those_that_differ_most():
    lot = np.random.default_rng(1)
    rows = (lot.normal(size=(4000, 5)) * [5, 0.1, 3, 0.1, 0.1]).astype(np.float32)
    kept = np.abs(projected(rows, rows, 2))
    expected = np.abs(rows[:, [0, 2]]) / np.sqrt(rows[:, [0, 2]].std(axis=0))
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.abs(kept - expected).mean() < 0.05
