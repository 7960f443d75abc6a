"""The methods that are compared, as settings of the two stages. Plain data; must not know torch.

The paper trains VGG16 for 50 + 30 epochs of 128 images and 64 pairs, at 256 to 384 pixels: days
on a processor. ``PAPER`` is its schedule, for a GPU. ``SCALED`` is one for two processor cores and
SqueezeNet; what differs, and by how much, stands beside each figure. Margins, augmentation,
pairing, the proportions of the rate's steps and the choice by validation are the paper's. The
optimiser is not: SqueezeNet's maxima are some 1,100 long, and with them the paper's SGD makes
stage 1 collapse and leaves stage 2 nearly where it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from training.stages.settings import (
    ClassifySettings,
    DistilSettings,
    RetrieveSettings,
    Settings,
)

SINGLE_MARGIN = 1.1
ONE_STAGE = (("positive_margin", 0.6), ("negative_margin", 0.8))
"""Margins of the one-stage networks, as far as they can be inferred from the paper's figures."""

OFF_THE_SHELF = ("mac", "spoc", "gem")
"""Methods without training; each is called as its pooling."""


@dataclass(frozen=True)
class Schedule:
    """How long the methods train, and on how large pictures.

    Args:
        classify: Fields of ``ClassifySettings`` that differ from the paper's.
        retrieve: Fields of ``RetrieveSettings`` that differ from the paper's.
        beyond: Fields of ``RetrieveSettings`` of a method that the paper does not have.
        distil: Fields of ``DistilSettings`` of another one.
    """

    classify: Mapping[str, Any]
    retrieve: Mapping[str, Any]
    beyond: Mapping[str, Any]
    distil: Mapping[str, Any]


@dataclass(frozen=True)
class Method:
    """A way to train.

    Args:
        label: The row of the paper's tables; see ``training.ranking.paper``.
        settings: Of its last stage; ``init`` is filled in for each split.
        pooling: Of its network.
        dimension: Of its linear head; None: no head.
        after: Label of the method whose network it begins with; None: ImageNet's.
        neighbours: That it is measured with; see ``training.ranking.neighbours``.
        network: Label of the method whose network it measures; None: its own.
    """

    label: str
    settings: Settings
    pooling: str = "mac"
    dimension: int | None = None
    after: str | None = None
    neighbours: int = 0
    network: str | None = None


BEYOND: Mapping[str, Any] = {
    "optimiser": "adamw",
    "objective": "multi-similarity",
    "sampling": "balanced",
    "types_per_batch": 12,
    "images_per_type": 4,
    "batches_per_epoch": 40,
    "epochs": 6,
    "augmentation": "strong",
    "schedule": "cosine",
    "lr": 1e-4,
    "weight_decay": 0.01,
}
"""Of a method that the paper does not have, whatever the size of pictures."""

PAPER = Schedule(
    classify={},
    retrieve={},
    beyond=BEYOND,
    # It learns at the size that it is measured at.
    distil={"smallest": RetrieveSettings.paper().largest},
)

COMMON: Mapping[str, Any] = {
    # 256..384 in steps of 8 in the paper: scaled by 0.42.
    "smallest": 112,
    "largest": 160,
    "size_step": 16,
    "precision": "bfloat16",
    # SGD at 1e-3 in the paper.
    "optimiser": "adamw",
}

SCALED = Schedule(
    classify={
        **COMMON,
        "lr": 1e-4,
        "head_lr_factor": 10.0,
        "feature_scale": 0.02,
        # 50 and 30 in the paper: the rate falls as late, after three fifths.
        "epochs": 10,
        "step_epochs": 6,
        # 128 in the paper's text, 64 in its code: more steps of as few photographs.
        "batch": 32,
    },
    retrieve={
        **COMMON,
        "lr": 2e-5,
        # 30, 10 and 5 in the paper.
        "epochs": 6,
        "step_epochs": 2,
        "regenerate_every": 1,
        # 180 each in the paper: scaled by 0.11.
        "positives_per_type": 20,
        "negatives_per_type": 20,
        # 64 pairs in the paper.
        "batch": 32,
    },
    beyond={**BEYOND, **COMMON},
    distil={
        **COMMON,
        # It learns at the size that it is measured at.
        "smallest": 160,
    },
)

SCHEDULES: Mapping[str, Schedule] = {"scaled": SCALED, "paper": PAPER}

NEIGHBOURS = 20
"""On the validation types of five splits, averaged twice, 20 are better than 10 on three and worse
on one; see ``training/results/tried.md``."""


def methods(schedule: Schedule) -> tuple[Method, ...]:
    """Return the trained methods, each after the one it begins with."""

    def retrieve(**changes: Any) -> RetrieveSettings:
        return RetrieveSettings(**{**schedule.retrieve, **changes})

    single: dict[str, Any] = {
        "objective": "contrastive-single",
        "figures": (("margin", SINGLE_MARGIN),),
    }
    distil = DistilSettings(**schedule.distil)
    triplets: dict[str, Any] = {"objective": "triplet", "sampling": "triplets"}
    return (
        Method("single", retrieve(**single)),
        Method("double", retrieve(figures=ONE_STAGE)),
        Method("cls", ClassifySettings(**schedule.classify)),
        Method("cls+single", retrieve(**single), after="cls"),
        Method("cls+double", retrieve(), after="cls"),
        Method("triplet", retrieve(**triplets), after="cls"),
        Method("multi-similarity", RetrieveSettings(**schedule.beyond), pooling="gem"),
        Method("distilled", distil, pooling="gem", dimension=512),
        Method("cls+double+neighbours", retrieve(), network="cls+double", neighbours=NEIGHBOURS),
        Method(
            "distilled+neighbours",
            distil,
            pooling="gem",
            dimension=512,
            network="distilled",
            neighbours=NEIGHBOURS,
        ),
    )


def pairs_shown(settings: RetrieveSettings, types: int) -> int:
    """Return how many pairs a run on so many types learns from, over all its epochs.

    A pair that is shown in several epochs counts in each.
    """
    return settings.epochs * types * (settings.positives_per_type + settings.negatives_per_type)
