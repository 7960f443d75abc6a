"""Photographs and embeddings that tests make up: types apart, some copies, some look-alikes."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from training.data.folders import split_folder
from training.folder import Photo
from training.ranking.measure import Embeddings, measure

DIMENSION = 24


def photos(types=8, each=9, harmless=30):
    """Photographs of types, two of each near copies, and harmless ones of six sources."""
    found = []
    for number in range(types):
        for n in range(each):
            group = f"t{number}-{max(1, n)}"
            found.append(_photo(f"type{number}", n, group, f"source{n % 3}", firearm=True))
    for n in range(harmless):
        kind = "power_drill" if n % 5 == 0 else "room"
        found.append(_photo(kind, n, f"h{n}", f"elsewhere{n % 6}", firearm=False))
    return found


def _photo(name, n, group, source, *, firearm):
    digest = f"{name}{n:04d}"
    return Photo(Path(name) / f"{n}.jpg", name, firearm, digest, group, source)


def split(seed=0, **options):
    """A split of made-up photographs."""
    some = photos(**options)
    return split_folder(
        [photo for photo in some if photo.firearm],
        seed=seed,
        harmless=[photo for photo in some if not photo.firearm],
        name="made up",
    )


def embedded(data, noise=0.6, seed=0):
    """Embeddings around a centre for each type, firearms on one side."""
    chance = np.random.default_rng(seed)
    everything = (*data.classification, *data.test.queries, *data.test.database, *data.harmless)
    unique = {photo.digest: photo for photo in everything}
    centres = {}
    rows = []
    for photo in sorted(unique.values(), key=lambda photo: photo.digest):
        if photo.name not in centres:
            centres[photo.name] = chance.normal(size=DIMENSION)
            centres[photo.name][0] += 3 if photo.firearm else -1
        rows.append(centres[photo.name] + noise * chance.normal(size=DIMENSION))
    plain = np.array(rows)
    normal = (plain / np.linalg.norm(plain, axis=1, keepdims=True)).astype(np.float32)
    return Embeddings(normal, {digest: n for n, digest in enumerate(sorted(unique))})


def entry(label, split_seed=0, seed=None, noise=0.6, margins=None, harmless=True):
    """A result as evaluate writes it."""
    data = split(split_seed, types=12, each=8)
    if not harmless:
        data = replace(data, harmless=())
    chance = 1000 * split_seed + (seed or 0)
    about = {} if margins is None else {"margins": margins}
    return {
        "label": label,
        "split_seed": split_seed,
        "seed": seed,
        **about,
        "data": {
            "name": "made up",
            "digest": f"sha256:{split_seed}",
            "train": len(data.train),
            "train_types": 8,
            "test": 24,
            "test_types": 3,
            "queries": 6,
            "harmless": len(data.harmless),
        },
        **measure(data, embedded(data, noise, chance)),
    }
