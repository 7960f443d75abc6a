"""Photographs are embedded as the network itself embeds them."""

import numpy as np
import pytest
import torch
from PIL import Image

from models.network import RetrievalNetwork
from models.pixels import prepare
from tests.training.stages.samples import SPEC
from training.stages.parallel import World
from training.stages.pixelstore import open_store
from training.stages.vectors import embed_photos

CPU = World(0, 1, torch.device("cpu"))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return RetrievalNetwork(SPEC)


def test_rows_are_the_networks_own_in_the_order_asked(network, data, cache, console):
    photos = [*data.train[:5], data.train[2], *data.train[5:9]]
    store = open_store(photos, 120, cache, console)
    rows = embed_photos(network, store, photos, CPU, precision="float32")
    for photo, row in zip(photos, rows, strict=True):
        image = Image.fromarray(store.get(photo.digest))
        assert np.allclose(row, network.embed(prepare(image, SPEC.input)[None])[0], atol=1e-5)
    assert np.array_equal(rows[2], rows[5])


def test_less_precision_changes_little(network, data, cache, console):
    store = open_store(data.train, 120, cache, console)
    exact, rough = (
        embed_photos(network, store, data.train, CPU, precision=precision)
        for precision in ("float32", "bfloat16")
    )
    assert rough.dtype == np.float32
    assert not np.array_equal(exact, rough)
    assert ((exact * rough).sum(axis=1) > 0.999).all()


def test_pooled_features_keep_their_length(network, data, cache, console):
    store = open_store(data.train, 120, cache, console)
    rows = embed_photos(network, store, data.train, CPU, precision="float32", normalised=False)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    assert not np.allclose(norms, 1)
    unit = embed_photos(network, store, data.train, CPU, precision="float32")
    assert np.allclose(rows / norms, unit, atol=1e-5)
