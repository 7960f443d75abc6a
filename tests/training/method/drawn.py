"""Random embeddings and labels of odd shapes, and the distances of a double loop."""

import math

import numpy as np
import torch

SHAPES = [(2, 1), (3, 5), (7, 3), (13, 17), (24, 8)]


def embeddings(count, dimension, *, seed, dtype=torch.float64):
    """Return rows of which one is near another: ordinary, close and far pairs."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(count, dimension, generator=generator, dtype=torch.float64)
    rows[-1] = rows[0] + 1e-3
    return rows.to(dtype)


def labels(count, types, *, seed):
    return torch.from_numpy(np.random.default_rng(seed).integers(types, size=count))


def normalised(rows):
    """Return float64 lists of length 1."""
    lists = rows.double().tolist()
    return [[x / math.sqrt(sum(y * y for y in row)) for x in row] for row in lists]


def distance(a, b, eps=0.0):
    return math.sqrt(sum((abs(x - y) + eps) ** 2 for x, y in zip(a, b, strict=True)))


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))
