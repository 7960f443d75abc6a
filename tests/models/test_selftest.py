from dataclasses import replace

import numpy as np
import pytest

from models.archive import load_arrays, save_arrays
from models.errors import BadRelease
from models.selftest import SelfTest, drawn
from models.spec import InputSpec
from tests.models.samples import SPEC, directions, head, network

NET = network()
TEST = SelfTest.record(NET, SPEC.input)


class Skewed:
    """A network that is off by a little, in one number of one embedding."""

    def __init__(self, by: float) -> None:
        self._by = by

    def embed(self, pixels):
        rows = NET.embed(pixels).copy()
        rows[-1, 0] += self._by
        return rows


def test_the_drawings_are_of_every_bucket_and_differ() -> None:
    assert [images.shape for images in TEST.images] == [(3, 64, 64, 3), (3, 48, 80, 3)]
    for images in TEST.images:
        assert images.dtype == np.uint8
        assert images.std() > 30
        assert not np.array_equal(images[0], images[1])
    assert np.array_equal(drawn(48, 80), TEST.images[1])


def test_the_network_it_was_recorded_with_passes() -> None:
    assert TEST.check(NET, "cpu", "float32") < 1e-6
    assert TEST.dimension == 16


@pytest.mark.parametrize(
    ("device", "precision", "by", "passes"),
    [("cpu", "float32", 5e-5, True), ("cpu", "float32", 5e-4, False),
     ("cuda", "float32", 5e-4, True), ("cuda", "float32", 5e-3, False),
     ("cuda", "float16", 1e-2, True), ("cuda", "float16", 5e-2, False),
     ("cpu", "float32", float("nan"), False)],
)  # fmt: skip
def test_each_device_and_precision_has_its_tolerance(device, precision, by, passes) -> None:
    if passes:
        assert TEST.check(Skewed(by), device, precision) == pytest.approx(by, abs=1e-6)
        return
    with pytest.raises(BadRelease, match=f"self-test on {device}/{precision} failed") as caught:
        TEST.check(Skewed(by), device, precision)
    assert "\n" not in str(caught.value)


def test_a_device_without_a_tolerance_is_named() -> None:
    with pytest.raises(BadRelease, match="no self-test for tpu/int8; it has for cpu/float32"):
        TEST.check(NET, "tpu", "int8")


def test_other_weights_dimensions_and_normalisation_are_found() -> None:
    for other in (
        network(seed=1),
        network(replace(SPEC, pooling="mac")),
        network(replace(SPEC, dimension=15)),
        network(replace(SPEC, input=replace(SPEC.input, mean=(0.45, 0.45, 0.45)))),
    ):
        with pytest.raises(BadRelease):
            TEST.check(other, "cpu", "float32")


def test_a_file_gives_it_back(tmp_path) -> None:
    TEST.save(tmp_path / "s.npz")
    again = SelfTest.load(tmp_path / "s.npz")
    assert again.tolerances == TEST.tolerances
    for one, other in zip(again.images, TEST.images, strict=True):
        assert np.array_equal(one, other)
    for one, other in zip(again.embeddings, TEST.embeddings, strict=True):
        assert np.array_equal(one, other)
    TEST.save(tmp_path / "t.npz")
    assert (tmp_path / "s.npz").read_bytes() == (tmp_path / "t.npz").read_bytes()


@pytest.mark.parametrize(
    "changes",
    [
        {"images_0": np.zeros((3, 64, 64, 3), np.float32)},
        {"images_0": np.zeros((2, 64, 64, 3), np.uint8)},
        {"embeddings_0": directions(3, 9)},
        {"embeddings_0": np.zeros(3)},
        {"embeddings_0": np.array(["a", "b", "c"])},
        {"tolerances": np.zeros(1)},
        {"embeddings_1": None},
        {"images_0": None},
        {"images_0": None, "images_1": None},
        {"tolerance_keys": None},
    ],
)
def test_a_file_whose_parts_do_not_fit_is_one_line(tmp_path, changes) -> None:
    TEST.save(tmp_path / "s.npz")
    arrays = {**load_arrays(tmp_path / "s.npz"), **changes}
    save_arrays(tmp_path / "s.npz", {k: v for k, v in arrays.items() if v is not None})
    with pytest.raises(BadRelease, match=r"s\.npz") as caught:
        SelfTest.load(tmp_path / "s.npz")
    assert "\n" not in str(caught.value)


def test_a_network_with_one_bucket_has_one_set() -> None:
    spec = replace(SPEC, input=InputSpec(((64, 64),)))
    assert len(SelfTest.record(network(spec), spec.input).images) == 1


REGIONAL = network(replace(SPEC, regions=((2, 1),)))
REGIONAL_TEST = SelfTest.record(REGIONAL, SPEC.input, regions=True)


