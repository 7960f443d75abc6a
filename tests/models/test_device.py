import pytest
import torch

from models.device import resolve_device, set_threads
from models.errors import BadNetwork


def test_auto_is_the_best_there_is() -> None:
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert resolve_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "", "cuda:99", "cpu:x", "meta"])
def test_a_device_that_is_not_there_is_one_line(name) -> None:
    with pytest.raises(BadNetwork, match="choose auto") as caught:
        resolve_device(name)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_cuda_computes_in_full_float32() -> None:
    assert resolve_device("cuda").type == "cuda"
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32


def test_the_number_of_threads_is_set() -> None:
    before = torch.get_num_threads()
    try:
        set_threads(1)
        assert torch.get_num_threads() == 1
    finally:
        set_threads(before)
    with pytest.raises(ValueError, match="at least 1"):
        set_threads(0)
