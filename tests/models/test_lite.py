import pytest
import torch

from models.lite import SCALES, lite_trunk

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", SCALES)
def test_tensors_are_timms_by_name_and_shape(name) -> None:
    import timm

    theirs = timm.create_model(name.removeprefix("timm/"), num_classes=0, global_pool="")
    ours = lite_trunk(name).state_dict()
    expected = theirs.state_dict()
    assert list(ours) == list(expected)
    assert all(ours[key].shape == expected[key].shape for key in ours)


@pytest.mark.parametrize("size", [(64, 64), (65, 97), (130, 90)])
@pytest.mark.parametrize("name", ["timm/tf_efficientnet_lite0", "timm/tf_efficientnet_lite2"])
def test_features_are_timms(name, size) -> None:
    import timm

    torch.manual_seed(0)

    theirs = timm.create_model(name.removeprefix("timm/"), num_classes=0, global_pool="")
    for module in theirs.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
    ours = lite_trunk(name)
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(2, 3, *size)
    with torch.inference_mode():
        expected = theirs.eval()(images)
        found = ours.eval()(images)
    assert found.shape == expected.shape
    assert float(expected.std()) > 1e-6
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-5)
