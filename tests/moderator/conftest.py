"""A small release with an untrained network, and drawings to judge with it.

Even an untrained network gives the same embedding to the same picture. So the very drawings that
are indexed match, and all others do not: the threshold lies between the two.
"""

import io
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from moderator.demo.drawings import draw, jpeg, names

INDEXED_SEEDS = (0, 1)
"""Seeds of the indexed drawings; all of the set ``indexed``, of every firearm and look-alike."""

SIDE = 64
"""Side of the network's input in pixels."""

Drawn = Callable[..., bytes]


@pytest.fixture(scope="session")
def drawn() -> Drawn:
    """Return drawings as JPEG bytes: ``drawn("revolver")`` is indexed, a firearm that matches.

    ``drawn(name, seed, "posted")`` and every harmless name is not indexed and does not match.
    """

    @cache
    def _drawn(name: str, seed: int = 0, variant: str = "indexed") -> bytes:
        return jpeg(draw(name, seed, variant))

    return _drawn


@pytest.fixture(scope="session")
def tiny_release(tmp_path_factory):
    """Return a loaded release whose prototypes are the indexed drawings.

    Types are the drawings' names, families ``small`` and ``long``. An indexed firearm is a
    ``match``, an indexed look-alike ``lookalike``, everything else ``no-match``. That look-alikes
    are taken for firearms at all is made so: beside each lies a firearm, a decoy.
    """
    from models.prototypes import Prototypes
    from models.release import load_release, write_release

    network = _network()
    indexed = [
        (kind, name, seed)
        for kind in ("firearm", "lookalike")
        for name in names(kind)
        for seed in INDEXED_SEEDS
    ]
    embeddings = _embed(network, [(name, seed, "indexed") for _, name, seed in indexed])
    room = 1 - _nearest_other(network, embeddings)
    mistaken = [row for row, (kind, _, _) in enumerate(indexed) if kind == "lookalike"]
    decoys = _beside(embeddings[mistaken], 1 - room / 4)
    prototypes = Prototypes(
        embeddings=np.concatenate([embeddings, decoys]),
        ids=(
            *(f"drawing/{name}/{seed}" for _, name, seed in indexed),
            *(f"decoy/{row}" for row in mistaken),
        ),
        types=(*(name for _, name, _ in indexed), *("pistol" for _ in mistaken)),
        kinds=(*(kind for kind, _, _ in indexed), *("firearm" for _ in mistaken)),
    )
    written = write_release(
        tmp_path_factory.mktemp("releases") / "tiny",
        network=network,
        prototypes=prototypes,
        types=_types(),
        policy=_policy(room),
        report={
            "figures": {"test": {"recall": 0.5, "recall_by_type": {"pistol": 0.25}}},
            "notes": ["an untrained network, for tests"],
        },
        created=datetime(2024, 1, 1, tzinfo=UTC).isoformat(),
        git_commit=None,
        dataset_digest=None,
    )
    return load_release(Path(written.path))


def _network():
    import torch

    from models.network import RetrievalNetwork
    from models.spec import InputSpec, NetworkSpec

    spec = NetworkSpec("mobilenet_v2", "spoc", 3.0, None, InputSpec(((SIDE, SIDE),)))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return RetrievalNetwork(spec).eval()


def _embed(network, drawings) -> np.ndarray:
    """Return float32[N, D] of (name, seed, variant) drawings, decoded as posts are."""
    from models.pixels import draft, prepare

    spec = network.spec.input
    pixels = []
    for name, seed, variant in drawings:
        image = Image.open(io.BytesIO(jpeg(draw(name, seed, variant))))
        draft(image, spec)
        pixels.append(prepare(image.convert("RGB"), spec))
    return network.embed(np.stack(pixels))


def _nearest_other(network, indexed: np.ndarray) -> float:
    """Return the largest similarity of a drawing that is not indexed to one that is."""
    kinds = ("firearm", "lookalike", "harmless")
    others = [(name, seed, "posted") for kind in kinds for name in names(kind) for seed in (0, 1)]
    return float((_embed(network, others) @ indexed.T).max())


def _beside(embeddings: np.ndarray, similarity: float) -> np.ndarray:
    """Return for each embedding another one of that similarity, in a random direction."""
    noise = np.random.default_rng(0).standard_normal(embeddings.shape).astype(np.float32)
    noise -= (noise * embeddings).sum(axis=1, keepdims=True) * embeddings
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    return similarity * embeddings + np.float32(np.sqrt(1 - similarity**2)) * noise


def _policy(room: float):
    """Return thresholds halfway between the same picture and the nearest other one."""
    from models.policy import Policy

    return Policy(
        threshold=1 - room / 2,
        thresholds={},
        near_miss=room / 8,
        lookalike_margin=0.0,
        score_slope=6 / room,
        score_offset=0.0,
        neighbours=8,
    )


def _types():
    from models.types import Types

    return Types(
        {
            name: (
                "small" if name in {"revolver", "pistol", "submachine_gun"} else "long",
                name.replace("_", " ").capitalize(),
            )
            for name in names("firearm")
        }
    )
