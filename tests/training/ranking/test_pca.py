import numpy as np
import pytest

from training.ranking.pca import fit_pca, largest_dimension


def rows(seed, count, dimension):
    chance = np.random.default_rng(seed)
    mixed = chance.normal(size=(count, dimension)) @ chance.normal(size=(dimension, dimension))
    return (mixed + chance.normal(size=dimension) * 3).astype(np.float32)


def normal(values):
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def slow_pca(given, asked, dimension, whiten):
    """A covariance by loops over its entries, and the eigenvectors of a general matrix."""
    fitted, tested = normal(given.astype(np.float64)), normal(asked.astype(np.float64))
    mean = np.array([sum(column) / len(column) for column in fitted.T])
    centred = fitted - mean
    size = centred.shape[1]
    covariance = np.empty((size, size))
    for a in range(size):
        for b in range(size):
            covariance[a, b] = sum(centred[:, a] * centred[:, b]) / (len(centred) - 1)
    values, vectors = np.linalg.eig(covariance)
    order = np.argsort(-values.real)[:dimension]
    projected = (tested - mean) @ vectors.real[:, order]
    if whiten:
        projected = projected / np.sqrt(values.real[order])
    return normal(projected)


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize(("count", "size", "dimension"), [(41, 7, 7), (67, 13, 5), (30, 9, 1)])
def test_projections_are_those_of_a_slow_eigendecomposition(count, size, dimension, whiten):
    given, asked = rows(count, count, size), rows(count + 1, 11, size)
    found = fit_pca(given, dimension, whiten=whiten).apply(asked)
    expected = slow_pca(given, asked, dimension, whiten)
    signs = np.sign((found * expected).sum(axis=0))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected * signs, atol=2e-5)


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize(("count", "size", "dimension"), [(53, 17, 6), (12, 31, 11), (20, 20, 19)])
def test_projections_are_scikit_learns(count, size, dimension, whiten):
    from sklearn.decomposition import PCA

    given, asked = rows(7, count, size), rows(8, 9, size)
    reference = PCA(dimension, whiten=whiten, svd_solver="full").fit(normal(given.astype(float)))
    pca = fit_pca(given, dimension, whiten=whiten)
    np.testing.assert_allclose(pca.variances, reference.explained_variance_, rtol=1e-6)
    expected = normal(reference.transform(normal(asked.astype(float))))
    found = pca.apply(asked)
    signs = np.sign((found * expected).sum(axis=0))
    np.testing.assert_allclose(found, expected * signs, atol=2e-5)


def test_the_first_components_are_a_fit_of_their_own():
    given = rows(1, 40, 12)
    cut, whole = fit_pca(given, 12).first(5), fit_pca(given, 5)
    np.testing.assert_array_equal(cut.apply(given), whole.apply(given))
    assert cut.dimension == 5


def test_signs_do_not_depend_on_the_solver():
    components = fit_pca(rows(2, 40, 12), 12).components
    assert (components[np.arange(12), np.abs(components).argmax(axis=1)] > 0).all()


def test_results_have_norm_one_or_are_zero():
    given = rows(3, 25, 6)
    pca = fit_pca(given, 3)
    np.testing.assert_allclose(np.linalg.norm(pca.apply(given), axis=1), 1, atol=1e-6)
    same = fit_pca(np.ones((4, 3), np.float32), 2)
    assert (same.apply(np.ones((2, 3), np.float32)) == 0).all()


def test_dimensions_out_of_range_are_refused():
    given = rows(4, 5, 9)
    assert largest_dimension(given) == 5
    for wrong in (0, 6):
        with pytest.raises(ValueError, match=r"1\.\.5"):
            fit_pca(given, wrong)
    with pytest.raises(ValueError, match=r"1\.\.3"):
        fit_pca(given, 3).first(4)
