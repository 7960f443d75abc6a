"""Losses of labels that are known in part. Pure torch: no files, no networks."""

import torch
from torch import Tensor


def partial_label_loss(log_probabilities: Tensor, allowed: Tensor) -> Tensor:
    """Return the mean of -log of the probability that a sample is any of what it may be.

    Args:
        log_probabilities: float[N, K].
        allowed: bool[N, K], with at least one in each row.

    Returns:
        float[].
    """
    return -log_probabilities.masked_fill(~allowed, -torch.inf).logsumexp(-1).mean()


def flag_losses(log_probabilities: Tensor, firearm: Tensor, shown: Tensor) -> Tensor:
    """Return -log of the probability of any firearm where one is shown, else of none.

    Args:
        log_probabilities: float[..., K].
        firearm: bool[K], which classes are firearms.
        shown: bool[...].

    Returns:
        float[...].
    """
    yes = log_probabilities[..., firearm].logsumexp(-1)
    no = log_probabilities[..., ~firearm].logsumexp(-1)
    return -torch.where(shown, yes, no)


def window_loss(
    log_probabilities: Tensor,
    firearm: Tensor,
    labels: Tensor,
    *,
    firearm_weight: float,
    harmless_weight: float,
) -> Tensor:
    """Return the weighted means over windows with and without a firearm.

    Args:
        log_probabilities: float[N, R, K].
        firearm: bool[K], which classes are firearms.
        labels: int[N, R]: 1 a firearm, 0 none, below 0 not known.
        firearm_weight: Of the mean over windows with one.
        harmless_weight: Of the mean over windows without.

    Returns:
        float[]; 0 where nothing is known.
    """
    losses = flag_losses(log_probabilities, firearm, labels > 0)
    total = losses.new_zeros(())
    for label, weight in ((1, firearm_weight), (0, harmless_weight)):
        chosen = losses[labels == label]
        if len(chosen):
            total = total + weight * chosen.mean()
    return total
