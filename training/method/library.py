"""Objectives that pytorch-metric-learning computes. Imported late; must not know images."""

from typing import cast

import torch
from torch import Tensor, nn

from training.errors import BadInput
from training.method.catalogue import Figures
from training.method.objectives import ExactObjective

try:
    from pytorch_metric_learning import losses, miners
except ImportError as missing:
    raise BadInput(
        "this objective needs pytorch-metric-learning; install it: pip install "
        "'moderator[training]', or take contrastive-single or contrastive-double"
    ) from missing

NEAR_ONE = 1 - 1e-6
"""Largest cosine whose angle is asked for: at 1 the angle's slope is infinite, and NaN with it."""


class SafeArcFaceLoss(losses.ArcFaceLoss):  # type: ignore[misc]
    """ArcFace that stays finite when an embedding points exactly where its type's row does."""

    def get_angles(self, cosine_of_target_classes: Tensor) -> Tensor:
        """Return the angles of cosines float[N], in radians."""
        return torch.acos(cosine_of_target_classes.clamp(-NEAR_ONE, NEAR_ONE))


class LibraryObjective(ExactObjective):
    """A loss of the library, with a miner that chooses its pairs or triplets, or without.

    Args:
        loss: Of embeddings, labels and what the miner chose; it normalises embeddings itself.
        miner: Of embeddings and labels.
        classes: How many labels the loss keeps rows for; None where it only compares labels.
    """

    def __init__(
        self, loss: nn.Module, miner: nn.Module | None = None, classes: int | None = None
    ) -> None:
        super().__init__()
        self._loss = loss
        self._miner = miner
        self._classes = classes

    def cost(self, rows: Tensor, labels: Tensor) -> Tensor:
        """Return the loss; 0 where the miner chose nothing.

        Raises:
            ValueError: A label has no row.
        """
        if self._classes is not None:
            least, most = (int(label) for label in labels.aminmax())
            # A GPU would stop the process with an error that names neither.
            if least < 0 or most >= self._classes:
                wrong = least if least < 0 else most
                raise ValueError(f"the label {wrong} is not in 0..{self._classes - 1}")
        chosen = None if self._miner is None else self._miner(rows, labels)
        return cast(Tensor, self._loss(rows, labels, chosen))


def library_objective(
    name: str, dimension: int, classes: int, figures: Figures
) -> LibraryObjective:
    """Return one of the library's objectives, of figures as ``figures_of`` gives them.

    Raises:
        BadInput: There is no such objective, or fewer than two classes for one with rows.
    """
    if name == "triplet":
        return _triplet(float(figures["margin"]), str(figures["mining"]))
    numbers = cast(dict[str, float], figures)
    if name == "multi-similarity":
        return _multi_similarity(numbers)
    kinds = {
        "arcface": SafeArcFaceLoss,
        "cosface": losses.CosFaceLoss,
        "proxy-anchor": losses.ProxyAnchorLoss,
    }
    if name not in kinds:
        raise BadInput(f"pytorch-metric-learning computes no objective {name!r} here")
    _check_rows(name, dimension, classes)
    loss = kinds[name](num_classes=classes, embedding_size=dimension, **numbers)
    return LibraryObjective(loss, classes=classes)


def _triplet(margin: float, mining: str) -> LibraryObjective:
    miner = miners.TripletMarginMiner(margin=margin, type_of_triplets=mining)
    return LibraryObjective(losses.TripletMarginLoss(margin=margin), miner)


def _multi_similarity(figures: dict[str, float]) -> LibraryObjective:
    figures = dict(figures)
    miner = miners.MultiSimilarityMiner(epsilon=figures.pop("epsilon"))
    return LibraryObjective(losses.MultiSimilarityLoss(**figures), miner)


def _check_rows(name: str, dimension: int, classes: int) -> None:
    if dimension < 1 or classes < 2:
        raise BadInput(
            f"objective {name} needs two types and one dimension at least, not {classes} types "
            f"and {dimension} dimensions"
        )
