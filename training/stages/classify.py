"""Stage 1: learn to tell types as classes; only the network is kept, not the classifier.

Source: Hao et al., DeepFirearm, ICPR 2018, and its released code.
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn

from models.network import RetrievalNetwork
from models.spec import NetworkSpec
from training.data.sets import RetrievalData, classification_split
from training.errors import BadInput
from training.method.losses import class_weights, weighted_cross_entropy
from training.stages.batch import Batch
from training.stages.chance import chance
from training.stages.fit import fit
from training.stages.readable import check_types
from training.stages.settings import ClassifySettings
from training.stages.stage import Embed

LINEAR_STD = 0.01
"""Of the normal distribution that the released code draws the classifier's weights from; torch
draws them evenly, from ±1/√channels (±0.044 of VGG16's 512), and the bias too."""


def fit_classify(
    data: RetrievalData,
    network_spec: NetworkSpec,
    settings: ClassifySettings,
    out: Path,
    console: Console,
    *,
    resume: bool = False,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Train stage 1 and return what ``result.json`` holds.

    Args:
        data: Its ``classification`` is parted into photographs to learn from and to measure by.
        network_spec: What the network is made of; its input is what validation uses.
        settings: Of the run.
        out: The run's directory.
        console: For progress.
        resume: Go on with the run in ``out`` if there is one.
        dry_run: Read everything, run a step of each kind, return the plan, and write no run.

    Raises:
        BadInput: Photographs, settings or the run's directory cannot be used.
        ModelError: The network cannot be made.
    """
    check_types(data.classification, "learn classes of")
    return fit(
        _Classify,
        data=data,
        spec=network_spec,
        settings=settings,
        out=out,
        console=console,
        resume=resume,
        dry_run=dry_run,
    )


class _Classify:
    """Photographs of each type, in two parts, and a classifier on the pooled features."""

    name = "classify"
    judged_by = "accuracy"
    light = True
    normalised = False

    def __init__(
        self, network: RetrievalNetwork, data: RetrievalData, settings: ClassifySettings
    ) -> None:
        check_types(data.classification, "learn classes of")
        self._settings = settings
        learn, measure = classification_split(
            data.classification, share=settings.learn_share, seed=settings.seed
        )
        if not measure:
            raise BadInput("no photographs are left to validate on; give a lower --learn-share")
        harmless = data.harmless if settings.harmless_per_batch else ()
        if settings.harmless_per_batch and not harmless:
            raise BadInput("--harmless-per-batch needs photographs of --harmless")
        types = sorted({photo.name for photo in data.classification})
        kinds = sorted({photo.name for photo in harmless})
        self._types = {name: label for label, name in enumerate(types)}
        of_kind = {name: len(types) + n for n, name in enumerate(kinds)}
        learners = [data.classification[place] for place in learn]
        self.photos = (*learners, *harmless)
        self.scenes = data.harmless
        self.measured = tuple(data.classification[place] for place in measure)
        self._learners = len(learners)
        labels = [self._types[p.name] for p in learners] + [of_kind[p.name] for p in harmless]
        self._labels = torch.tensor(labels)
        counts = Counter(labels)
        self._weights = class_weights([counts[n] for n in range(len(types) + len(kinds))])
        self._linear = nn.Linear(network.dimension, len(types) + len(kinds))
        if settings.faithful:
            nn.init.normal_(self._linear.weight, std=LINEAR_STD)
            nn.init.zeros_(self._linear.bias)
        self.head: nn.Module = nn.Sequential(nn.Dropout(settings.dropout), self._linear)

    def begin(self, embed: Embed) -> None:
        """Leave the network as it is."""

    def batches(self, epoch: int) -> list[Batch]:
        """Return all photographs in an order of chance, with some harmless ones each."""
        settings = self._settings
        lot = chance(settings.seed, "order", epoch)
        order = lot.permutation(self._learners)
        harmless = np.arange(self._learners, len(self.photos))
        batches = []
        for begin in range(0, len(order), settings.batch):
            places = order[begin : begin + settings.batch]
            if settings.harmless_per_batch:
                drawn = lot.choice(harmless, min(settings.harmless_per_batch, len(harmless)), False)
                places = np.concatenate([places, drawn])
            batches.append(Batch(places.astype(np.int64)))
        return batches

    def loss(self, vectors: Tensor, batch: Batch) -> Tensor:
        """Return the cross-entropy, weighted as the settings say."""
        settings = self._settings
        labels = self._labels[torch.from_numpy(batch.places)].to(vectors.device)
        return weighted_cross_entropy(
            self.head(vectors * settings.feature_scale),
            labels,
            self._weights.to(vectors.device),
            cancel=settings.cancel_class_weights or not settings.class_weights,
        )

    def figures(self, embed: Embed) -> Mapping[str, float]:
        """Return the share of photographs whose type is right, over all and as types' mean."""
        truth = np.array([self._types[photo.name] for photo in self.measured])
        rows = torch.from_numpy(embed(self.measured)) * self._settings.feature_scale
        linear = self._linear
        weight, bias = (t.detach().float().cpu() for t in (linear.weight, linear.bias))
        right = (rows @ weight.T + bias).argmax(dim=1).numpy() == truth
        by_type = [right[truth == label].mean() for label in np.unique(truth)]
        return {
            "accuracy": float(right.mean()),
            "type_accuracy": float(np.mean(by_type)),
            "feature_length": float(rows.norm(dim=1).mean()),
        }
