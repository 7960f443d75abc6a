"""The top pools and embeds as the network does, and only its own parts learn."""

import pytest
import torch

from models.network import RetrievalNetwork
from models.regions import Window, windows
from models.spec import InputSpec, NetworkSpec
from training.tuning.cut import halves
from training.tuning.top import Top

REGIONS = ((4, 3), (2, 1))


def made(pooling, backbone="squeezenet1_1", cut=9):
    torch.manual_seed(1)
    spec = NetworkSpec(backbone, pooling, 3.0, 12, InputSpec(((96, 96),)), REGIONS)
    network = RetrievalNetwork(spec).eval()
    found = halves(network.trunk, cut, (96, 96))
    cells = network.map_size(96, 96)
    parts = (Window(0, cells[0], 0, cells[1]), *windows(*cells, REGIONS))
    top = Top(network, found.upper, parts, cells, classes=5, scale=16, dropout=0.5)
    return network, found.lower, top


@pytest.mark.parametrize("pooling", ["mac", "spoc", "gem"])
def test_embeddings_are_the_networks_own(pooling):
    network, lower, top = made(pooling)
    images = torch.randn(3, 3, 96, 96)
    top.eval()
    with torch.inference_mode():
        found = top(lower(images).permute(0, 2, 3, 1))
        assert torch.allclose(found, network.describe(images), atol=1e-5)


def test_probabilities_are_of_scaled_cosines():
    _, _, top = made("gem")
    rows = torch.nn.functional.normalize(torch.randn(4, 3, 12), dim=-1)
    with torch.inference_mode():
        top.bias += torch.arange(5.0)
        found = top.log_probabilities(rows)
    cosines = torch.nn.functional.cosine_similarity(rows[..., None, :], top.classes, dim=-1)
    expected = (16 * cosines + torch.arange(5.0)).softmax(-1)
    assert torch.allclose(found.exp(), expected, atol=1e-5)


@pytest.mark.slow
def test_training_changes_the_upper_part_and_the_head_alone_and_no_statistics():
    network, lower, top = made("spoc", "mobilenet_v2", 15)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    frozen = {id(t) for t in lower.state_dict(keep_vars=True).values()}
    tensors = network.state_dict(keep_vars=True)
    top.train()
    optimiser = torch.optim.SGD(top.parameters(), lr=0.1)
    with torch.no_grad():
        maps = lower(torch.randn(4, 3, 96, 96)).permute(0, 2, 3, 1)
    top.log_probabilities(top(maps))[..., 0].sum().neg().backward()
    optimiser.step()
    changed = {name for name, tensor in tensors.items() if not torch.equal(tensor, before[name])}
    assert "head.weight" in changed
    assert any(name.startswith("trunk.") for name in changed)
    assert not any(id(tensors[name]) in frozen for name in changed)
    assert not any("running" in name or "tracked" in name for name in changed)


def test_dropout_is_only_in_training():
    _, lower, top = made("gem")
    with torch.inference_mode():
        maps = lower(torch.randn(2, 3, 96, 96)).permute(0, 2, 3, 1)
        top.train()
        assert not torch.equal(top(maps), top(maps))
        top.eval()
        assert torch.equal(top(maps), top(maps))
        assert not any(module.training for module in top.upper.modules())


def test_a_network_without_a_head_is_refused():
    spec = NetworkSpec("squeezenet1_1", "gem", 3.0, None, InputSpec(((64, 64),)))
    network = RetrievalNetwork(spec).eval()
    with pytest.raises(ValueError, match="head"):
        Top(network, network.trunk, (), (1, 1), classes=2, scale=1, dropout=0)
