"""Chance that depends only on where a run stands, so that going on needs no state of it. Pure."""

import zlib

import numpy as np


def chance(seed: int, purpose: str, *position: int) -> np.random.Generator:
    """Return a generator of this purpose at this position.

    Args:
        seed: The run's.
        purpose: What it decides; others of the same position are independent of it.
        position: Such as epoch, step and place, each at least 0.
    """
    # Zeros at the end would count for nothing without the length.
    words = (seed, zlib.crc32(purpose.encode()), len(position), *position)
    return np.random.default_rng(words)


def number(seed: int, purpose: str, *position: int) -> int:
    """Return a seed in 0..2⁶³-1 for generators of other packages."""
    return int(chance(seed, purpose, *position).integers(2**63 - 1))
