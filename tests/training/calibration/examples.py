"""Random prototypes and photographs to choose policies on."""

from pathlib import Path

import numpy as np

from models.index import PrototypeIndex
from models.prototypes import Prototypes
from training.calibration.frames import Frames, look
from training.folder import Photo

TYPES = ("ak", "glock", "m1911", "revolver")
KINDS = ("drill", "tripod")


def unit(rows):
    rows = np.asarray(rows, np.float32)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def random_index(chance, dimension=6, each=4):
    """Return an index of a few prototypes of each type and kind."""
    names = [name for name in (*TYPES, *KINDS) for _ in range(each)]
    return PrototypeIndex.build(
        Prototypes(
            unit(chance.standard_normal((len(names), dimension))),
            tuple(f"{name}/{n}" for n, name in enumerate(names)),
            tuple(names),
            tuple("firearm" if name in TYPES else "lookalike" for name in names),
        )
    )


def random_described(chance, count, dimension=6, most_regions=3):
    """Return photographs' embeddings with 0 to ``most_regions`` regions each."""
    sizes = chance.integers(1, most_regions + 2, count)
    return [unit(chance.standard_normal((size, dimension))) for size in sizes]


def random_frames(seed, count=120, *, temperature=None, regions=3, margin=0.0, neighbours=7):
    """Return what a random index says of random photographs, and which show a firearm."""
    chance = np.random.default_rng(seed)
    frames: Frames = look(
        random_index(chance),
        random_described(chance, count, most_regions=regions),
        neighbours=neighbours,
        temperature=temperature,
        lookalike_margin=margin,
    )
    return frames, chance.random(count) < 0.3


def photo(name="glock", *, firearm=True, source=None, group=None, boxes=(), number=0):
    """Return a photograph that is nowhere."""
    digest = f"{number:064x}"
    return Photo(Path(f"{number}.jpg"), name, firearm, digest, group or digest, source, boxes)
