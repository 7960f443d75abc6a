from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from models.network import RetrievalNetwork
from models.serving import for_serving
from tests.models.samples import SPEC, head, network, pixels


def unsettled(net: RetrievalNetwork) -> RetrievalNetwork:
    """Give every batch norm statistics that matter; fresh ones do nothing."""
    generator = torch.Generator().manual_seed(1)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low in ((module.running_mean, -0.1), (module.running_var, 0.5)):
                tensor.uniform_(low, low + 1, generator=generator)
            module.weight.data.uniform_(0.5, 1.2, generator=generator)
            module.bias.data.uniform_(-0.2, 0.2, generator=generator)
    return net


@pytest.mark.parametrize(
    ("backbone", "left"),
    [
        ("mobilenet_v2", 0),
        ("resnet18", 0),
        ("mobilenet_v3_small", 0),
        ("squeezenet1_1", 0),
        ("timm/tf_efficientnet_lite0", 0),
        ("densenet121", 62),
        ("convnext_tiny", 0),
    ],
)
def test_a_network_for_serving_gives_the_same_embeddings(backbone, left) -> None:
    net = unsettled(network(replace(SPEC, backbone=backbone)))
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    fast = for_serving(net)
    images = pixels(5, 64, 96)
    assert np.abs(fast.embed(images) - net.embed(images)).max() < 1e-5
    norms = [m for m in fast.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == left
    assert not any(p.requires_grad for p in fast.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


class _Shared(nn.Module):
    """A convolution whose output is read past the batch norm, too: folding would be wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 8, 3)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.convolution(images)
        return self.norm(features) + features


class _Twice(nn.Module):
    """A convolution that runs twice, once before the batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 3, 3)
        self.norm = nn.BatchNorm2d(3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.norm(self.convolution(self.convolution(images)))


@pytest.mark.parametrize("kind", [_Shared, _Twice])
def test_what_cannot_be_folded_is_left(kind) -> None:
    net = network(replace(SPEC, dimension=None))
    torch.manual_seed(0)
    net.trunk = kind()
    net = unsettled(net).eval()
    fast = for_serving(net)
    assert any(isinstance(m, nn.BatchNorm2d) for m in fast.modules())
    assert np.abs(fast.embed(pixels(3)) - net.embed(pixels(3))).max() < 1e-5


def test_a_network_that_trains_is_served_in_evaluation_mode_and_trains_on() -> None:
    net = network().train()
    fast = for_serving(net)
    assert net.training
    assert not fast.training


@pytest.mark.parametrize("pooling", ["mac", "gem"])
def test_a_network_for_serving_describes_regions_alike(pooling) -> None:
    spec = replace(SPEC, backbone="mobilenet_v2", pooling=pooling, regions=((3, 2), (2, 1)))
    net = unsettled(network(spec))
    fast = for_serving(net)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in fast.modules())
    images = pixels(3, 96, 128)
    found = fast.describe_pixels(images)
    assert found.shape[1] == 1 + net.region_count(96, 128) > 5
    assert np.abs(found - net.describe_pixels(images)).max() < 1e-5


def test_a_network_for_serving_gives_the_same_logits() -> None:
    spec = replace(SPEC, backbone="mobilenet_v2", regions=((2, 1),))
    net = unsettled(network(spec))
    net.classify(head(net.channels))
    fast = for_serving(net)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in fast.modules())
    images = pixels(3, 64, 96)
    assert np.abs(fast.describe_rows(images) - net.describe_rows(images)).max() < 1e-3
