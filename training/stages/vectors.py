"""From pictures to the vectors that losses and rankings compare. Must not know labels or files.

The trunk runs in the run's precision; pooling, head and norms are always float32.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from models.network import RetrievalNetwork
from models.pixels import prepare
from training.folder import Photo
from training.stages.parallel import World
from training.stages.pixelstore import PixelStore

CHUNK = 256
"""Pictures that are made ready together when many are embedded."""

SHAPE_BATCH = 64
"""Most pictures of one forward pass when many are embedded."""


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Return the context in which a trunk runs in this precision."""
    kind = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(precision)
    return torch.autocast(device.type, kind or torch.bfloat16, enabled=kind is not None)


def vectors(
    network: RetrievalNetwork, pixels: NDArray[np.uint8], precision: str, *, normalised: bool
) -> Tensor:
    """Return float32[N, D] of uint8[N, H, W, 3], with norm 1 or as they come from pooling."""
    images = network.normalise(torch.from_numpy(pixels))
    with autocast(network.device, precision):
        features = network.trunk(images)
    with torch.autocast(network.device.type, enabled=False):
        pooled = network.pooling(features.float())
        projected: Tensor = pooled if network.head is None else network.head(pooled)
        return functional.normalize(projected, dim=1) if normalised else projected


def embed_photos(
    network: RetrievalNetwork,
    store: PixelStore,
    photos: Sequence[Photo],
    world: World,
    *,
    precision: str,
    normalised: bool = True,
    workers: int = 2,
) -> NDArray[np.float32]:
    """Return float32[N, D] of photographs as the network takes them, each computed once.

    Args:
        network: In evaluation mode afterwards.
        store: Of their pixels.
        photos: In any order; the same one may come again.
        world: Each process computes its share; all get all rows.
        precision: Of the trunk.
        normalised: See ``vectors``.
        workers: Threads that make pictures ready.
    """
    network.eval()
    digests = list(dict.fromkeys(photo.digest for photo in photos))
    rows = torch.zeros(len(digests), network.dimension, device=network.device)
    own = list(range(world.rank, len(digests), world.size))

    def picture(place: int) -> NDArray[np.uint8]:
        return prepare(Image.fromarray(store.get(digests[place])), network.spec.input)

    with ThreadPoolExecutor(workers) as pool, torch.inference_mode():
        for begin in range(0, len(own), CHUNK):
            places = own[begin : begin + CHUNK]
            found = dict(zip(places, pool.map(picture, places), strict=True))
            for part in _same_shape(found):
                pixels = np.stack([found[place] for place in part])
                rows[part] = vectors(network, pixels, precision, normalised=normalised)
        world.add_up([rows])
    where = {digest: place for place, digest in enumerate(digests)}
    result: NDArray[np.float32] = rows.cpu().numpy()[[where[photo.digest] for photo in photos]]
    return result


def _same_shape(pictures: dict[int, NDArray[np.uint8]]) -> list[list[int]]:
    """Return keys of pictures in groups of one shape, none too large for a forward pass."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for place, pixels in pictures.items():
        groups.setdefault(pixels.shape, []).append(place)
    return [
        group[n : n + SHAPE_BATCH]
        for group in groups.values()
        for n in range(0, len(group), SHAPE_BATCH)
    ]
