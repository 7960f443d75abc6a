"""A multinomial logistic regression with weights, on features of norm 1. Pure.

L-BFGS on features that are whitened for the search alone: the optimum is that of the plain
problem, in a fifth of the steps.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

STEPS = 60
MEMORY = 15

Rows = NDArray[np.float32]
Places = NDArray[np.int64]


def weights(classes: Places, sources: Sequence[str | None], evenness: float) -> Rows:
    """Return float32[N], weights of photographs, 1 on average.

    Each class weighs the same. Within one, a source of n photographs weighs as n to the power of
    1 - ``evenness``: at 0 photographs weigh alike, at 1 sources do.

    Args:
        classes: int64[N].
        sources: N of them.
        evenness: In 0..1.
    """
    keys = np.unique([source or "" for source in sources], return_inverse=True)[1]
    found = np.zeros(len(classes))
    for each in np.unique(classes):
        own = np.flatnonzero(classes == each)
        _, of, counts = np.unique(keys[own], return_inverse=True, return_counts=True)
        raw = counts[of].astype(np.float64) ** -evenness
        found[own] = raw / raw.sum()
    result: Rows = (found / found.mean()).astype(np.float32)
    return result


def fit(
    rows: Rows, classes: Places, weight: Rows, strength: float, steps: int = STEPS
) -> tuple[Rows, Rows]:
    """Fit a linear classifier.

    Minimises sum(weight * loss) * strength + |W|² / 2, where the loss is the negative logarithm
    of the probability of the class and the bias is free, as scikit-learn's does with C.

    Args:
        rows: float32[N, F], of norm 1.
        classes: int64[N] in 0..C-1, each there.
        weight: float32[N], 1 on average.
        strength: C of scikit-learn, above 0: the higher, the less the weights are held back.
        steps: Of L-BFGS, at most.

    Returns:
        float32[C, F] and float32[C]: logits are ``rows @ W.T + b``.
    """
    import torch

    count, lam = int(classes.max()) + 1, 1 / (strength * len(rows))
    mean = rows.mean(axis=0)
    centred = rows - mean
    spread = (centred * weight[:, None]).T @ centred / len(rows)
    values, vectors = np.linalg.eigh(spread.astype(np.float64))
    # Near the beginning the loss bends by about the features' spread over the number of classes.
    scale = 1 / np.sqrt(np.maximum(values, 0) / count + lam)
    axes = (vectors * scale).astype(np.float32)
    given = torch.from_numpy(centred @ axes)
    held = torch.from_numpy((scale**2).astype(np.float32))
    truth, share = torch.from_numpy(classes), torch.from_numpy(weight / len(rows))
    matrix = torch.zeros(count, rows.shape[1], requires_grad=True)
    bias = torch.zeros(count, requires_grad=True)
    search = torch.optim.LBFGS(
        [matrix, bias], max_iter=steps, max_eval=2 * steps, history_size=MEMORY,
        tolerance_grad=1e-8, tolerance_change=0, line_search_fn="strong_wolfe",
    )  # fmt: skip

    def loss() -> torch.Tensor:
        search.zero_grad()
        logits = torch.addmm(bias, given, matrix.T)
        losses = torch.nn.functional.cross_entropy(logits, truth, reduction="none")
        total = (losses * share).sum() + (matrix.square() * held).sum() * (lam / 2)
        total.backward()  # type: ignore[no-untyped-call]
        return total

    search.step(loss)  # type: ignore[no-untyped-call]
    found: Rows = (matrix.detach().numpy() @ axes.T).astype(np.float32)
    return found, (bias.detach().numpy() - found @ mean).astype(np.float32)
