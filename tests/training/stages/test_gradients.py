"""Gradients that go bucket by bucket equal those of one graph over the whole batch."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from models.network import RetrievalNetwork
from tests.training.stages.samples import SPEC, retrieve_settings
from training.stages.batch import Batch
from training.stages.feed import Bucket, Ready
from training.stages.gradients import Model, add_gradients
from training.stages.parallel import World

CPU = World(0, 1, torch.device("cpu"))


@pytest.fixture
def ready():
    lot = np.random.default_rng(0)
    rows = [np.array([4, 0, 2]), np.array([1, 3])]
    shapes = [(3, 64, 32, 3), (2, 32, 64, 3)]
    buckets = tuple(
        Bucket(lot.integers(0, 256, shape, np.uint8), row)
        for row, shape in zip(rows, shapes, strict=True)
    )
    return Ready(0, Batch(np.arange(5)), buckets)


def test_buckets_give_the_gradient_of_the_whole(ready, tmp_path):
    torch.manual_seed(0)
    model = Model(RetrievalNetwork(SPEC), nn.Linear(512, 1))
    weights = torch.arange(1.0, 6.0)[:, None]
    stage = SimpleNamespace(
        normalised=True, loss=lambda v, _: (model.head(v) * weights).square().sum()
    )
    settings = retrieve_settings(tmp_path)
    loss = add_gradients(model, stage, ready, settings, CPU, epoch=0, weight=0.5)
    found = {name: p.grad.clone() for name, p in model.named_parameters()}

    model.zero_grad()
    rows = [torch.zeros(0)] * 5
    for bucket in ready.buckets:
        images = model.network.normalise(torch.from_numpy(bucket.pixels))
        for row, embedding in zip(bucket.rows, model.network(images), strict=True):
            rows[row] = embedding
    expected = (model.head(torch.stack(rows)) * weights).square().sum()
    (expected * 0.5).backward()
    assert loss == pytest.approx(float(expected.detach()), rel=1e-6)
    for name, parameter in model.named_parameters():
        assert torch.allclose(found[name], parameter.grad, rtol=1e-4, atol=1e-6), name


def test_features_are_not_normalised_where_the_stage_does_not_ask(ready, tmp_path):
    torch.manual_seed(0)
    model = Model(RetrievalNetwork(SPEC), nn.Identity())
    seen = {}

    def loss(vectors, _):
        seen["rows"] = vectors.detach().clone()
        return vectors.sum()

    stage = SimpleNamespace(normalised=False, loss=loss)
    add_gradients(model, stage, ready, retrieve_settings(tmp_path), CPU, epoch=0, weight=1.0)
    images = model.network.normalise(torch.from_numpy(ready.buckets[1].pixels))
    pooled = model.network.trunk(images).amax(dim=(2, 3))
    assert torch.allclose(seen["rows"][[1, 3]], pooled, atol=1e-6)
    assert not torch.allclose(functional.normalize(pooled, dim=1), pooled)