def test_regions_are_recorded_checked_and_kept(tmp_path) -> None:
    assert TEST.regions == ()
    counts = [REGIONAL.region_count(*size) for size in SPEC.input.sizes]
    assert [rows.shape for rows in REGIONAL_TEST.regions] == [(n, 16) for n in counts]
    assert REGIONAL_TEST.check(REGIONAL, "cpu", "float32") < 1e-6
    REGIONAL_TEST.save(tmp_path / "s.npz")
    again = SelfTest.load(tmp_path / "s.npz")
    for one, other in zip(again.regions, REGIONAL_TEST.regions, strict=True):
        assert np.array_equal(one, other)


class Mirrored:
    """A network whose whole embeddings are right and whose regions are of another place."""

    embed = staticmethod(REGIONAL.embed)

    def describe_pixels(self, pixels):
        rows = REGIONAL.describe_pixels(pixels)
        return np.concatenate([rows[:, :1], rows[:, :0:-1]], axis=1)


def test_regions_that_are_off_or_of_another_number_are_found() -> None:
    with pytest.raises(BadRelease, match="self-test on cpu/float32 failed"):
        REGIONAL_TEST.check(Mirrored(), "cpu", "float32")
    other = network(replace(SPEC, regions=((3, 1),)))
    with pytest.raises(BadRelease, match="regions but its release was made with"):
        REGIONAL_TEST.check(other, "cpu", "float32")


@pytest.mark.parametrize(
    "changes",
    [{"regions_0": directions(3, 9)}, {"regions_1": None}, {"regions_0": np.zeros(16)}],
)
def test_regions_that_do_not_fit_are_one_line(tmp_path, changes) -> None:
    REGIONAL_TEST.save(tmp_path / "s.npz")
    arrays = {**load_arrays(tmp_path / "s.npz"), **changes}
    save_arrays(tmp_path / "s.npz", {k: v for k, v in arrays.items() if v is not None})
    with pytest.raises(BadRelease, match=r"s\.npz") as caught:
        SelfTest.load(tmp_path / "s.npz")
    assert "\n" not in str(caught.value)


HEADED = network(replace(SPEC, regions=((2, 1),)))
HEADED.classify(head())
HEADED_TEST = SelfTest.record(HEADED, SPEC.input, regions=True, logits=True)


def test_logits_are_recorded_checked_and_kept(tmp_path) -> None:
    assert (TEST.logits, TEST.classes, HEADED_TEST.classes) == ((), 0, 4)
    counts = [3 + HEADED.region_count(*size) for size in SPEC.input.sizes]
    assert [rows.shape for rows in HEADED_TEST.logits] == [(n, 4) for n in counts]
    assert HEADED_TEST.check(HEADED, "cpu", "float32") < 1e-6
    HEADED_TEST.save(tmp_path / "s.npz")
    again = SelfTest.load(tmp_path / "s.npz")
    for one, other in zip(again.logits, HEADED_TEST.logits, strict=True):
        assert np.array_equal(one, other)


class Off:
    """A network whose embeddings are right and whose logits of one row are off."""

    embed = staticmethod(HEADED.embed)
    describe_pixels = staticmethod(HEADED.describe_pixels)

    def __init__(self, place, by: float) -> None:
        self._place, self._by = place, by

    def describe_rows(self, pixels, *, regions=True):
        rows = HEADED.describe_rows(pixels, regions=regions)
        rows[self._place][-1] += self._by
        return rows


@pytest.mark.parametrize("place", [(0, 0), (-1, 0), (-1, 2)])
def test_logits_that_are_off_are_found_of_pictures_and_of_regions(place) -> None:
    largest = max(np.abs(rows).max() for rows in HEADED_TEST.logits)
    HEADED_TEST.check(Off(place, 2e-5 * largest), "cpu", "float32")
    for by in (2e-3 * largest, float("nan")):
        with pytest.raises(BadRelease, match="self-test on cpu/float32 failed"):
            HEADED_TEST.check(Off(place, by), "cpu", "float32")


def test_a_network_with_another_number_of_logits_is_found() -> None:
    with pytest.raises(BadRelease, match="gives 0 logits but its release was made with 4"):
        HEADED_TEST.check(network(HEADED.spec), "cpu", "float32")


@pytest.mark.parametrize(
    "changes",
    [
        {"logits_0": np.zeros((3, 4))},
        {"logits_0": np.zeros(4)},
        {f"logits_{n}": rows[:, 0] for n, rows in enumerate(HEADED_TEST.logits)},
        {f"logits_{n}": rows[..., None] for n, rows in enumerate(HEADED_TEST.logits)},
        {"logits_1": None},
        {"logits_0": None},
        {"logits_1": HEADED_TEST.logits[1][:, :2]},
    ],
)
def test_logits_that_do_not_fit_are_one_line(tmp_path, changes) -> None:
    HEADED_TEST.save(tmp_path / "s.npz")
    arrays = {**load_arrays(tmp_path / "s.npz"), **changes}
    save_arrays(tmp_path / "s.npz", {k: v for k, v in arrays.items() if v is not None})
    with pytest.raises(BadRelease, match=r"s\.npz") as caught:
        SelfTest.load(tmp_path / "s.npz")
    assert "\n" not in str(caught.value)
