"""Euclidean distances between embeddings. Pure; must not know types, losses or networks."""

import torch
from torch import Tensor

EPSILON = 1e-6
"""What the released code adds to each difference, so that the root has a slope at no distance."""


def exact(values: Tensor) -> Tensor:
    """Return numbers of 16 bits as float32, and others as they are.

    Losses are small differences of large sums, which 16 bits do not hold.
    """
    if values.dtype in {torch.float16, torch.bfloat16}:
        return values.float()
    return values


def paired_distance(a: Tensor, b: Tensor, *, eps: float = EPSILON) -> Tensor:
    """Return the distance within each pair of embeddings.

    Args:
        a: float[P, D].
        b: float[P, D].
        eps: Added to each absolute difference; at 0 the gradient of two equal embeddings is NaN.

    Returns:
        float[P], of float32 at least.

    Raises:
        ValueError: The shapes differ or are not of rows.

    Source: the released code of Hao et al., DeepFirearm, ICPR 2018.
    """
    if a.shape != b.shape or a.ndim != 2:
        raise ValueError(f"two tensors of P rows are needed, not {list(a.shape)}, {list(b.shape)}")
    return ((exact(a) - exact(b)).abs() + eps).square().sum(dim=1).sqrt()


def pairwise_distance(a: Tensor) -> Tensor:
    """Return the distances of all embeddings to each other.

    It takes differences, not products: a product leaves near copies with an error of 1e-4.

    Args:
        a: float[N, D].

    Returns:
        float[N, N], of float32 at least, 0 on the diagonal; the gradient of no distance is 0.

    Raises:
        ValueError: The shape is not of rows.
    """
    if a.ndim != 2:
        raise ValueError(f"a tensor of N rows is needed, not {list(a.shape)}")
    rows = exact(a)
    return torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist")
