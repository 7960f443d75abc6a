import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from models.errors import BadNetwork, BadRelease
from models.network import RetrievalNetwork, released_tensors, round_weights
from models.regions import windows
from models.spec import InputSpec, NetworkSpec
from tests.models.samples import SPEC, head, network, pixels

NET = network()


def reference(net: RetrievalNetwork, images) -> np.ndarray:
    """Embed one image after another, all but the trunk in float64 and by the book."""
    rows = []
    for image in images:
        scaled = (image / 255 - np.array(net.spec.input.mean)) / np.array(net.spec.input.std)
        given = torch.from_numpy(scaled.transpose(2, 0, 1)[None].astype(np.float32))
        with torch.inference_mode():
            features = net.trunk(given)[0].double().numpy()
        flat, power = features.reshape(len(features), -1), net.spec.gem_power
        gem = (np.maximum(flat, 1e-6) ** power).mean(axis=1) ** (1 / power)
        poolings = {"mac": flat.max(axis=1), "spoc": flat.mean(axis=1), "gem": gem}
        pooled = poolings[net.spec.pooling]
        if net.head is not None:
            weight, bias = (p.detach().double().numpy() for p in net.head.parameters())
            pooled = weight @ pooled + bias
        rows.append(pooled / np.linalg.norm(pooled))
    return np.stack(rows)


@pytest.mark.parametrize("pooling", ["mac", "spoc", "gem"])
@pytest.mark.parametrize("dimension", [None, 7])
def test_embeddings_are_those_of_the_slow_way(pooling, dimension) -> None:
    net = network(replace(SPEC, pooling=pooling, dimension=dimension, gem_power=2.5))
    images = pixels(3, 64, 96)
    found = net.embed(images)
    assert found.shape == (3, dimension or 512) == (3, net.dimension)
    assert found.dtype == np.float32
    assert found.flags["C_CONTIGUOUS"]
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert np.allclose(found, reference(net, images), atol=1e-5)


@pytest.mark.parametrize("mean_std", [((0.5,) * 3, (0.5,) * 3), ((0.1, 0.2, 0.3), (0.3, 0.2, 0.1))])
def test_pixels_are_normalised_by_the_specification(mean_std) -> None:
    net = network(replace(SPEC, input=InputSpec(((64, 64),), *mean_std)))
    images = pixels(2)
    expected = (images / 255 - np.array(mean_std[0])) / np.array(mean_std[1])
    found = net.normalise(torch.from_numpy(images)).numpy()
    assert np.allclose(found, expected.transpose(0, 3, 1, 2), atol=1e-5)


@pytest.mark.parametrize("backbone", ["squeezenet1_1", "mobilenet_v2"])
def test_an_image_does_not_depend_on_its_batch(backbone) -> None:
    net = network(replace(SPEC, backbone=backbone))
    images = pixels(13)
    whole = net.embed(images)
    for size in (1, 2, 5, 8):
        parts = [net.embed(images[begin : begin + size]) for begin in range(0, 13, size)]
        assert np.abs(np.concatenate(parts) - whole).max() < 1e-5
    assert np.abs(net.embed(images[::-1])[::-1] - whole).max() < 1e-5


