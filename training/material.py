"""The photographs of a release with their embeddings and sides, and the network that gave them.

Must not know prototypes, thresholds or reports.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from models.spec import InputSpec, NetworkSpec
from training.embedding import describe, embed
from training.errors import BadInput
from training.folder import Photo, read_photos, with_groups
from training.head import project, projection
from training.leftout import unreadable
from training.progress import progress
from training.recipe import SIZES, Recipe
from training.splits import Sides, split

if TYPE_CHECKING:
    from models.network import RetrievalNetwork

Rows = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Material:
    """Readable photographs, their embeddings float32[N, D], and their sides.

    ``unreadable`` tells of each of the others which it is and why. ``regions`` holds by place,
    for the photographs that are judged, embeddings float32[R, D] of their regions.
    """

    photos: tuple[Photo, ...]
    rows: Rows
    sides: Sides
    unreadable: tuple[str, ...]
    regions: Mapping[int, Rows] = field(default_factory=dict)

    def described(self, side: Sequence[int]) -> list[Rows]:
        """Return for each photograph of a side float32[1 + R, D], as caches give it back."""
        none = self.rows[:0]
        return [rounded(np.concatenate([self.rows[[n]], self.regions.get(n, none)])) for n in side]


def gather(
    recipe: Recipe,
    console: Console,
    *,
    check: Callable[["RetrievalNetwork"], None] = lambda _: None,
) -> tuple["RetrievalNetwork", Material]:
    """Read, split and embed a recipe's photographs.

    Args:
        recipe: Of a release.
        console: For progress and what was found.
        check: Called with the network before anything is embedded; may refuse it.

    Returns:
        The network that embeds so, in evaluation mode and fit for a release, and the material.

    Raises:
        BadInput: Photographs, tables or options cannot be used.
        BadNetwork: The network cannot be made.
    """
    photos = gathered_photos(recipe.images, recipe.lookalikes, recipe.groups)
    sides = _split(recipe, photos)
    network = _network(recipe)
    check(network)
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


def gathered_photos(images: Path, lookalikes: Path | None, groups: Path | None) -> list[Photo]:
    """List the photographs of folders, with what a table of groups says of them.

    Raises:
        BadInput: Folders or table cannot be used.
    """
    photos = read_photos(images, firearm=True)
    if lookalikes is not None:
        photos += read_photos(lookalikes, firearm=False)
    return photos if groups is None else with_groups(photos, groups)


def _split(recipe: Recipe, photos: Sequence[Photo]) -> Sides:
    return split(
        photos,
        threshold_sources=recipe.threshold_sources,
        test_sources=recipe.test_sources,
        share=recipe.share,
        seed=recipe.seed,
    )


def _network(recipe: Recipe) -> "RetrievalNetwork":
    """Return the run's network, or make one without its head, in evaluation mode."""
    from models.network import RetrievalNetwork, round_weights
    from models.weights import load_backbone_weights

    if recipe.run is not None:
        network = _trained(recipe, recipe.run)
    else:
        spec = NetworkSpec(
            backbone=recipe.backbone,
            pooling=recipe.pooling,
            gem_power=recipe.gem_power,
            dimension=None,
            input=InputSpec(recipe.sizes or SIZES, recipe.mean, recipe.std),
            regions=recipe.regions or (),
        )
        network = RetrievalNetwork(spec)
        load_backbone_weights(network.trunk, recipe.backbone, recipe.weights)
    if recipe.half_weights:
        round_weights(network)
    return network.eval()


def _trained(recipe: Recipe, run: Path) -> "RetrievalNetwork":
    """Return the network of a run, with the sizes and regions of the recipe if it has any."""
    from models.network import RetrievalNetwork
    from training.stages.trained import load_trained

    network = load_trained(run)
    known = network.spec
    spec = replace(
        known,
        input=replace(known.input, sizes=recipe.sizes or known.input.sizes),
        regions=known.regions if recipe.regions is None else recipe.regions,
    )
    if spec == known:
        return network
    changed = RetrievalNetwork(spec)
    changed.load_state_dict(network.state_dict())
    return changed


def _embedded(
    photos: Sequence[Photo],
    sides: Sides,
    network: "RetrievalNetwork",
    console: Console,
) -> Material:
    """Embed all photographs and tell of those that cannot be read."""
    judged = {*sides.threshold, *sides.test} if network.spec.regions else set()
    rows, regions, failed = embed_with_regions(network, photos, judged, console)
    kept = [n for n in range(len(photos)) if n not in failed]
    places = {old: new for new, old in enumerate(kept)}
    prototypes, threshold, test = (
        tuple(places[n] for n in side if n in places)
        for side in (sides.prototypes, sides.threshold, sides.test)
    )
    material = Material(
        photos=tuple(photos[n] for n in kept),
        rows=rows[kept],
        sides=Sides(prototypes, threshold, test, sides.dropped),
        unreadable=tuple(failed.values()),
        regions={places[n]: its for n, its in regions.items()},
    )
    for side in ("prototypes", "threshold"):
        if not any(material.photos[n].firearm for n in getattr(material.sides, side)):
            raise BadInput(f"no readable firearm is left for the {side}; see what was left out")
    return material


def embed_with_regions(
    network: "RetrievalNetwork",
    photos: Sequence[Photo],
    judged: Collection[int],
    console: Console,
) -> tuple[Rows, dict[int, Rows], dict[int, str]]:
    """Embed photographs, and the regions of those at some places; tell of what cannot be read.

    Args:
        network: In evaluation mode; not changed.
        photos: All of them.
        judged: Places of those whose regions are needed as well.
        console: For progress and what cannot be read.

    Returns:
        Embeddings float32[N, D]; by place float32[R, D] of regions; by place what cannot be read
        and why.
    """
    from models.serving import for_serving

    fast = for_serving(network)
    plain, parted = (
        [n for n in range(len(photos)) if (n in judged) == wanted] for wanted in (False, True)
    )
    rows = np.zeros((len(photos), fast.dimension), np.float32)
    regions: dict[int, Rows] = {}
    failed: dict[int, str] = {}
    with progress(console, "embedding photographs", len(photos)) as advance:
        paths = [photos[n].path for n in plain]
        embedded = embed(fast, paths, network.spec.input, advance=advance)
        rows[plain] = embedded.rows
        failed.update((plain[n], why) for n, why in embedded.unreadable.items())
        paths = [photos[n].path for n in parted]
        described = describe(fast, paths, network.spec.input, advance=advance)
        failed.update((parted[n], why) for n, why in described.unreadable.items())
        for place, its in zip(parted, described.rows, strict=True):
            if place not in failed:
                rows[place], regions[place] = its[0], its[1:]
    told = {n: f"{photos[n].name}/{photos[n].path.name}: {failed[n]}" for n in sorted(failed)}
    unreadable(list(told.values()), len(photos), console)
    return rows, regions, told


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
    regions = {place: project(rows, kept) for place, rows in material.regions.items()}
    return whole.eval(), replace(material, rows=project(material.rows, kept), regions=regions)
