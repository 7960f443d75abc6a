import numpy as np
import pytest

from training.errors import BadInput
from training.head import project, projection


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def rows():
    return unit(np.abs(np.random.default_rng(0).standard_normal((40, 12))))


def test_all_dimensions_keep_every_cosine(rows):
    kept = project(rows, projection(rows, 12))
    np.testing.assert_allclose(kept @ kept.T, rows @ rows.T, atol=1e-5)


def test_the_directions_are_those_of_a_singular_value_decomposition(rows):
    weight = projection(rows, 5)
    expected = np.linalg.svd(rows.astype(np.float64))[2][:5]
    np.testing.assert_allclose(np.abs(np.sum(weight * expected, axis=1)), 1, atol=1e-5)
    np.testing.assert_allclose(weight @ weight.T, np.eye(5), atol=1e-5)


def test_what_is_projected_is_normalised_and_the_same_for_scaled_rows(rows):
    weight = projection(rows, 3)
    projected = project(rows, weight)
    np.testing.assert_allclose(np.linalg.norm(projected, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(project(7 * rows, weight), projected, atol=1e-6)


@pytest.mark.parametrize("dimension", [0, 13])
def test_a_dimension_out_of_range_is_refused(rows, dimension):
    with pytest.raises(BadInput, match=r"is not in 1\.\.12"):
        projection(rows, dimension)
