"""What an index says of held-out photographs, and the report made of it.

Joins the figures of ``training.report`` with material, prototypes and policy.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.index import PrototypeIndex
from models.policy import Policy
from models.prototypes import Prototypes
from models.spec import NetworkSpec
from models.types import Types
from training.calibration.figures import (
    lookalike_figures,
    small_figures,
    source_figures,
    type_budgets,
    types_told,
    without_regions,
)
from training.calibration.frames import Frames, evidence_of, flag_scores_of, look
from training.calibration.probability import crossed, measure, probabilities
from training.calibration.settings import PolicySettings
from training.calibration.thresholds import ceiling
from training.folder import Photo
from training.material import Material, rounded
from training.naming import known_families
from training.recipe import Recipe
from training.report import Judged, flag_figures, side_figures, type_figures, with_sides

FORMAT = "report/1"
DIGEST_DIGITS = 16
"""Hex digits of photographs' SHA-256, in prototypes' ids and in the report's lists."""


def prototype_id(name: str, digest: str) -> str:
    """Return the id of the prototype of a photograph."""
    return f"{name}/{digest[:DIGEST_DIGITS]}"


def look_at(
    settings: PolicySettings, material: Material, side: Sequence[int], index: PrototypeIndex
) -> Frames:
    """Ask an index about a side's photographs just as it is asked where it serves."""
    return look(
        index,
        material.described(side),
        neighbours=settings.neighbours,
        temperature=settings.temperature,
        lookalike_margin=settings.lookalike_margin,
    )


def firearms_of(photos: Sequence[Photo]) -> NDArray[np.bool_]:
    """Return bool[N], which photographs show a firearm."""
    return np.array([photo.firearm for photo in photos], np.bool_)


def make_report(
    recipe: Recipe,
    material: Material,
    *,
    prototypes: Prototypes,
    index: PrototypeIndex,
    policy: Policy,
    types: Types,
    frames: Frames,
    spec: NetworkSpec,
) -> dict[str, Any]:
    """Return the report of a release, plain JSON.

    Args:
        recipe: What it was made of.
        material: The photographs.
        prototypes: Those chosen.
        index: Of these prototypes.
        policy: The thresholds set.
        types: Families of the prototypes' types.
        frames: What the index says of the thresholds' side.
        spec: What the network is made of.
    """
    sides = material.sides
    judge = Judge(recipe.policy, policy, prototypes, types, recipe.coarse_prefix)
    return {
        "format": FORMAT,
        "notes": [*_notes(recipe, material), *recipe.notes],
        "recipe": recipe.to_json(),
        "network": spec.to_json(),
        "weights": _weights(recipe),
        "policy": policy.to_json(),
        "prototypes": _prototype_figures(material, prototypes),
        "threshold_photographs": {
            **side_summary(material, sides.threshold),
            "digests": [material.photos[n].digest[:DIGEST_DIGITS] for n in sides.threshold],
        },
        "test_photographs": side_summary(material, sides.test),
        "unreadable": list(material.unreadable),
        "dropped_near_copies": sides.dropped,
        **judge.report(frames, material, index),
    }


