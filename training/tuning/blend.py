"""Weights between what a module began with and what it has learnt. Must not know what it learns.

What a trunk learns of few sources of photographs serves those best; half way between it and what
the trunk began with, others are served better, at no cost in use (Wortsman et al., "Robust
fine-tuning of zero-shot models", CVPR 2022; figures are in ``training/results/tried.md``).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


class Blend:
    """What the parameters of a module were when this was made.

    Args:
        module: Its parameters, not its statistics, are what is blended.
        share: Of what they are by then, 0..1; the rest is of what they were.
    """

    def __init__(self, module: nn.Module, share: float) -> None:
        self._module, self._share = module, share
        self._began = {name: p.detach().clone() for name, p in module.named_parameters()}

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Let the module have the blend, and then again, to the bit, what it had."""
        parameters = dict(self._module.named_parameters())
        learnt = {name: p.detach().clone() for name, p in parameters.items()}
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.lerp_(self._began[name], 1 - self._share)
        try:
            yield
        finally:
            with torch.no_grad():
                for name, parameter in parameters.items():
                    parameter.copy_(learnt[name])
