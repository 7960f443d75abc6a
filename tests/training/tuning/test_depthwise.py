"""Depthwise filters keep float32 beneath bfloat16, and all others do not."""

import torch
from torch import nn

from training.tuning.depthwise import widen_depthwise


def test_only_depthwise_filters_compute_in_float32_and_as_they_do_without_autocast():
    torch.manual_seed(0)
    deep, plain = nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 8, 1)
    module = nn.Sequential(plain, deep)
    names = list(module.state_dict())
    images = torch.randn(2, 8, 9, 9)
    expected = deep(images)
    widen_depthwise(module)
    assert list(module.state_dict()) == names
    with torch.autocast("cpu", torch.bfloat16):
        assert plain(images).dtype == torch.bfloat16
        found = deep(images)
        narrow = module(images)
    assert found.dtype == narrow.dtype == torch.float32
    assert torch.equal(found, expected)
    narrow.sum().backward()
    assert deep.weight.grad is not None
    assert plain.weight.grad is not None
