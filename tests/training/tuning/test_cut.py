"""Halves of trunks: together the whole, whatever the cut."""

import pytest
import torch

from models.backbones import trunk
from training.errors import BadInput
from training.stages.optimiser import parts
from training.tuning.cut import halves, weights_digest


@pytest.fixture(scope="module", params=["squeezenet1_1", "mobilenet_v2"])
def whole(request):
    torch.manual_seed(0)
    return trunk(request.param)[0].eval()


def test_halves_of_any_cut_are_together_the_whole(whole):
    images = torch.randn(2, 3, 96, 96)
    with torch.inference_mode():
        expected = whole(images)
        for cut in (1, 4, len(parts(whole)) - 2, len(parts(whole))):
            found = halves(whole, cut, (96, 96))
            assert torch.allclose(found.upper(found.lower(images)), expected, atol=1e-5)
            assert len(found.lower) == cut


@pytest.mark.slow
def test_efficientnet_is_cut_within_its_blocks():
    pytest.importorskip("timm")
    whole = trunk("timm/tf_efficientnet_lite2")[0].eval()
    found = halves(whole, 20, (260, 260))
    with torch.inference_mode():
        assert found.lower(torch.zeros(1, 3, 260, 260)).shape == (1, 208, 9, 9)
    names = {name.split(".")[0] for name, p in whole.named_parameters()
             if any(p is q for q in found.upper.parameters())}  # fmt: skip
    assert names == {"blocks", "conv_head", "bn2"}


def test_more_parts_than_there_are_is_an_error(whole):
    with pytest.raises(BadInput, match="--cut 99"):
        halves(whole, 99, (64, 64))


def test_a_trunk_that_is_no_row_of_parts_is_refused():
    class Skips(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = torch.nn.Conv2d(3, 3, 1), torch.nn.Conv2d(3, 3, 1)

        def forward(self, images):
            return self.two(self.one(images)) + images

    with pytest.raises(BadInput, match="cannot be cut"):
        halves(Skips().eval(), 1, (32, 32))


def test_the_digest_is_of_the_weights():
    torch.manual_seed(0)
    whole = trunk("squeezenet1_1")[0]
    lower = halves(whole.eval(), 3, (64, 64)).lower
    before = weights_digest(lower)
    assert weights_digest(lower.to(memory_format=torch.channels_last)) == before
    with torch.no_grad():
        next(whole.parameters())[0, 0, 0, 0] += 1
    assert weights_digest(lower) != before
