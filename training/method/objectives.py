"""Objectives by name: what a batch of embeddings and its types cost. Must not know images."""

from collections.abc import Callable
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn

from training.method.catalogue import Figures, figures_of
from training.method.distance import exact, pairwise_distance
from training.method.losses import (
    double_margin_contrastive_loss,
    single_margin_contrastive_loss,
)

PairLoss = Callable[[Tensor, Tensor], Tensor]


class Objective(Protocol):
    """What training minimises; its parameters are trained with the network's, never released."""

    def __call__(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Return what a batch costs.

        Args:
            embeddings: float[N, D], any floating type, also inside autocast.
            labels: int64[N]; equal numbers are of one type.

        Returns:
            float[], of float32 at least; 0 that can be differentiated where nothing is to learn.
        """


class ExactObjective(nn.Module):
    """An objective whose sums are never in 16 bits, whatever the network computes in."""

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Return what a batch costs, see ``Objective``.

        Raises:
            ValueError: The shapes do not fit together, or a label is not one of the head's.
        """
        if embeddings.ndim != 2 or labels.shape != embeddings.shape[:1]:
            shapes = f"{list(embeddings.shape)}, {list(labels.shape)}"
            raise ValueError(f"N rows and N labels are needed, not {shapes}")
        # Autocast would do the products of similarities in 16 bits again.
        with torch.autocast(embeddings.device.type, enabled=False):
            rows = exact(embeddings)
            if not len(rows):
                return self.nothing(rows)
            return self.cost(rows, labels.to(rows.device))

    def cost(self, rows: Tensor, labels: Tensor) -> Tensor:
        """Return what float[N, D], N at least 1, and int64[N] cost."""
        raise NotImplementedError

    def nothing(self, rows: Tensor) -> Tensor:
        """Return 0 that depends on the rows and on all parameters."""
        return sum((each.sum() * 0 for each in self.parameters()), start=rows.sum() * 0)


class ContrastiveObjective(ExactObjective):
    """A contrastive loss over the pairs of a batch.

    Args:
        loss: Of distances float[P] and same type bool[P].
        mining: ``all``: the mean over all pairs, each once. ``balanced``: the mean of what
            positive and negative pairs cost, half each as in the paper's 180 + 180, however few
            positive pairs there are. ``hard``: of each photograph its farthest of its own type
            and its nearest of another, half each likewise (Hermans et al. 2017).
    """

    def __init__(self, loss: PairLoss, mining: str) -> None:
        super().__init__()
        self._loss = loss
        self._mining = mining

    def cost(self, rows: Tensor, labels: Tensor) -> Tensor:
        """Return the loss; a batch without positive pairs costs what its negative ones do."""
        distance = pairwise_distance(nn.functional.normalize(rows, dim=1))
        same = labels[:, None] == labels[None, :]
        if self._mining == "hard":
            return self._halves(*hardest(distance, same))
        first, second = torch.triu_indices(len(rows), len(rows), 1, device=rows.device)
        distance, same = distance[first, second], same[first, second]
        if self._mining == "balanced":
            return self._halves(distance[same], distance[~same])
        return self._loss(distance, same)

    def _halves(self, positives: Tensor, negatives: Tensor) -> Tensor:
        return (
            self._loss(positives, torch.ones_like(positives, dtype=torch.bool))
            + self._loss(negatives, torch.zeros_like(negatives, dtype=torch.bool))
        ) / 2


def hardest(distance: Tensor, same: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distances of each photograph's hardest pairs.

    Args:
        distance: float[N, N].
        same: bool[N, N], whether two are of one type.

    Returns:
        The farthest of the own type, float[P], and the nearest of another, float[M]; photographs
        that have none are left out.
    """
    positive = same & ~torch.eye(len(same), dtype=torch.bool, device=same.device)
    farthest = distance.masked_fill(~positive, -torch.inf).amax(dim=1)
    nearest = distance.masked_fill(same, torch.inf).amin(dim=1)
    return farthest[positive.any(dim=1)], nearest[~same.all(dim=1)]


def objective(name: str, *, dimension: int, classes: int, **figures: float | str) -> nn.Module:
    """Return an objective, see ``Objective`` for how it is called.

    Contrastive losses, triplets and multi-similarity only compare labels, so a harmless
    photograph with a label of its own is a negative for all others. ArcFace, CosFace and proxies
    keep a row for each label, drawn from torch's global generator, and take labels in
    0..classes-1 only.

    Args:
        name: One of ``training.method.catalogue.OBJECTIVES``.
        dimension: Of the embeddings.
        classes: Types, and kinds of harmless photographs beyond them.
        figures: See ``OBJECTIVES``; defaults for those not given.

    Raises:
        BadInput: There is no such objective or figure, a figure is out of range, or a package is
            missing.
    """
    given = figures_of(name, figures)
    if name in {"contrastive-single", "contrastive-double"}:
        return _contrastive(given)
    from training.method.library import library_objective

    return library_objective(name, dimension, classes, given)


def _contrastive(figures: Figures) -> ContrastiveObjective:
    mining = str(figures["mining"])
    loss: PairLoss
    if "margin" in figures:
        loss = partial(single_margin_contrastive_loss, margin=float(figures["margin"]))
    else:
        positive, negative = float(figures["positive_margin"]), float(figures["negative_margin"])
        loss = partial(
            double_margin_contrastive_loss, positive_margin=positive, negative_margin=negative
        )
    return ContrastiveObjective(loss, mining)
