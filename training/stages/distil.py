"""Beyond the paper: a small network learns what a larger one says of photographs.

Types teach a network what tells those types apart, and little of types it has not seen. A larger
network trained on a million photographs says of every photograph how like it is to every other
one, with a firearm of known type, of unknown type, or none: so all of them can be learnt from.

Source: knowledge distillation (Hinton 2015) of embeddings and of the similarities between them
(Park 2019, relational knowledge distillation).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn
from torch.nn import functional

from models.network import RetrievalNetwork
from models.spec import NetworkSpec
from training.data.folders import every_image_as_query
from training.data.sets import RetrievalData
from training.errors import BadInput
from training.method.losses import distillation_loss
from training.stages.batch import Batch
from training.stages.chance import chance
from training.stages.fit import fit
from training.stages.readable import check_queries, check_types
from training.stages.settings import DistilSettings
from training.stages.stage import Embed
from training.stages.teacher import Rows, check_teacher, taught
from training.stages.validation import retrieval_figures

SCALE = 16.0
"""By which cosines to types are multiplied before the softmax."""

SMOOTHING = 0.1
"""Share of a label that is given to all types."""

FITTED = 4096
"""Photographs that the head begins with: enough for the directions that it has."""

RIDGE = 1e-3
"""Of the least squares, as a share of the mean square of the features along a direction."""

NO_TYPE = -1


def fit_distil(
    data: RetrievalData,
    network_spec: NetworkSpec,
    settings: DistilSettings,
    out: Path,
    console: Console,
    *,
    resume: bool = False,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Distil a teacher into a network and return what ``result.json`` holds.

    Args:
        data: All of ``train``, ``untyped`` and ``harmless`` are learnt from; the best network is
            the one that agrees most with the teacher on ``validation``.
        network_spec: What the network is made of.
        settings: Of the run.
        out: The run's directory.
        console: For progress.
        resume: Go on with the run in ``out`` if there is one.
        dry_run: Read everything, run a step of each kind, return the plan, and write no run.

    Raises:
        BadInput: Photographs, settings or the run's directory cannot be used.
        ModelError: The network or the teacher cannot be made.
    """
    _check(data, settings)
    check_teacher(settings)
    return fit(
        _Distil,
        data=data,
        spec=network_spec,
        settings=settings,
        out=out,
        console=console,
        resume=resume,
        dry_run=dry_run,
    )


