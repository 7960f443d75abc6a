"""The photographs of a release with their embeddings and sides, and the network that gave them.

Must not know prototypes, thresholds or reports.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from models.spec import InputSpec, NetworkSpec
from training.embedding import embed
from training.errors import BadInput
from training.folder import Photo, read_photos, with_groups
from training.head import project, projection
from training.progress import progress
from training.recipe import Recipe
from training.splits import Sides, split

if TYPE_CHECKING:
    from models.network import RetrievalNetwork

Rows = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Material:
    """Readable photographs, their embeddings float32[N, D], and their sides.

    ``unreadable`` tells of each of the others which it is and why.
    """

    photos: tuple[Photo, ...]
    rows: Rows
    sides: Sides
    unreadable: tuple[str, ...]


def gather(recipe: Recipe, console: Console) -> tuple["RetrievalNetwork", Material]:
    """Read, split and embed a recipe's photographs.

    Returns:
        The network that embeds so, in evaluation mode and fit for a release, and the material.

    Raises:
        BadInput: Photographs, tables or options cannot be used.
        BadNetwork: The network cannot be made.
    """
    photos = _photos(recipe)
    sides = _split(recipe, photos)
    network = _network(recipe)
    material = _embedded(photos, sides, network, console)
    if recipe.dimension is None:
        return network, material
    return _with_head(recipe, recipe.dimension, network, material)


def rounded(rows: Rows) -> Rows:
    """Return embeddings as they come back from float16, which caches and releases keep."""
    half = rows.astype(np.float16).astype(np.float32)
    norms = np.linalg.norm(half, axis=1, keepdims=True)
    result: Rows = half / np.maximum(norms, np.float32(1e-12))
    return result


def _photos(recipe: Recipe) -> list[Photo]:
    photos = read_photos(recipe.images, firearm=True)
    if recipe.lookalikes is not None:
        photos += read_photos(recipe.lookalikes, firearm=False)
    return photos if recipe.groups is None else with_groups(photos, recipe.groups)


def _split(recipe: Recipe, photos: Sequence[Photo]) -> Sides:
    return split(
        photos,
        threshold_sources=recipe.threshold_sources,
        test_sources=recipe.test_sources,
        share=recipe.share,
        seed=recipe.seed,
    )


def _network(recipe: Recipe) -> "RetrievalNetwork":
    """Make the network without its head, in evaluation mode."""
    from models.network import RetrievalNetwork, round_weights
    from models.weights import load_backbone_weights

    spec = NetworkSpec(
        backbone=recipe.backbone,
        pooling=recipe.pooling,
        gem_power=recipe.gem_power,
        dimension=None,
        input=InputSpec(recipe.sizes, recipe.mean, recipe.std),
    )
    network = RetrievalNetwork(spec)
    load_backbone_weights(network.trunk, recipe.backbone, recipe.weights)
    if recipe.half_weights:
        round_weights(network)
    return network.eval()


def _embedded(
    photos: Sequence[Photo],
    sides: Sides,
    network: "RetrievalNetwork",
    console: Console,
) -> Material:
    """Embed all photographs and tell of those that cannot be read."""
    from models.serving import for_serving

    paths = [photo.path for photo in photos]
    with progress(console, "embedding photographs", len(paths)) as advance:
        found = embed(for_serving(network), paths, network.spec.input, advance=advance)
    unreadable = [
        f"{photos[place].name}/{photos[place].path.name}: {reason}"
        for place, reason in sorted(found.unreadable.items())
    ]
    for line in unreadable:
        console.print(f"left out, cannot be read: {line}", style="yellow", highlight=False)
    kept = [n for n in range(len(photos)) if n not in found.unreadable]
    places = {old: new for new, old in enumerate(kept)}
    prototypes, threshold, test = (
        tuple(places[n] for n in side if n in places)
        for side in (sides.prototypes, sides.threshold, sides.test)
    )
    material = Material(
        photos=tuple(photos[n] for n in kept),
        rows=found.rows[kept],
        sides=Sides(prototypes, threshold, test, sides.dropped),
        unreadable=tuple(unreadable),
    )
    for side in ("prototypes", "threshold"):
        if not any(material.photos[n].firearm for n in getattr(material.sides, side)):
            raise BadInput(f"no readable firearm is left for the {side}; see what was left out")
    return material


def _with_head(
    recipe: Recipe, dimension: int, network: "RetrievalNetwork", material: Material
) -> tuple["RetrievalNetwork", Material]:
    """Return the network with a head fitted to the prototypes' side, and embeddings as it gives."""
    import torch

    from models.network import RetrievalNetwork, round_weights

    weight = projection(material.rows[list(material.sides.prototypes)], dimension)
    whole = RetrievalNetwork(replace(network.spec, dimension=dimension))
    whole.trunk.load_state_dict(network.trunk.state_dict())
    head = torch.nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(weight))
        head.bias.zero_()
    whole.head = head
    if recipe.half_weights:
        round_weights(whole)
    kept: Rows = head.weight.detach().numpy()
    return whole.eval(), replace(material, rows=project(material.rows, kept))
