"""Stage 2: bring embeddings of one type together and push others apart.

Source: Hao et al., DeepFirearm, ICPR 2018, and its released code; balanced batches go beyond it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor, nn

from models.network import RetrievalNetwork
from models.spec import NetworkSpec
from training.data.sets import RetrievalData
from training.errors import BadInput
from training.method.batches import balanced_batches
from training.method.catalogue import figures_of
from training.method.distance import paired_distance
from training.method.losses import (
    double_margin_contrastive_loss,
    single_margin_contrastive_loss,
    triplet_loss,
)
from training.method.objectives import objective
from training.method.pairs import sample_pairs, sample_triplets
from training.stages.batch import Batch, Places
from training.stages.chance import chance
from training.stages.fit import fit
from training.stages.readable import check_queries, check_types
from training.stages.settings import RetrieveSettings
from training.stages.stage import Embed
from training.stages.validation import retrieval_figures


def fit_retrieve(
    data: RetrievalData,
    network_spec: NetworkSpec,
    settings: RetrieveSettings,
    out: Path,
    console: Console,
    *,
    resume: bool = False,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Train stage 2 and return what ``result.json`` holds.

    Args:
        data: Pairs are drawn from ``train``; the best network is chosen on ``validation``.
        network_spec: What the network is made of; its input is what validation uses.
        settings: Of the run; ``init`` names the weights, or the run, to begin with.
        out: The run's directory.
        console: For progress.
        resume: Go on with the run in ``out`` if there is one.
        dry_run: Read everything, run a step of each kind, return the plan, and write no run.

    Raises:
        BadInput: Photographs, settings or the run's directory cannot be used.
        ModelError: The network cannot be made.
    """
    check_types(data.train, "learn from")
    check_queries(data.validation)
    return fit(
        _Retrieve,
        data=data,
        spec=network_spec,
        settings=settings,
        out=out,
        console=console,
        resume=resume,
        dry_run=dry_run,
    )


class _Retrieve:
    """Photographs to pair, an objective, and queries to validate by."""

    name = "retrieve"
    judged_by = "map"
    light = True
    normalised = True

    def __init__(
        self, network: RetrievalNetwork, data: RetrievalData, settings: RetrieveSettings
    ) -> None:
        check_types(data.train, "learn from")
        check_queries(data.validation)
        self._settings = settings
        harmless = data.harmless if settings.harmless_per_batch else ()
        if settings.harmless_per_batch and not harmless:
            raise BadInput("--harmless-per-batch needs photographs of --harmless")
        self._validation = data.validation
        self.photos = (*data.train, *harmless)
        self.scenes = data.harmless
        self.measured = (*data.validation.queries, *data.validation.database)
        types = {name: n for n, name in enumerate(sorted({p.name for p in data.train}))}
        kinds = {name: len(types) + n for n, name in enumerate(sorted({p.name for p in harmless}))}
        self._labels = np.array(
            [types[p.name] for p in data.train] + [kinds[p.name] for p in harmless], np.int64
        )
        self._learners = len(data.train)
        self.head: nn.Module = nn.Identity()
        if settings.sampling == "balanced":
            self.head = objective(
                settings.objective,
                dimension=network.dimension,
                classes=len(types) + len(kinds),
                **dict(settings.figures),
            )

    def begin(self, embed: Embed) -> None:
        """Leave the network as it is."""

    def batches(self, epoch: int) -> list[Batch]:
        """Return pairs or triplets in the order drawn, or balanced batches."""
        settings = self._settings
        if settings.sampling == "balanced":
            return self._balanced(epoch)
        # Drawn anew every few epochs; in between they stay, in another order.
        drawn = chance(settings.seed, "draw", epoch // settings.regenerate_every)
        same: NDArray[np.bool_] | None = None
        labels = self._labels[: self._learners]
        if settings.sampling == "pairs":
            pairs = sample_pairs(
                labels,
                positives_per_type=settings.positives_per_type,
                negatives_per_type=settings.negatives_per_type,
                generator=drawn,
            )
            columns: tuple[Places, ...] = (pairs.first, pairs.second)
            same = pairs.same_type
        else:
            triplets = sample_triplets(
                labels, triplets_per_type=settings.positives_per_type, generator=drawn
            )
            columns = (triplets.anchor, triplets.positive, triplets.negative)
        order = chance(settings.seed, "order", epoch).permutation(len(columns[0]))
        parts = (order[n : n + settings.batch] for n in range(0, len(order), settings.batch))
        return [
            Batch.of_columns(
                [column[part] for column in columns],
                None if same is None else same[part],
                once=not settings.faithful,
            )
            for part in parts
        ]

    def loss(self, vectors: Tensor, batch: Batch) -> Tensor:
        """Return the mean over pairs or triplets, or the objective of the whole batch."""
        settings = self._settings
        if settings.sampling == "balanced":
            labels = torch.from_numpy(self._labels[batch.places]).to(vectors.device)
            loss: Tensor = self.head(vectors, labels)
            return loss
        sides = [vectors[torch.from_numpy(c).to(vectors.device)] for c in batch.columns]
        if batch.same_type is None:
            anchor, positive, negative = sides
            near, far = paired_distance(anchor, positive), paired_distance(anchor, negative)
            return triplet_loss(near, far, margin=self._figure("margin"))
        same = torch.from_numpy(batch.same_type).to(vectors.device)
        distance = paired_distance(*sides)
        if settings.objective == "contrastive-single":
            return single_margin_contrastive_loss(distance, same, margin=self._figure("margin"))
        return double_margin_contrastive_loss(
            distance,
            same,
            positive_margin=self._figure("positive_margin"),
            negative_margin=self._figure("negative_margin"),
        )

    def figures(self, embed: Embed) -> Mapping[str, float]:
        """Return the validation's mean average precision (the authors' rule) and recall at 1."""
        return retrieval_figures(self._validation, embed)

    def _figure(self, name: str) -> float:
        return float(figures_of(self._settings.objective, dict(self._settings.figures))[name])

    def _balanced(self, epoch: int) -> list[Batch]:
        settings = self._settings
        harmless = range(self._learners, len(self.photos))
        drawn = balanced_batches(
            self._labels[: self._learners],
            types_per_batch=settings.types_per_batch,
            images_per_type=settings.images_per_type,
            batches=settings.batches_per_epoch,
            generator=chance(settings.seed, "draw", epoch),
            extra=(harmless, settings.harmless_per_batch) if harmless else None,
        )
        return [Batch(np.array(places, np.int64)) for places in drawn]
