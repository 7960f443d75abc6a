"""The logistic regression beside scikit-learn's, and what weights say."""

import numpy as np
import pytest

from training.heads.fit import fit, weights


def _drawn(count=400, features=12, classes=5):
    chance = np.random.default_rng(1)
    centres = np.abs(chance.normal(size=(classes, features))) + 1
    labels = np.concatenate([np.arange(classes), chance.integers(classes, size=count - classes)])
    rows = np.abs(centres[labels] + 0.4 * chance.normal(size=(count, features)))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32), labels.astype(np.int64)


@pytest.mark.parametrize("strength", [0.3, 10.0])
def test_gives_the_logits_that_scikit_learn_gives(strength):
    from sklearn.linear_model import LogisticRegression

    rows, labels = _drawn()
    weight = weights(labels, ["one"] * 300 + ["other"] * 100, 0.5)
    other = LogisticRegression(C=strength, max_iter=5000, tol=1e-8)
    other.fit(rows.astype(np.float64), labels, sample_weight=weight)
    matrix, bias = fit(rows, labels, weight, strength, steps=300)
    said = rows @ matrix.T + bias
    # Logits are told up to what is common to all classes.
    expected = other.decision_function(rows)
    said -= said.mean(axis=1, keepdims=True)
    expected -= expected.mean(axis=1, keepdims=True)
    assert np.abs(said - expected).max() < 0.02 * np.abs(expected).max()


def test_classes_weigh_the_same_and_sources_by_their_evenness():
    labels = np.array([0] * 9 + [1] * 1 + [0] * 1, np.int64)
    sources = ["big"] * 9 + ["small", "small"]
    flat = weights(labels, sources, 0.0)
    assert flat[labels == 0].sum() == pytest.approx(flat[labels == 1].sum())
    assert flat.mean() == pytest.approx(1)
    assert np.ptp(flat[labels == 0]) == pytest.approx(0)
    even = weights(labels, sources, 1.0)
    assert even[:9].sum() == pytest.approx(even[10])
