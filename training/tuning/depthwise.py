"""Depthwise filters in float32 beneath bfloat16. Must not know samples or losses.

On CPUs the backward pass of a depthwise filter in bfloat16 takes several times as long as in
float32, while all other filters gain.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn


def widen_depthwise(module: nn.Module) -> None:
    """Have the depthwise filters of a module compute in float32 where it runs on a CPU.

    Args:
        module: Its weights and the names of its parameters stay as they are.
    """
    for child in module.modules():
        if isinstance(child, nn.Conv2d) and child.groups > 1:
            child.forward = _wide(child.forward)  # type: ignore[assignment,method-assign]


def _wide(forward: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def wide(images: Tensor) -> Tensor:
        if images.device.type != "cpu":
            return forward(images)
        with torch.autocast("cpu", enabled=False):
            return forward(images.float())

    return wide
