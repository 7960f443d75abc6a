"""Principal components of embeddings, as the authors reduce them. Pure; knows no networks.

L2 → centre → project → L2. Without whitening, which hurts sharply (the author's thesis), unless
asked for.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]
Floats = NDArray[np.float64]

DIMENSIONS = (512, 256, 128, 64, 32, 16)
"""Those of the paper's Table 3, in its order."""

NORM_FLOOR = 1e-12
VARIANCE_FLOOR = 1e-10
"""Share of the largest variance that a direction must have to be whitened by its own."""


@dataclass(frozen=True, eq=False)
class Pca:
    """A fitted projection.

    Args:
        mean: float64[D] of the L2-normalised rows.
        components: float64[d, D], orthonormal, most variance first; the largest number of each
            is positive, so that the same rows give the same signs.
        variances: float64[d], of the rows along them (divided by n - 1), never rising.
        whiten: Whether each projected number is divided by its standard deviation.
    """

    mean: Floats
    components: Floats
    variances: Floats
    whiten: bool = False

    @property
    def dimension(self) -> int:
        """Of what ``apply`` gives."""
        return len(self.components)

    def first(self, dimension: int) -> "Pca":
        """Return the projection onto the first components only, as if fitted to that dimension.

        Raises:
            ValueError: There are fewer.
        """
        if not 1 <= dimension <= self.dimension:
            raise ValueError(f"dimension {dimension} is not in 1..{self.dimension}")
        return replace(
            self,
            components=self.components[:dimension],
            variances=self.variances[:dimension],
        )

    def apply(self, rows: Rows) -> Rows:
        """Return float32[N, d], L2-normalised, of float[N, D]; all zero where nothing is left."""
        projected = (_normalised(rows) - self.mean) @ self.components.T
        if self.whiten:
            floor = VARIANCE_FLOOR * max(float(self.variances[0]), NORM_FLOOR)
            projected /= np.sqrt(np.maximum(self.variances, floor))
        return _normalised(projected).astype(np.float32)


def fit_pca(rows: Rows, dimension: int, *, whiten: bool = False) -> Pca:
    """Fit principal components to embeddings.

    Args:
        rows: float[N, D], finite; they are L2-normalised first.
        dimension: At most the smaller of N and D.
        whiten: See ``Pca``.

    Raises:
        ValueError: The dimension is out of its range.

    Source: the released code's test (L2, PCA without whitening, L2).
    """
    most = largest_dimension(rows)
    if not 1 <= dimension <= most:
        raise ValueError(f"dimension {dimension} is not in 1..{most} for rows {rows.shape}")
    normal = _normalised(rows)
    mean = normal.mean(axis=0)
    centred = normal - mean
    covariance = centred.T @ centred / max(1, len(rows) - 1)
    variances, vectors = np.linalg.eigh(covariance)
    components = vectors.T[::-1][:dimension]
    peaks = np.take_along_axis(components, np.abs(components).argmax(axis=1)[:, None], axis=1)
    return Pca(
        mean=mean,
        components=components * np.where(peaks < 0, -1.0, 1.0),
        variances=np.maximum(variances[::-1][:dimension], 0.0),
        whiten=whiten,
    )


def largest_dimension(rows: Rows) -> int:
    """Return the largest dimension that can be fitted to float[N, D]."""
    return int(min(rows.shape))


def _normalised(rows: NDArray[np.floating]) -> Floats:
    exact = np.asarray(rows, np.float64)
    norms = np.linalg.norm(exact, axis=1, keepdims=True)
    result: Floats = exact / np.maximum(norms, NORM_FLOOR)
    return result