class _Distil:
    """All photographs, what the teacher says of them, and queries to validate by."""

    name = "distil"
    # The order of few types is flat, and falls at times, long before the learner has learnt what
    # it can of the teacher.
    judged_by = "agreement"
    # To make it is to ask the teacher.
    light = False
    normalised = True

    def __init__(
        self, network: RetrievalNetwork, data: RetrievalData, settings: DistilSettings
    ) -> None:
        _check(data, settings)
        self._settings = settings
        # Two queries of each of a few types would choose by chance.
        self._validation = every_image_as_query(data.validation)
        self.photos = (*data.train, *data.untyped, *data.harmless)
        self.scenes = data.harmless
        self.measured = (*data.validation.queries, *data.validation.database)
        names = {name: n for n, name in enumerate(sorted({p.name for p in data.train}))}
        labels = [names[photo.name] for photo in data.train]
        labels += [NO_TYPE] * (len(self.photos) - len(labels))
        self._labels = torch.tensor(labels)
        self._firearms = len(data.train) + len(data.untyped)
        said = taught(self.photos, self._validation.database, settings, network.dimension)
        self._targets, self._expected = map(torch.from_numpy, said)
        self._linear = None if Path(settings.init).is_dir() else network.head
        if self._linear is not None:
            # It keeps the features' own cosines; ``begin`` turns them to the teacher's.
            nn.init.orthogonal_(self._linear.weight)
            nn.init.zeros_(self._linear.bias)
        self._types = nn.Linear(network.dimension, len(names), bias=False)
        with torch.no_grad():
            for label in names.values():
                self._types.weight[label] = self._targets[self._labels == label].mean(dim=0)
        self.head: nn.Module = self._types

    def begin(self, embed: Embed) -> None:
        """Let a new head say what the teacher says as nearly as it can before the trunk learns."""
        if self._linear is None:
            return
        order = chance(self._settings.seed, "begin").permutation(len(self.photos))
        places = np.sort(order[:FITTED])
        rows = embed([self.photos[place] for place in places])
        turn = torch.from_numpy(nearest(rows, self._targets[places].numpy()))
        with torch.no_grad():
            # Lengths do not matter to cosines, but to how much a step of the optimiser changes.
            length = float(np.linalg.norm(rows @ turn.numpy().T, axis=1).mean())
            self._linear.weight.copy_(turn.to(self._linear.weight) @ self._linear.weight / length)

    def batches(self, epoch: int) -> list[Batch]:
        """Return as many as all photographs fill; firearms are drawn twice as often as others."""
        size = self._settings.batch
        drawn = np.concatenate([np.arange(len(self.photos)), np.arange(self._firearms)])
        order = chance(self._settings.seed, "order", epoch).permutation(drawn).astype(np.int64)
        count = len(self.photos) // size
        return [Batch(order[n * size : (n + 1) * size]) for n in range(count)]

    def loss(self, vectors: Tensor, batch: Batch) -> Tensor:
        """Return what the network says otherwise than the teacher, and how it mistakes types."""
        settings, places = self._settings, torch.from_numpy(batch.places)
        targets = self._targets[places].to(vectors.device)
        loss = distillation_loss(vectors, targets, similarity_weight=settings.similarity_weight)
        labels = self._labels[places].to(vectors.device)
        typed = labels != NO_TYPE
        if settings.label_weight and bool(typed.any()):
            weight = functional.normalize(self._types.weight, dim=1)
            logits = SCALE * functional.linear(vectors[typed], weight)
            mistaken = functional.cross_entropy(logits, labels[typed], label_smoothing=SMOOTHING)
            loss = loss + settings.label_weight * mistaken
        return loss

    def figures(self, embed: Embed) -> Mapping[str, float]:
        """Return how the validation is ranked, and how far the teacher is agreed with there.

        ``agreement`` is 0 where the network says what the teacher says, and below it by the loss
        of embeddings and similarities where it does not.
        """
        photos, weight = self._validation.database, self._settings.similarity_weight
        rows = embed(photos)
        said = torch.from_numpy(rows)
        wrong = distillation_loss(said, self._expected, similarity_weight=weight)
        own = {photo.path: row for photo, row in zip(photos, rows, strict=True)}
        ranked = retrieval_figures(
            self._validation, lambda some: np.stack([own[p.path] for p in some])
        )
        return {"agreement": -float(wrong), **ranked}


def _check(data: RetrievalData, settings: DistilSettings) -> None:
    check_types(data.train, "learn from")
    check_queries(data.validation)
    if settings.harmless_per_batch:
        raise BadInput("distil learns from all of --harmless; leave out --harmless-per-batch")
    count = len(data.train) + len(data.untyped) + len(data.harmless)
    if count < settings.batch:
        raise BadInput(f"{count} photographs do not fill a batch; give a lower --batch")


def nearest(rows: Rows, targets: Rows) -> Rows:
    """Return the linear map that brings rows nearest to targets, by least squares with a ridge.

    Args:
        rows: float32[N, D].
        targets: float32[N, D].

    Returns:
        float32[D, D], to be multiplied with a row from the left.
    """
    wide = rows.astype(np.float64)
    products = wide.T @ wide
    ridge = RIDGE * np.trace(products) / len(products) * np.eye(len(products))
    found: Rows = np.linalg.solve(products + ridge, wide.T @ targets).T.astype(np.float32)
    return found
