"""Prototypes, networks and releases that several tests use; all of them small and seeded."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.head import Head, HeadClass
from models.policy import Policy
from models.prototypes import Prototypes
from models.spec import InputSpec, NetworkSpec
from models.types import Types

SPEC = NetworkSpec("squeezenet1_1", "gem", 3.0, 16, InputSpec(((64, 64), (48, 80))))


def directions(count: int, dimension: int, seed: int = 0) -> NDArray[np.float32]:
    """Return float32[count, dimension] of norm 1, evenly over the sphere."""
    rows = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def clustered(count: int, dimension: int, clusters: int, seed: int = 0) -> NDArray[np.float32]:
    """Return float32[count, dimension] of norm 1, in tight clusters."""
    generator = np.random.default_rng(seed)
    middles = directions(clusters, dimension, seed + 1)
    rows = middles[generator.integers(0, clusters, count)]
    rows = rows + 0.4 * directions(count, dimension, seed + 2)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def prototypes(rows: NDArray[np.float32], prefix: str = "p") -> Prototypes:
    """Return prototypes with these embeddings, of 7 types, every third one a look-alike."""
    numbers = range(len(rows))
    return Prototypes(
        rows,
        tuple(f"{prefix}{number:05d}" for number in numbers),
        tuple(f"type{number % 7}" for number in numbers),
        tuple("lookalike" if number % 3 == 2 else "firearm" for number in numbers),
    )


def network(spec: NetworkSpec = SPEC, seed: int = 0) -> Any:
    """Return a network with random weights, in evaluation mode."""
    import torch

    from models.network import RetrievalNetwork

    torch.manual_seed(seed)
    return RetrievalNetwork(spec).eval()


def pixels(count: int, height: int = 64, width: int = 64, seed: int = 0) -> NDArray[np.uint8]:
    """Return uint8[count, height, width, 3] of smooth noise."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, height // 8, width // 8, 3))
    return coarse.astype(np.uint8).repeat(8, axis=1).repeat(8, axis=2)


def written(out: Path, **changes: Any) -> Any:
    """Write a small release and return it."""
    from models.release import write_release

    parts: dict[str, Any] = {
        "network": changes.pop("network", None) or network(),
        "prototypes": prototypes(directions(20, 16)),
        "types": Types({f"type{n}": ("pistol", f"Type {n}") for n in range(7)}),
        "policy": Policy(0.6, {"type1": 0.7}),
        "report": {"mAP": 0.5},
        "created": "2026-01-02T03:04:05Z",
        "git_commit": "abc",
        "dataset_digest": None,
    }
    return write_release(out, **{**parts, **changes})


def head(channels: int = 512, seed: int = 0) -> Head:
    """Return a head with random weights: ``type0`` to ``type2`` and a look-alike, ``drill``."""
    generator = np.random.default_rng(seed)
    return Head(
        (3 * generator.standard_normal((4, channels))).astype(np.float32),
        generator.standard_normal(4).astype(np.float32),
        (*(HeadClass(f"type{n}", "firearm") for n in range(3)), HeadClass("drill", "lookalike")),
    )
