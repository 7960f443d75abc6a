"""What learns, how fast, and that an optimiser goes on as if it had never stopped."""

import pytest
import torch
from torch import nn

from models.network import RetrievalNetwork
from models.spec import InputSpec, NetworkSpec
from tests.training.stages.samples import SPEC, balanced_settings, retrieve_settings
from training.errors import BadInput
from training.stages.gradients import Model
from training.stages.optimiser import (
    freeze,
    learning_mode,
    make_optimiser,
    optimiser_tensors,
    parts,
    rate,
    restore,
    set_rate,
)


def network_of(backbone="squeezenet1_1", dimension=None):
    spec = NetworkSpec(backbone, "mac", 3.0, dimension, InputSpec(((64, 64),)))
    return RetrievalNetwork(spec)


def test_parts_are_lowest_first_and_hold_all_there_is():
    for backbone in ("squeezenet1_1", "mobilenet_v2"):
        network = network_of(backbone)
        found = [p for part in parts(network.trunk) for p in part.parameters()]
        assert [id(p) for p in found] == [id(p) for p in network.trunk.parameters()]
        assert len(parts(network.trunk)) > 10


def test_sequences_within_sequences_are_taken_apart_and_blocks_are_not():
    block = nn.Module()
    block.first, block.second = nn.Linear(1, 1), nn.Linear(1, 1)
    low, high = nn.Conv2d(1, 1, 1), nn.ReLU()
    trunk = nn.Sequential(nn.Sequential(low, nn.Sequential(block)), high)
    found = parts(trunk)
    assert [id(part) for part in found] == [id(low), id(block), id(high)]


def test_frozen_parts_and_norms_stay(tmp_path):
    network = network_of("mobilenet_v2")
    settings = retrieve_settings(tmp_path, freeze=4, freeze_norms=True)
    freeze(network, settings)
    learning_mode(network, settings)
    lowest = parts(network.trunk)
    assert not any(p.requires_grad for part in lowest[:4] for p in part.parameters())
    assert all(p.requires_grad for part in lowest[4:] for p in part.parameters())
    assert not any(m.training for part in lowest[:4] for m in part.modules())
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms
    assert not any(m.training for m in norms)
    assert lowest[6].training

    learning_mode(network, retrieve_settings(tmp_path, freeze=4, freeze_norms=False))
    assert any(m.training for m in norms)


def test_more_frozen_parts_than_there_are_is_refused(tmp_path):
    with pytest.raises(BadInput, match="--freeze 999 is more than the 13 parts"):
        freeze(network_of(), retrieve_settings(tmp_path, freeze=999))


def test_nothing_left_to_learn_is_refused(tmp_path):
    network = network_of()
    network.requires_grad_(False)
    with pytest.raises(BadInput, match="nothing is left to learn"):
        make_optimiser(Model(network, nn.Identity()), retrieve_settings(tmp_path))


def test_heads_have_a_rate_of_their_own_and_adamw_spares_biases(tmp_path):
    model = Model(network_of(dimension=8), nn.Linear(8, 3))
    settings = balanced_settings(tmp_path, head_lr_factor=10.0, weight_decay=0.1)
    optimiser = make_optimiser(model, settings)
    set_rate(optimiser, 0.5)
    found = {id(p): (g["lr"], g["weight_decay"]) for g in optimiser.param_groups
             for p in g["params"]}  # fmt: skip
    assert found.keys() == {id(p) for p in model.parameters()}
    for name, parameter in model.named_parameters():
        head = not name.startswith("network.trunk.")
        decay = 0.1 if parameter.ndim >= 2 else 0.0
        assert found[id(parameter)] == (5.0 if head else 0.5, decay), name


def test_rates_fall_as_the_paper_says(tmp_path):
    paper = retrieve_settings(tmp_path, epochs=30, lr=1e-3, step_epochs=10)
    lr = 1e-3
    for epoch in range(30):
        if epoch and epoch % 10 == 0:
            lr *= 0.1
        assert rate(paper, epoch) == pytest.approx(lr)
        assert rate(paper, epoch + 0.99) == pytest.approx(lr)
    cosine = retrieve_settings(tmp_path, epochs=10, lr=1.0, schedule="cosine", warmup_epochs=2.0)
    assert rate(cosine, 0) == 0
    assert rate(cosine, 5) == pytest.approx(0.5)
    assert rate(cosine, 10) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_an_optimiser_goes_on_as_if_it_had_never_stopped(kind, tmp_path):
    settings = retrieve_settings(tmp_path, optimiser=kind, weight_decay=0.01)

    def made():
        torch.manual_seed(0)
        model = Model(RetrievalNetwork(SPEC), nn.Linear(512, 2))
        model = model.to(memory_format=torch.channels_last)
        return model, make_optimiser(model, settings)

    def step(model, optimiser, n):
        torch.manual_seed(n)
        for parameter in model.parameters():
            parameter.grad = torch.randn_like(parameter)
        optimiser.step()

    model, optimiser = made()
    for n in range(2):
        step(model, optimiser, n)
    weights = {k: v.clone() for k, v in model.state_dict().items()}
    memory = {k: v.clone() for k, v in optimiser_tensors(model, optimiser).items()}
    step(model, optimiser, 2)

    other, another = made()
    other.load_state_dict(weights)
    restore(other, another, memory)
    step(other, another, 2)
    assert all(a.equal(b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