def test_threads_that_embed_at_once_get_what_one_gets() -> None:
    images = pixels(6)
    expected = NET.embed(images)
    found: list[np.ndarray] = []
    threads = [threading.Thread(target=lambda: found.append(NET.embed(images))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert all(np.abs(rows - expected).max() < 1e-6 for rows in found)


def test_read_only_and_strided_pixels_are_taken_and_none_give_none() -> None:
    images = pixels(4)
    expected = NET.embed(images)
    images.flags.writeable = False
    assert np.array_equal(NET.embed(images), expected)
    assert np.abs(NET.embed(images[::2]) - expected[::2]).max() < 1e-6
    assert NET.embed(images[:0]).shape == (0, 16)


@pytest.mark.parametrize(
    "wrong", [pixels(2).astype(np.float32), pixels(2)[0], pixels(2).transpose(0, 3, 1, 2)]
)
def test_pixels_of_another_kind_are_refused(wrong) -> None:
    with pytest.raises(ValueError, match=r"uint8\[N, H, W, 3\]"):
        NET.embed(wrong)


def test_a_network_that_trains_does_not_embed() -> None:
    with pytest.raises(ValueError, match="training mode"):
        network().train().embed(pixels(2))


def test_embeddings_that_are_not_finite_are_an_error_and_no_result() -> None:
    net = network()
    with torch.no_grad():
        net.head.bias[3] = float("nan")
    with pytest.raises(BadNetwork, match="not finite"):
        net.embed(pixels(1))


def test_gradients_reach_every_weight() -> None:
    net = network(replace(SPEC, backbone="mobilenet_v3_small")).train()
    net(torch.randn(4, 3, 64, 64)).sum(dim=0)[0].backward()
    assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in net.parameters())


def test_an_unknown_backbone_is_refused() -> None:
    with pytest.raises(BadNetwork, match="did you mean"):
        RetrievalNetwork(NetworkSpec("resnet1", "mac", 1, None, SPEC.input))


def test_tensors_to_release_are_plain_and_finite() -> None:
    net = network(replace(SPEC, backbone="resnet18"))
    full, half = (released_tensors(net, half=half) for half in (False, True))
    assert full.keys() == half.keys() == net.state_dict().keys()
    assert {t.dtype for t in full.values()} == {torch.float32, torch.int64}
    assert {t.dtype for t in half.values() if t.ndim >= 2} == {torch.float16}
    with torch.no_grad():
        net.head.bias[0] = float("inf")
    with pytest.raises(BadNetwork, match=r"head\.bias"):
        released_tensors(net, half=False)


def test_rounded_weights_are_those_that_float16_holds() -> None:
    net = network()
    round_weights(net)
    assert all(
        torch.equal(net.state_dict()[name], tensor.float())
        for name, tensor in released_tensors(net, half=True).items()
    )


REGIONS = ((3, 2), (2, 1))


def cropped(net: RetrievalNetwork, image) -> np.ndarray:
    """Embed one image's windows by pooling each of them, cut out of the map, by hand."""
    with torch.inference_mode():
        features = net.trunk(net.normalise(torch.from_numpy(image[None])))
        rows = []
        for w in windows(*features.shape[2:], net.spec.regions):
            pooled = net.pooling(features[:, :, w.top : w.bottom, w.left : w.right].clone())
            projected = pooled if net.head is None else net.head(pooled)
            rows.append(torch.nn.functional.normalize(projected, dim=1)[0].numpy())
    return np.stack(rows)


@pytest.mark.parametrize("pooling", ["mac", "spoc", "gem"])
@pytest.mark.parametrize("dimension", [None, 7])
def test_an_image_is_described_as_a_whole_and_by_its_windows(pooling, dimension) -> None:
    spec = replace(SPEC, pooling=pooling, dimension=dimension, regions=REGIONS)
    net = network(spec)
    images = pixels(3, 96, 128)
    found = net.describe_pixels(images)
    count = net.region_count(96, 128)
    assert found.shape == (3, 1 + count, net.dimension)
    assert found.dtype == np.float32
    assert found.flags["C_CONTIGUOUS"]
    assert count == len(windows(*net.map_size(96, 128), REGIONS)) == len(net.boxes(96, 128)) > 9
    assert np.allclose(found[:, 0], net.embed(images), atol=1e-6)
    for rows, image in zip(found, images, strict=True):
        assert np.allclose(rows[1:], cropped(net, image), atol=1e-5)
    assert np.abs(found[0, 1] - found[0, -1]).max() > 1e-3


def test_regions_take_no_second_pass_through_the_trunk() -> None:
    net = network(replace(SPEC, regions=REGIONS))
    calls: list[int] = []
    net.trunk.register_forward_hook(lambda *_: calls.append(1))
    net.describe_pixels(pixels(2))
    assert len(calls) == 1


def test_without_regions_an_image_has_one_row_and_no_images_have_none() -> None:
    images = pixels(2)
    assert np.allclose(NET.describe_pixels(images)[:, 0], NET.embed(images), atol=1e-6)
    assert NET.describe_pixels(images).shape == (2, 1, 16)
    assert NET.region_count(64, 64) == 0
    net = network(replace(SPEC, regions=REGIONS))
    assert net.describe_pixels(images[:0]).shape == (0, 1 + net.region_count(64, 64), 16)
    with pytest.raises(ValueError, match="training mode"):
        network().train().describe_pixels(images)


def test_the_size_of_a_map_is_that_of_the_trunk_and_finding_it_changes_nothing() -> None:
    net = network(replace(SPEC, backbone="mobilenet_v3_small")).train()
    frozen = next(m for m in net.trunk.modules() if isinstance(m, torch.nn.BatchNorm2d)).eval()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    assert net.map_size(96, 160) == (3, 5)
    assert net.trunk.training
    assert not frozen.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


def test_gradients_flow_through_regions() -> None:
    net = network(replace(SPEC, regions=REGIONS)).train()
    net.describe(torch.randn(2, 3, 64, 64))[:, 1:].sum(dim=(0, 1))[0].backward()
    assert net.head.weight.grad.abs().sum() > 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_cuda_gives_what_the_cpu_gives() -> None:
    from models.device import resolve_device

    net = network()
    images = pixels(5)
    expected = net.embed(images)
    assert np.abs(net.to(resolve_device("cuda")).embed(images) - expected).max() < 1e-4


def pooled(net, images):
    """Return the features float32[N, 1 + R, F] that embeddings and logits are made of."""
    with torch.inference_mode():
        return net._pooled(net.normalise(torch.from_numpy(images)), regions=True).numpy()


def test_logits_are_those_of_the_head_from_the_same_pass() -> None:
    spec = replace(SPEC, regions=((2, 1),))
    plain, net, images = network(spec), network(spec), pixels(3)
    passes = []
    net.trunk.register_forward_hook(lambda *_: passes.append(1))
    net.classify(head())
    found = net.describe_rows(images)
    assert len(passes) == 1
    assert found.shape == (3, 1 + net.region_count(64, 64), 16 + 4)
    assert (found.dtype, found.flags.c_contiguous) == (np.float32, True)
    assert np.array_equal(found[..., :16], plain.describe_pixels(images))
    assert np.abs(found[..., 16:] - head().logits(pooled(net, images))).max() < 1e-4
    assert np.ptp(found[..., 16]) > 1e-3
    alone = net.describe_rows(images, regions=False)
    assert alone.shape == (3, 1, 16 + 4)
    assert np.array_equal(alone[:, 0, :16], plain.embed(images))
    assert np.abs(alone[:, 0] - found[:, 0]).max() < 1e-4


def test_without_a_classifier_rows_are_embeddings() -> None:
    net, images = network(replace(SPEC, regions=((2, 1),))), pixels(2)
    assert net.classes == 0
    assert np.array_equal(net.describe_rows(images), net.describe_pixels(images))
    assert np.array_equal(net.describe_rows(images, regions=False)[:, 0], net.embed(images))


@pytest.mark.parametrize("classified", [True, False])
def test_no_images_give_no_rows_of_the_same_width(classified) -> None:
    net, none = network(replace(SPEC, regions=((2, 1),))), np.zeros((0, 64, 64, 3), np.uint8)
    if classified:
        net.classify(head())
    for regions in (True, False):
        some = net.describe_rows(pixels(1), regions=regions)
        assert net.describe_rows(none, regions=regions).shape == (0, *some.shape[1:])


def test_a_classifier_is_no_part_of_the_network_and_of_its_channels() -> None:
    net = network()
    before = list(net.state_dict())
    net.classify(head())
    assert (list(net.state_dict()), net.classes) == (before, 4)
    with pytest.raises(BadRelease, match="reads 300 channels but the trunk gives 512"):
        net.classify(head(300))
