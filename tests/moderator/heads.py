"""Releases with a head that knows the drawings, on the network of another release."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from models.head import Head, HeadClass
from models.policy import HeadRule, Kernel, Policy
from models.release import Release, write_release
from models.types import Types
from moderator.demo.drawings import names
from tests.moderator.conftest import INDEXED_SEEDS, _embed

LOGIT = 10.0
"""Logit of a drawing's own class; those of the others are about 0."""

ADDED = Kernel(2000.0, 1980.0)
"""An added prototype has 20 at its own picture, and less than nothing at any other drawing."""

MECHANISMS = {
    "revolver": "revolver", "pistol": "automatic", "submachine_gun": "automatic",
    "kalashnikov": "military", "carbine": "military", "shotgun": "pump-action",
}  # fmt: skip
LEVELS = {"mechanism": 1.0, "family": 1.0, "type": 1.0}
POLICY = Policy(
    threshold=0.0,
    near_miss=0.5,
    neighbours=8,
    near_radius=0.0,
    head=HeadRule(1.0, ADDED, None, LEVELS),
)


def head_of(release: Release) -> Head:
    """Fit a head: the indexed drawings and all harmless ones each get their own class."""
    network = release.load_network(fold=False)
    kinds = {name: kind for kind in ("firearm", "lookalike", "harmless") for name in names(kind)}
    drawings = [
        (name, seed, variant)
        for name, kind in kinds.items()
        for variant in (("indexed", "posted") if kind == "harmless" else ("indexed",))
        for seed in INDEXED_SEEDS
    ]
    rows = _embed(network, drawings).astype(np.float64)
    wanted = np.array([[LOGIT * (name == its) for its in kinds] for name, _, _ in drawings])
    middle, mean = rows.mean(axis=0), wanted.mean(axis=0)
    apart = rows - middle
    weight = (
        apart.T @ np.linalg.solve(apart @ apart.T + 1e-3 * np.eye(len(rows)), wanted - mean)
    ).T
    classes = tuple(
        HeadClass(name, "firearm" if kind == "firearm" else "lookalike")
        for name, kind in kinds.items()
    )
    bias = mean - weight @ middle
    return Head(weight.astype(np.float32), bias.astype(np.float32), classes)


def with_head(release: Release, out: Path, policy: Policy = POLICY, **changes: object) -> Release:
    """Write a release of the same network and prototypes with a head.

    All types but ``sniper`` have a mechanism.
    """
    table = release.types.to_json()["types"]
    types = Types({n: (e["family"], e["display_name"]) for n, e in table.items()}, MECHANISMS)
    parts = {
        "network": release.load_network(fold=False),
        "prototypes": release.prototypes,
        "types": types,
        "policy": policy,
        "report": {},
        "created": "2026-01-02",
        "git_commit": None,
        "dataset_digest": None,
        "head": head_of(release),
    }
    return write_release(out, **{**parts, **changes})


def near_rule(radius: float) -> Policy:
    """Return the policy with the near rule, and added prototypes of no weight besides."""
    rule = HeadRule(1.0, Kernel(1.0, 100.0), None, LEVELS)
    return replace(POLICY, near_radius=radius, head=rule)
