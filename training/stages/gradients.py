"""The gradients of one batch, whatever the number of processes. Must not know files or schedules.

Every process embeds its share of the rows; the vectors of all are put together, so that all
compute the same loss of the whole batch; then each takes the gradient of its own rows back through
the network. Sums over processes are then what a single process would have computed.
"""

import numpy as np
import torch
from torch import Tensor, nn

from models.network import RetrievalNetwork
from training.stages.chance import number
from training.stages.feed import Ready
from training.stages.parallel import World
from training.stages.settings import Settings
from training.stages.stage import Stage
from training.stages.vectors import autocast, vectors


class Model(nn.Module):
    """The network and what learns beside it, under names that never change."""

    def __init__(self, network: RetrievalNetwork, head: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.head = head


def add_gradients(
    model: Model,
    stage: Stage,
    ready: Ready,
    settings: Settings,
    world: World,
    *,
    epoch: int,
    weight: float,
) -> float:
    """Add a batch's gradients to those there are; they are not yet summed over processes.

    Args:
        model: In training mode.
        stage: Whose loss it is.
        ready: The batch, with this process's share of pictures.
        settings: Of the run.
        world: The processes.
        epoch: From 0.
        weight: By which the loss is multiplied before its gradient is taken.

    Returns:
        The loss of the whole batch, without the weight.
    """
    # Chance inside networks (dropout) depends on the position only; see ``chance``.
    torch.manual_seed(number(settings.seed, "trunk", epoch, ready.step, world.rank))
    own = _own_vectors(model.network, ready, settings, stage)
    rows = torch.from_numpy(_rows(ready)).to(world.device)
    whole = torch.zeros(len(ready.batch.places), own.shape[1], device=world.device)
    whole[rows] = own.detach()
    world.add_up([whole])
    whole.requires_grad_()
    # The same on all processes, so that their heads drop the same.
    torch.manual_seed(number(settings.seed, "head", epoch, ready.step))
    loss = stage.loss(whole, ready.batch)
    (loss * weight).backward()  # type: ignore[no-untyped-call]
    if len(rows) and own.requires_grad and whole.grad is not None:
        own.backward(whole.grad[rows])  # type: ignore[no-untyped-call]
    return float(loss.detach())


def sum_gradients(model: Model, world: World) -> None:
    """Sum the network's gradients over processes; the head's are the same on all already."""
    if world.size == 1:
        return
    for parameters, join in (
        (model.network.parameters(), world.add_up),
        (model.head.parameters(), world.agree),
    ):
        gradients = []
        for parameter in parameters:
            if parameter.requires_grad:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                gradients.append(parameter.grad)
        join(gradients)


def agree_on_statistics(model: Model, world: World) -> None:
    """Give all processes the mean of their batch norms' statistics."""
    if world.size > 1:
        world.agree([b for b in model.network.buffers() if b.is_floating_point()])


def _own_vectors(
    network: RetrievalNetwork, ready: Ready, settings: Settings, stage: Stage
) -> Tensor:
    if not ready.buckets:
        return torch.zeros(0, network.dimension, device=network.device)
    # One context for all buckets: weights are brought to the precision once.
    with autocast(network.device, settings.precision):
        found = [
            vectors(network, bucket.pixels, settings.precision, normalised=stage.normalised)
            for bucket in ready.buckets
        ]
    return torch.cat(found)


def _rows(ready: Ready) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    if not ready.buckets:
        return np.zeros(0, np.int64)
    return np.concatenate([bucket.rows for bucket in ready.buckets])
