"""Which parameters learn, how fast, and by which rule. Must not know images or losses."""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from models.network import RetrievalNetwork
from training.errors import BadInput
from training.stages.settings import Settings


def parts(trunk: nn.Module) -> list[nn.Module]:
    """Return the parts of a trunk, lowest first: its children, sequences taken apart to the last.

    So a part is a filter, a norm, or a block that is more than its own parts in a row.
    """
    children = list(trunk.children())
    while len(children) == 1:
        children = list(children[0].children())
    return list(_apart(children))


def _apart(children: Iterable[nn.Module]) -> Iterator[nn.Module]:
    for child in children:
        if isinstance(child, nn.Sequential) and len(child):
            yield from _apart(child)
        else:
            yield child


def freeze(network: RetrievalNetwork, settings: Settings) -> None:
    """Let the lowest parts of the trunk learn nothing.

    Raises:
        BadInput: There are not as many.
    """
    lowest = parts(network.trunk)
    if settings.freeze > len(lowest):
        raise BadInput(
            f"--freeze {settings.freeze} is more than the {len(lowest)} parts of "
            f"{network.spec.backbone}"
        )
    for part in lowest[: settings.freeze]:
        part.requires_grad_(False)


def learning_mode(network: RetrievalNetwork, settings: Settings) -> None:
    """Bring a network into training mode, all but what stays as it is."""
    network.train()
    for part in parts(network.trunk)[: settings.freeze]:
        part.eval()
    if settings.freeze_norms:
        for module in network.modules():
            if isinstance(module, _BatchNorm):
                module.eval()


def named_learning(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield the parameters that learn, always in the same order."""
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            yield name, parameter


def make_optimiser(model: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    """Return the optimiser of all that learns.

    Args:
        model: Names under ``network.trunk.`` have the base rate, all others the head's.
        settings: Of the run.

    Raises:
        BadInput: Nothing learns.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in named_learning(model):
        head = not name.startswith("network.trunk.")
        decays = settings.optimiser == "sgd" or parameter.ndim >= 2
        groups.setdefault((head, decays), []).append(parameter)
    if not groups:
        raise BadInput("nothing is left to learn; give a lower --freeze")
    given: list[dict[str, Any]] = [
        {
            "params": parameters,
            "factor": settings.head_lr_factor if head else 1.0,
            "weight_decay": settings.weight_decay if decays else 0.0,
        }
        for (head, decays), parameters in groups.items()
    ]
    if settings.optimiser == "sgd":
        return torch.optim.SGD(given, lr=settings.lr, momentum=settings.momentum)
    return torch.optim.AdamW(given, lr=settings.lr, betas=(settings.momentum, 0.999))


def rate(settings: Settings, epoch: float) -> float:
    """Return the learning rate at a point of the run.

    Args:
        settings: Of the run.
        epoch: Epochs done, with the share of the one that is under way.
    """
    warm = min(1.0, epoch / settings.warmup_epochs) if settings.warmup_epochs else 1.0
    if settings.schedule == "step":
        fall = settings.step_factor ** (int(epoch) // settings.step_epochs)
    elif settings.schedule == "cosine":
        fall = (1 + math.cos(math.pi * min(1.0, epoch / settings.epochs))) / 2
    else:
        fall = 1.0
    return settings.lr * warm * fall


def set_rate(optimiser: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of each group to its factor times this."""
    for group in optimiser.param_groups:
        group["lr"] = lr * group["factor"]


def optimiser_tensors(model: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return an optimiser's memory by names of parameters, as ``restore`` takes it."""
    found = {}
    for name, parameter in named_learning(model):
        for key, value in optimiser.state.get(parameter, {}).items():
            if isinstance(value, Tensor):
                found[f"{name}/{key}"] = value.detach()
    return found


def restore(
    model: nn.Module, optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]
) -> None:
    """Give an optimiser the memory that ``optimiser_tensors`` returned."""
    parameters = dict(named_learning(model))
    for name, tensor in tensors.items():
        owner, key = name.rsplit("/", 1)
        parameter = parameters[owner]
        # AdamW counts steps on the CPU, whatever the parameter's device.
        place = tensor.device if key == "step" else parameter.device
        value = tensor.to(place)
        if value.shape == parameter.shape:
            value = torch.empty_like(parameter).copy_(value)
        optimiser.state[parameter][key] = value
