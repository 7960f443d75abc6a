"""Image networks by name, cut before their heads. Knows nothing of weights, pooling or releases.

The parts that are left keep the names that they have in the whole network, so that published
weights fit.
"""

import difflib
from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import nn

from models.errors import BadNetwork
from models.lite import SCALES, lite_trunk
from models.zoo import torchvision_models

TIMM = "timm/"
"""Names that begin so are timm's; all others are torchvision's."""

HEADS = ("avgpool", "classifier", "fc", "head", "heads", "dropout", "aux1", "aux2")
"""Parts of torchvision's networks from which on the head begins, or which serve training only."""

SELF_SCALING = ("googlenet", "inception_v3")
"""Networks that scale their input anew before the first layer, which cutting would lose."""

PROBE_SIDES = (64, 224, 256)
"""Sides in pixels of the blank images by which a trunk's channels are found: some networks take
one size only."""


def trunk(name: str) -> tuple[nn.Module, int]:
    """Return a network without its head, with random weights, and its channels.

    Args:
        name: One of torchvision's classification networks (``resnet50``), or ``timm/<name>``.

    Returns:
        A module from float32[N, 3, H, W] to float32[N, channels, h, w], and its channels.

    Raises:
        BadNetwork: The name is not known, its package is not installed, or the network does not
            end in a feature map.
    """
    module: nn.Module
    if name in SCALES:
        module = lite_trunk(name)
    else:
        module = _timm(name.removeprefix(TIMM)) if name.startswith(TIMM) else _torchvision(name)
    return module, _channels(module, name)


def _torchvision(name: str) -> nn.Module:
    zoo = torchvision_models()
    known = zoo.list_models(module=zoo)
    if name not in known:
        raise BadNetwork(_unknown(name, known))
    if name in SELF_SCALING:
        raise BadNetwork(
            f"backbone {name} scales its input by itself and cannot be cut; use timm/{name}"
        )
    options = {"init_weights": False} if name.startswith("vgg") else {}
    return _cut(zoo.get_model(name, weights=None, **options), name)


def _cut(network: nn.Module, name: str) -> nn.Module:
    """Keep the children before the head, in the order in which they run."""
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for child, module in network.named_children():
        if child in HEADS:
            break
        # Lists are run one by one by their network; a sequence of the same names does it itself.
        parts[child] = nn.Sequential(*module) if isinstance(module, nn.ModuleList) else module
    features = parts.get("features")
    if isinstance(features, nn.Sequential):
        if name.startswith(("vgg", "alexnet")):
            # As in the paper: the map of the last convolution, before the last maximum.
            parts["features"] = features[:-1]
        elif name.startswith("densenet"):
            # The network applies it outside its modules.
            parts["relu"] = nn.ReLU(inplace=True)
    return nn.Sequential(parts)


def _timm(name: str) -> nn.Module:
    try:
        import timm
    except ImportError:
        raise BadNetwork(
            f"backbone timm/{name} needs timm; install it with pip install 'moderator[training]'"
        ) from None
    if not timm.is_model(name):
        known = [f"{TIMM}{model}" for model in timm.list_models()]
        raise BadNetwork(_unknown(f"{TIMM}{name}", known))
    try:
        network = timm.create_model(name, pretrained=False, num_classes=0, global_pool="")
    except (TypeError, AssertionError, RuntimeError) as error:
        raise BadNetwork(f"backbone timm/{name} cannot be cut: {_line(error)}") from None
    module: nn.Module = network
    return module


def _channels(module: nn.Module, name: str) -> int:
    training = module.training
    module.eval()
    try:
        features = _probe(module, name)
    finally:
        module.train(training)
    channels_last = getattr(module, "output_fmt", "NCHW") != "NCHW"
    if features.ndim != 4 or channels_last:
        raise BadNetwork(
            f"backbone {name} does not end in a feature map; choose a convolutional one"
        )
    return int(features.shape[1])


def _probe(module: nn.Module, name: str) -> torch.Tensor:
    device = next(module.parameters()).device
    reason = ""
    for side in PROBE_SIDES:
        try:
            with torch.inference_mode():
                features: torch.Tensor = module(torch.zeros(1, 3, side, side, device=device))
        except (RuntimeError, AssertionError, ValueError) as error:
            reason = _line(error)
            continue
        if isinstance(features, torch.Tensor):
            return features
        reason = f"its output is a {type(features).__name__}"
    raise BadNetwork(f"backbone {name} cannot be cut before its head: {reason}")


def _unknown(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    hint = f"did you mean {near[0]}?" if near else "see torchvision's list of models"
    return f"backbone {name!r} is unknown; {hint}"


def _line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
