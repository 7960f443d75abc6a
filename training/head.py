"""A linear head that keeps what most of the images differ in. Pure; must not know torch."""

import numpy as np
from numpy.typing import NDArray

from training.errors import BadInput


def projection(rows: NDArray[np.float32], dimension: int) -> NDArray[np.float32]:
    """Fit the rotation that keeps most of the embeddings' length in fewer dimensions.

    It is a PCA that takes no mean off and does not whiten: cosines stay what they were as nearly
    as may be. Taking the mean off an ImageNet network's features was tried on real photographs:
    recall at 1 % false flags fell from 0.70 to 0.38, and further with whitening.

    Args:
        rows: float32[N, C], L2-normalised.
        dimension: D, at most C and at most N.

    Returns:
        float32[D, C], its rows orthonormal, the strongest first: weights of a linear head without
        bias. Signs are such that each row's largest figure is positive.

    Raises:
        BadInput: The dimension is too large, or below 1.
    """
    most = min(rows.shape)
    if not 1 <= dimension <= most:
        raise BadInput(
            f"--dimension {dimension} is not in 1..{most}: {rows.shape[0]} prototype photographs, "
            f"{rows.shape[1]} channels"
        )
    exact = rows.astype(np.float64)
    vectors = np.linalg.eigh(exact.T @ exact)[1][:, ::-1][:, :dimension].T
    largest = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=1)[:, None], axis=1)
    return np.ascontiguousarray(vectors * np.sign(largest), dtype=np.float32)


def project(rows: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the embeddings float32[N, D] that a network with this head gives, L2-normalised."""
    projected = rows @ weight.T
    norms = np.linalg.norm(projected, axis=1, keepdims=True)
    result: NDArray[np.float32] = projected / np.maximum(norms, np.float32(1e-12))
    return result
