"""Releases beside the tiny one: another policy, another network that takes another size."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from models.policy import Policy
from models.prototypes import Prototypes
from models.release import Release, write_release
from models.spec import InputSpec, NetworkSpec
from models.types import Types
from tests.models.samples import directions
from tests.models.samples import network as random_network

EAGER = Policy(threshold=-1.0, thresholds={}, near_miss=0.0, lookalike_margin=2.0, neighbours=8)
"""Flags whatever is judged."""


def with_policy(release: Release, out: Path, policy: Policy = EAGER) -> Release:
    """Write a release of the same network and prototypes with another policy."""
    return _written(
        out,
        network=release.load_network(fold=False),
        prototypes=release.prototypes,
        types=release.types,
        policy=policy,
    )


def with_network(
    out: Path,
    side: int = 96,
    regions: tuple[tuple[int, int], ...] = (),
    policy: Policy = EAGER,
) -> Release:
    """Write a release of another backbone that takes another size, which flags all."""
    sizes = InputSpec(((side, side), (side, 64)))
    spec = NetworkSpec("squeezenet1_1", "spoc", 3.0, None, sizes, regions)
    rows = directions(12, random_network(spec).embed(np.zeros((1, side, side, 3), "u1")).shape[1])
    names = tuple(f"other/{number}" for number in range(len(rows)))
    return _written(
        out,
        network=random_network(spec),
        prototypes=Prototypes(rows, names, ("rifle",) * len(rows), ("firearm",) * len(rows)),
        types=Types({"rifle": ("long", "Rifle")}),
        policy=replace(policy, neighbours=4),
    )


def damaged(release: Release, out: Path) -> Path:
    """Copy a release and change a byte of its weights."""
    shutil.copytree(release.path, out)
    weights = out / "weights.safetensors"
    raw = bytearray(weights.read_bytes())
    raw[-1] ^= 1
    weights.write_bytes(raw)
    return out


def _written(out: Path, **parts: Any) -> Release:
    fixed = {"report": {}, "created": "2026-01-02", "git_commit": None, "dataset_digest": None}
    return write_release(out, **parts, **fixed)
