import pytest
import torch
from torch import nn
from torchvision import models as zoo

from models.backbones import trunk
from models.errors import BadNetwork


@pytest.mark.parametrize(
    ("name", "channels", "stride"),
    [
        ("resnet18", 512, 32),
        ("resnet50", 2048, 32),
        ("mobilenet_v2", 1280, 32),
        ("mobilenet_v3_large", 960, 32),
        ("squeezenet1_1", 512, 16),
        ("convnext_tiny", 768, 32),
        ("densenet121", 1024, 32),
        ("shufflenet_v2_x0_5", 1024, 32),
        ("regnet_y_400mf", 440, 32),
        ("efficientnet_b0", 1280, 32),
        ("mnasnet0_5", 1280, 32),
        ("swin_t", 768, 32),
        ("timm/tf_efficientnet_lite0", 1280, 32),
        ("timm/resnet18", 512, 32),
    ],
)
def test_a_network_is_cut_to_its_feature_map(name, channels, stride) -> None:
    module, found = trunk(name)
    assert found == channels
    with torch.inference_mode():
        features = module.eval()(torch.zeros(1, 3, 96, 128))
    assert features.shape[:2] == (1, channels)
    assert abs(features.shape[2] - 96 // stride) <= 1
    assert abs(features.shape[3] - 128 // stride) <= 1


def test_vgg16_ends_with_the_map_of_its_last_convolution() -> None:
    module, channels = trunk("vgg16")
    assert channels == 512
    last = list(module.modules())[-2:]
    assert isinstance(last[0], nn.Conv2d)
    assert isinstance(last[1], nn.ReLU)
    with torch.inference_mode():
        assert module(torch.zeros(1, 3, 64, 96)).shape == (1, 512, 4, 6)


@pytest.mark.parametrize(
    "name", ["resnet18", "densenet121", "mobilenet_v3_small", "regnet_x_400mf"]
)
def test_a_trunk_and_its_head_make_the_whole_network(name) -> None:
    """The cut loses nothing: torchvision's own head on our trunk gives torchvision's logits."""
    torch.manual_seed(0)
    whole = zoo.get_model(name, weights=None).eval()
    module = trunk(name)[0].eval()
    module.load_state_dict(whole.state_dict(), strict=False)
    images = torch.randn(2, 3, 64, 64)
    heads = [child for child in ("fc", "classifier") if hasattr(whole, child)]
    with torch.inference_mode():
        pooled = module(images).mean(dim=(2, 3))
        assert torch.allclose(getattr(whole, heads[0])(pooled), whole(images), atol=1e-5)


def test_names_of_tensors_are_those_of_the_whole_network() -> None:
    for name in ("resnet18", "mobilenet_v2", "squeezenet1_1", "maxvit_t"):
        whole = set(zoo.get_model(name, weights=None).state_dict())
        assert set(trunk(name)[0].state_dict()) < whole


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resnet51", "did you mean resnet50"),
        ("mobilnet_v2", "did you mean mobilenet_v2"),
        ("ResNet50", "did you mean resnet"),
        ("", "unknown"),
        ("googlenet", "scales its input"),
        ("vit_b_16", "cannot be cut"),
        ("timm/tf_efficientnet_lite00", "did you mean timm/tf_efficientnet_lite0"),
        ("timm/vit_tiny_patch16_224", "feature map"),
    ],
)
def test_a_name_that_cannot_be_used_is_one_line(name, said) -> None:
    with pytest.raises(BadNetwork, match=said) as caught:
        trunk(name)
    assert "\n" not in str(caught.value)


def test_without_timm_its_networks_say_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    with pytest.raises(BadNetwork, match=r"pip install 'moderator\[training\]'"):
        trunk("timm/resnet18")
