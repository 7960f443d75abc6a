"""What an index says of held-out photographs, and the report made of it.

Joins the figures of ``training.report`` with material, prototypes and policy.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.index import Neighbours, PrototypeIndex
from models.policy import Policy
from models.prototypes import Prototypes
from models.types import Types
from training.material import Material, rounded
from training.recipe import Recipe
from training.report import Judged, flag_figures, side_figures, type_figures
from training.threshold import flag_scores

FORMAT = "report/1"
DIGEST_DIGITS = 16
"""Hex digits of photographs' SHA-256, in prototypes' ids and in the report's lists."""


def prototype_id(name: str, digest: str) -> str:
    """Return the id of the prototype of a photograph."""
    return f"{name}/{digest[:DIGEST_DIGITS]}"


def judge(recipe: Recipe, material: Material, side: Sequence[int], index: PrototypeIndex) -> Judged:
    """Ask an index about a side's photographs just as it is asked where it serves."""
    found = index.query(rounded(material.rows[list(side)]), recipe.neighbours)
    nearest = np.array([_best(each, "firearm") for each in found], np.float64)
    lookalike = np.array([_best(each, "lookalike") for each in found], np.float64)
    photos = [material.photos[n] for n in side]
    return Judged(
        names=tuple(photo.name for photo in photos),
        sources=tuple(photo.source for photo in photos),
        firearm=np.array([photo.firearm for photo in photos], np.bool_),
        nearest=nearest,
        scores=flag_scores(nearest, lookalike, recipe.lookalike_margin),
    )


def _best(neighbours: Neighbours, kind: str) -> float:
    rows = zip(neighbours.kinds, neighbours.similarities.tolist(), strict=True)
    return max((similarity for its_kind, similarity in rows if its_kind == kind), default=-1.0)


def make_report(
    recipe: Recipe,
    material: Material,
    *,
    prototypes: Prototypes,
    index: PrototypeIndex,
    policy: Policy,
    types: Types,
) -> dict[str, Any]:
    """Return the report of a release, plain JSON.

    Args:
        recipe: What it was made of.
        material: The photographs.
        prototypes: Those chosen.
        index: Of these prototypes.
        policy: The thresholds set.
        types: Families of the prototypes' types.
    """
    sides = material.sides
    figures: dict[str, Any] = {}
    for name, side in (("threshold", sides.threshold), ("test", sides.test)):
        if side:
            judged = judge(recipe, material, side, index)
            figures[name] = {
                "flags": flag_figures(judged, policy.threshold, policy.near_miss),
                "types": _types(recipe, material, side, prototypes, types),
            }
    return {
        "format": FORMAT,
        "notes": [*_notes(recipe, material), *recipe.notes],
        "recipe": recipe.to_json(),
        "weights": _weights(recipe),
        "policy": policy.to_json(),
        "prototypes": _prototype_figures(material, prototypes),
        "threshold_photographs": {
            **_side(material, sides.threshold),
            "digests": [material.photos[n].digest[:DIGEST_DIGITS] for n in sides.threshold],
        },
        "test_photographs": _side(material, sides.test),
        "unreadable": list(material.unreadable),
        "dropped_near_copies": sides.dropped,
        "figures": figures,
    }


def _types(
    recipe: Recipe,
    material: Material,
    side: Sequence[int],
    prototypes: Prototypes,
    types: Types,
) -> dict[str, Any]:
    queries = [n for n in side if material.photos[n].firearm]
    names = [material.photos[n].name for n in queries]
    places = [n for n, kind in enumerate(prototypes.kinds) if kind == "firearm"]
    similarities = rounded(material.rows[queries]) @ prototypes.embeddings[places].T
    every = {*names, *prototypes.types}
    return type_figures(
        similarities,
        names,
        [prototypes.types[n] for n in places],
        {name: types.family(name) for name in types.names},
        coarse=[name for name in every if name.startswith(recipe.coarse_prefix)],
    )


def _prototype_figures(material: Material, prototypes: Prototypes) -> dict[str, Any]:
    by_id = {
        prototype_id(photo.name, photo.digest): photo
        for photo in (material.photos[n] for n in material.sides.prototypes)
    }
    chosen = [by_id[name] for name in prototypes.ids]
    parts = {"firearms": True, "lookalikes": False}
    return {
        "chosen_from": len(material.sides.prototypes),
        **{
            part: side_figures(
                [photo.name for photo in chosen if photo.firearm == firearm],
                [photo.source for photo in chosen if photo.firearm == firearm],
            )
            for part, firearm in parts.items()
        },
    }


def _side(material: Material, side: Sequence[int]) -> dict[str, Any]:
    photos = [material.photos[n] for n in side]
    return side_figures([photo.name for photo in photos], [photo.source for photo in photos])


def _notes(recipe: Recipe, material: Material) -> list[str]:
    notes = [
        "recall_at_false_flags chooses its thresholds on the very photographs it reports; "
        "at_threshold is what this release does."
    ]
    if recipe.weights is None:
        notes.append("The backbone's weights are random: nothing is recognised but near copies.")
    if all(photo.source is None for photo in material.photos):
        notes.append(
            "No sources were known: photographs of one maker are on both sides, which makes the "
            "figures better than they will be on photographs from elsewhere."
        )
    if not any(not material.photos[n].firearm for n in material.sides.threshold):
        notes.append(
            "There was nothing harmless to set the threshold with: how often it flags harmless "
            "photographs is not known."
        )
    return notes


def _weights(recipe: Recipe) -> dict[str, str] | None:
    if recipe.weights is None:
        return None
    path = Path(recipe.weights)
    if not path.is_file():
        return {"name": recipe.weights}
    return {"name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
