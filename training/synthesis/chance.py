"""Streams of chance that depend on names alone, so that any process draws the same picture.

Knows nothing of what is drawn.
"""

import hashlib
from typing import TypeVar

import numpy as np

Option = TypeVar("Option")


def stream(seed: int, *words: str | int) -> np.random.Generator:
    """Return the generator that belongs to a seed and some words, whatever was drawn before."""
    text = "\x1f".join(map(str, (seed, *words)))
    digest = hashlib.sha256(text.encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def pick(chance: np.random.Generator, options: tuple[Option, ...]) -> Option:
    """Return one of the options, each as likely as the others."""
    return options[int(chance.integers(len(options)))]