@dataclass(frozen=True, eq=False)
class Judge:
    """A policy with prototypes and types, to be measured on sides of held-out photographs."""

    settings: PolicySettings
    policy: Policy
    prototypes: Prototypes
    types: Types
    coarse_prefix: str = "coarse_"

    def report(self, frames: Frames, material: Material, index: PrototypeIndex) -> dict[str, Any]:
        """Return a report's ``figures`` and ``calibration``, of both sides.

        Args:
            frames: What the index says of the thresholds' side.
            material: The photographs.
            index: Of the prototypes.
        """
        held_out, test = material.sides.threshold, material.sides.test
        photos = _photos(material, held_out)
        types = self.types_ranked(material, held_out)
        figures = {"threshold": {**self.figures(frames, photos), "types": types}}
        calibration = {"threshold_halves": self.crossed(frames, photos)}
        if test:
            seen = look_at(self.settings, material, test, index)
            alone = without_regions(frames, firearms_of(photos), self.settings)
            types = self.types_ranked(material, test)
            told = self.figures(seen, _photos(material, test), alone)
            figures["test"] = {**told, "types": types}
            calibration["test"] = self._measured(seen, material, test)
        return {
            "figures": figures,
            "calibration": {"prior": self.settings.prior, **calibration},
        }

    def figures(
        self, frames: Frames, photos: Sequence[Photo], alone: Policy | None = None
    ) -> dict[str, Any]:
        """Return what the policy does with photographs, but for how well types are ranked.

        Args:
            frames: What is said of them.
            photos: Likewise.
            alone: The policy without regions; None: chosen on these very photographs.
        """
        policy = self.policy
        firearm, scores = firearms_of(photos), flag_scores_of(frames, policy)
        judged = Judged(
            names=tuple(photo.name for photo in photos),
            sources=tuple(photo.source for photo in photos),
            firearm=firearm,
            nearest=frames.nearest[frames.whole],
            scores=scores,
            highest=ceiling(policy),
        )
        families = known_families(self.types)
        every = {name: families.get(name) for name in self.types.names}
        right, told = types_told(frames, photos, policy, every, self._coarse(photos))
        alone = alone or without_regions(frames, firearm, self.settings)
        return {
            "flags": flag_figures(judged, policy.threshold, policy.near_miss),
            "types_as_served": told,
            "sources": source_figures(photos, scores, right, policy),
            "lookalikes": lookalike_figures(photos, scores, policy),
            "small_firearms": small_figures(frames, photos, policy, alone),
            "type_thresholds": type_budgets(frames, ~firearm, policy, self.settings),
        }

    def _measured(
        self, frames: Frames, material: Material, side: Sequence[int]
    ) -> dict[str, Any] | None:
        """Return how well the score is calibrated on a side that it was not fitted to."""
        scores = probabilities(self.policy, evidence_of(frames, self.policy))
        return measure(scores, firearms_of(_photos(material, side)), self.settings.prior)

    def crossed(self, frames: Frames, photos: Sequence[Photo]) -> dict[str, Any] | None:
        """Return how well such a score is calibrated, fitted and measured on halves of these."""
        evidence = evidence_of(frames, self.policy)
        return crossed(self.policy, evidence, photos, self.settings.prior)

    def types_ranked(self, material: Material, side: Sequence[int]) -> dict[str, Any]:
        """Return how well prototypes rank the types of a side, see ``type_figures``."""
        queries = [n for n in side if material.photos[n].firearm]
        photos = _photos(material, queries)
        kinds = self.prototypes.kinds
        places = [n for n, kind in enumerate(kinds) if kind == "firearm"]
        similarities = rounded(material.rows[queries]) @ self.prototypes.embeddings[places].T
        return type_figures(
            similarities,
            [photo.name for photo in photos],
            [self.prototypes.types[n] for n in places],
            known_families(self.types),
            coarse=self._coarse(photos),
        )

    def _coarse(self, photos: Sequence[Photo]) -> list[str]:
        every = {*(photo.name for photo in photos), *self.prototypes.types}
        return [name for name in every if name.startswith(self.coarse_prefix)]


def _photos(material: Material, side: Sequence[int]) -> list[Photo]:
    return [material.photos[n] for n in side]


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


def side_summary(material: Material, side: Sequence[int]) -> dict[str, Any]:
    """Return how many photographs of a side there are, by name and by source."""
    photos = _photos(material, side)
    return side_figures([photo.name for photo in photos], [photo.source for photo in photos])


def _notes(recipe: Recipe, material: Material) -> list[str]:
    notes = with_sides(())
    if recipe.run is not None:
        notes.append(
            "The network was trained: figures of photographs that it learnt from are better than "
            "they will be on others."
        )
    elif recipe.weights is None:
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
    if recipe.run is not None:
        # The manifest's digest of the network names it exactly.
        return {"name": recipe.run.resolve().name}
    if recipe.weights is None:
        return None
    path = Path(recipe.weights)
    if not path.is_file():
        return {"name": recipe.weights}
    return {"name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
