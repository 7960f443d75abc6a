"""Where weights come from, and networks read from the directories of runs."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from models.errors import BadNetwork
from models.network import RetrievalNetwork
from tests.training.stages.samples import SPEC
from training.errors import BadInput
from training.stages.run import Run
from training.stages.start import starting_network
from training.stages.trained import load_trained, read_spec

HEADED = replace(SPEC, dimension=16)


@pytest.fixture
def kept(tmp_path):
    """A run's directory with a network, and the network."""
    torch.manual_seed(1)
    network = RetrievalNetwork(HEADED).eval()
    Run(tmp_path / "run").keep(network)
    return tmp_path / "run", network


def same(a, b):
    return all(x.equal(y) for x, y in zip(a.state_dict().values(), b.state_dict().values(),
                                          strict=True))  # fmt: skip


def test_a_run_gives_back_its_best_network(kept):
    folder, network = kept
    again = load_trained(folder)
    assert again.spec == network.spec == read_spec(folder)
    assert not again.training
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    assert np.array_equal(again.embed(pixels), network.embed(pixels))
    assert same(load_trained(folder / "best"), network)


def test_a_run_begins_with_another_ones_trunk_and_its_head_where_it_fits(kept):
    folder, network = kept
    assert same(starting_network(HEADED, str(folder)), network)
    plain = starting_network(SPEC, str(folder))
    assert same(plain.trunk, network.trunk)
    other = starting_network(replace(SPEC, dimension=8), str(folder))
    assert same(other.trunk, network.trunk)


def test_another_backbone_is_refused(kept):
    with pytest.raises(BadInput, match="is squeezenet1_1, not mobilenet_v2"):
        starting_network(replace(SPEC, backbone="mobilenet_v2"), str(kept[0]))


def test_weights_of_a_file_are_read(tmp_path):
    network = RetrievalNetwork(SPEC)
    save_file(network.trunk.state_dict(), tmp_path / "weights.safetensors")
    assert same(starting_network(SPEC, str(tmp_path / "weights.safetensors")).trunk, network.trunk)
    with pytest.raises(BadNetwork, match="do not exist"):
        starting_network(SPEC, str(tmp_path / "none.safetensors"))


def test_random_weights_are_those_of_torchs_seed():
    torch.manual_seed(3)
    first = starting_network(SPEC, "random")
    torch.manual_seed(3)
    assert same(first, starting_network(SPEC, "random"))


def test_directories_without_a_network_or_with_a_damaged_one_are_told_of(kept, tmp_path):
    with pytest.raises(BadInput, match="holds no trained network"):
        load_trained(tmp_path)
    folder, _ = kept
    save_file({"trunk.none": torch.zeros(1)}, folder / "best" / "weights.safetensors")
    with pytest.raises(BadInput, match="does not fit its network"):
        load_trained(folder)
    (folder / "best" / "network.json").write_text("{")
    with pytest.raises(BadInput, match="cannot be read"):
        load_trained(folder)
