"""A network made fast for evaluation: batch norms folded into convolutions, channels last.

Measured with MobileNetV2, 224 px, one thread: 13.6 ms an image instead of 20.6 in batches of 8,
17.9 instead of 30.6 in batches of 32. Knows nothing of releases.
"""

import copy
from collections import Counter
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from models.network import RetrievalNetwork

FOLDING_ERROR = 1e-5
"""Largest difference in an embedding's numbers that folding may make; else it is left."""


def for_serving(network: RetrievalNetwork) -> RetrievalNetwork:
    """Return a copy in evaluation mode that gives the same embeddings (to 1e-5) sooner.

    So it does for regions. Its tensors have other names than the network's: it can neither be
    trained further nor be written into a release.

    Args:
        network: Stays as it is.
    """
    plain = copy.deepcopy(network).eval().requires_grad_(False)
    folded = copy.deepcopy(plain)
    height, width = network.spec.input.sizes[0]
    probe = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0))
    probe = ((probe - 0.5) * 4).to(plain.device)
    with torch.no_grad():
        for convolution, norm in _pairs(folded, probe[:1]):
            _fold(folded, convolution, norm)
        error = float((folded.describe(probe) - plain.describe(probe)).abs().max())
    # A convolution whose output is read elsewhere too cannot be folded; the outcome shows it.
    best = folded if error <= FOLDING_ERROR else plain
    return best.to(memory_format=torch.channels_last)


def _pairs(network: RetrievalNetwork, probe: Tensor) -> list[tuple[str, str]]:
    """Return the names of convolutions and of the batch norms that read just what they give."""
    outputs: dict[int, tuple[str, Tensor]] = {}
    calls: Counter[str] = Counter()
    pairs: list[tuple[str, str]] = []

    def gave(name: str, output: Tensor) -> None:
        # The tensor is kept, or its id could be given to another one.
        outputs[id(output)] = (name, output)
        calls[name] += 1

    def reads(name: str, given: Tensor) -> None:
        calls[name] += 1
        if id(given) in outputs:
            pairs.append((outputs[id(given)][0], name))

    hooks = []
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            hooks.append(
                module.register_forward_hook(lambda _, __, out, name=name: gave(name, out))
            )
        elif isinstance(module, nn.BatchNorm2d):
            hooks.append(
                module.register_forward_pre_hook(lambda _, given, name=name: reads(name, given[0]))
            )
    network(probe)
    for hook in hooks:
        hook.remove()
    return [pair for pair in pairs if calls[pair[0]] == calls[pair[1]] == 1]


def _fold(network: RetrievalNetwork, convolution: str, norm: str) -> None:
    module = cast(nn.BatchNorm2d, network.get_submodule(norm))
    fused = fuse_conv_bn_eval(cast(nn.Conv2d, network.get_submodule(convolution)), module)
    # timm's batch norms apply an activation as well, which stays.
    activation = getattr(module, "act", None)
    _replace(network, convolution, fused)
    _replace(network, norm, activation if isinstance(activation, nn.Module) else nn.Identity())


def _replace(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, module)
