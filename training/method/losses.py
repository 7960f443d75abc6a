"""Losses over distances and over logits. Pure; must not know where pairs come from."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from training.method.catalogue import FARTHEST
from training.method.distance import exact

POSITIVE_MARGIN = 0.8
NEGATIVE_MARGIN = 1.2
"""The margins the paper chose."""


def check_margin(margin: float) -> None:
    """Raise ValueError unless a margin is above 0 and at most 2."""
    if not 0 < margin <= FARTHEST:
        raise ValueError(f"the margin {margin} is not above 0 and at most {FARTHEST:g}")


def check_margins(positive_margin: float, negative_margin: float) -> None:
    """Raise ValueError unless 0 ≤ positive margin ≤ negative margin ≤ 2."""
    if not 0 <= positive_margin <= negative_margin <= FARTHEST:
        raise ValueError(
            f"the margins are out of order: 0 <= positive_margin ({positive_margin}) <= "
            f"negative_margin ({negative_margin}) <= {FARTHEST:g} must hold"
        )


def single_margin_contrastive_loss(distance: Tensor, same_type: Tensor, *, margin: float) -> Tensor:
    """Mean single-margin contrastive loss over pairs: ½ [y d² + (1 − y) max(margin − d, 0)²].

    Args:
        distance: float[P], Euclidean distance between L2-normalised embeddings, in [0, 2].
        same_type: bool[P], whether both images of the pair show one type.
        margin: Distance over which a negative pair costs nothing, above 0 and at most 2.

    Returns:
        float[], the mean over pairs, of float32 at least; 0 without pairs.

    Raises:
        ValueError: The margin is out of range or the shapes differ.

    Source: Hao et al., DeepFirearm, ICPR 2018 (arXiv 1806.02984), after Hadsell et al. 2006.
    """
    check_margin(margin)
    return _mean_of_pairs(distance, same_type, 0.0, margin)


def double_margin_contrastive_loss(
    distance: Tensor,
    same_type: Tensor,
    *,
    positive_margin: float = POSITIVE_MARGIN,
    negative_margin: float = NEGATIVE_MARGIN,
) -> Tensor:
    """Mean double-margin contrastive loss over pairs.

    ½ [y max(d − positive_margin, 0)² + (1 − y) max(negative_margin − d, 0)²]

    Args:
        distance: float[P], Euclidean distance between L2-normalised embeddings, in [0, 2].
        same_type: bool[P], whether both images of the pair show one type.
        positive_margin: Distance under which a positive pair costs nothing.
        negative_margin: Distance over which a negative pair costs nothing; at least
            ``positive_margin``, at most 2.

    Returns:
        float[], the mean over pairs, of float32 at least; 0 without pairs.

    Raises:
        ValueError: The margins are out of order or the shapes differ.

    Source: Hao et al., DeepFirearm, ICPR 2018 (arXiv 1806.02984).
    """
    check_margins(positive_margin, negative_margin)
    return _mean_of_pairs(distance, same_type, positive_margin, negative_margin)


def triplet_loss(anchor_positive: Tensor, anchor_negative: Tensor, *, margin: float) -> Tensor:
    """Mean triplet loss: max(d(anchor, positive) − d(anchor, negative) + margin, 0).

    Args:
        anchor_positive: float[P], distances to images of the anchors' types, in [0, 2].
        anchor_negative: float[P], distances to images of other types, in [0, 2].
        margin: By how much the negative must be farther, above 0 and at most 2.

    Returns:
        float[], the mean over triplets, of float32 at least; 0 without triplets.

    Raises:
        ValueError: The margin is out of range or the shapes differ.

    Source: Schroff et al., FaceNet, CVPR 2015, on distances that are not squared. The paper
        compares with a triplet network but states neither its margin nor its exact form.
    """
    check_margin(margin)
    _check_columns(anchor_positive, anchor_negative)
    return _mean((exact(anchor_positive) - exact(anchor_negative) + margin).clamp(min=0))


def class_weights(counts: Sequence[int] | Tensor) -> Tensor:
    """Return the weight of each type, the more the fewer photographs it has.

    Args:
        counts: int[K], photographs of each type, at least 1.

    Returns:
        float32[K], (max n / n_k) / Σ_j (max n / n_j): they sum to 1.

    Raises:
        ValueError: There are no types, or one has no photograph.

    Source: the released code of Hao et al., DeepFirearm, ICPR 2018.
    """
    numbers = torch.as_tensor(counts, dtype=torch.float64)
    if numbers.ndim != 1 or not len(numbers) or bool((numbers < 1).any()):
        raise ValueError("each type needs at least one photograph to have a weight")
    shares = numbers.max() / numbers
    return (shares / shares.sum()).float()


def weighted_cross_entropy(
    logits: Tensor, labels: Tensor, weights: Tensor, *, cancel: bool
) -> Tensor:
    """Mean cross-entropy of a batch with a weight for each type.

    Args:
        logits: float[N, K].
        labels: int64[N], in 0..K-1.
        weights: float[K], above 0.
        cancel: Whether to weight as the released code does. It asks for the loss of one image at
            a time, and a weighted mean over one image divides by the very weight it multiplied
            with: all images count the same. Without it, the mean is over the batch, Σ w l / Σ w,
            as the paper's text has it.

    Returns:
        float[], of float32 at least; 0 without images.

    Source: Hao et al., DeepFirearm, ICPR 2018, text and released code.
    """
    rows = exact(logits)
    if not len(rows):
        return rows.sum()
    return functional.cross_entropy(rows, labels, None if cancel else weights.to(rows))


def _mean_of_pairs(
    distance: Tensor, same_type: Tensor, positive_margin: float, negative_margin: float
) -> Tensor:
    _check_columns(distance, same_type)
    far = exact(distance)
    too_far = (far - positive_margin).clamp(min=0)
    too_near = (negative_margin - far).clamp(min=0)
    return _mean(torch.where(same_type.bool(), too_far, too_near).square() / 2)


def _mean(losses: Tensor) -> Tensor:
    """Return the mean, or 0 that can still be differentiated where there is nothing."""
    return losses.mean() if len(losses) else losses.sum()


def _check_columns(first: Tensor, second: Tensor) -> None:
    # Columns of other lengths would be broadcast to all with all, and nobody would notice.
    if first.ndim != 1 or first.shape != second.shape:
        shapes = f"{list(first.shape)}, {list(second.shape)}"
        raise ValueError(f"two columns of one length are needed, not {shapes}")


def distillation_loss(rows: Tensor, targets: Tensor, *, similarity_weight: float) -> Tensor:
    """Mean of 1 − cos(row, target), plus the mean square by which similarities between rows differ.

    Args:
        rows: float[N, D], L2-normalised: the learner's.
        targets: float[N, D], L2-normalised: the teacher's of the same images.
        similarity_weight: Of the second term, the mean over all N² pairs.

    Returns:
        float[], at least 0.

    Raises:
        ValueError: The shapes differ.
    """
    if rows.shape != targets.shape:
        raise ValueError(f"rows {tuple(rows.shape)} and targets {tuple(targets.shape)} differ")
    near = 1 - (rows * targets).sum(dim=1)
    apart = rows @ rows.T - targets @ targets.T
    return near.mean() + similarity_weight * apart.square().mean()
