"""Weights lie between two sets where they are asked to, and are to the bit what they were after."""

import pytest
import torch
from torch import nn

from training.tuning.blend import Blend


def layers():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def copy(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def learnt(module):
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape))
        module[1].running_mean.add_(1)
    return copy(module)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_each_weight_lies_at_the_share_between_what_it_was_and_is(share):
    module = layers()
    began, blend = copy(module), Blend(module, share)
    now = learnt(module)
    with blend.applied():
        found = copy(module)
    for name, _ in module.named_parameters():
        expected = share * now[name] + (1 - share) * began[name]
        assert torch.allclose(found[name], expected, atol=1e-6)
        if share in (0.0, 1.0):
            assert torch.equal(found[name], expected)
    assert torch.equal(found["1.running_mean"], now["1.running_mean"])
    assert all(torch.equal(tensor, now[name]) for name, tensor in module.state_dict().items())


def test_a_failure_meanwhile_leaves_what_was_learnt():
    module = layers()
    blend = Blend(module, 0.5)
    now = learnt(module)
    with pytest.raises(OSError, match="full"), blend.applied():
        raise OSError("full")
    assert all(torch.equal(tensor, now[name]) for name, tensor in module.state_dict().items())
