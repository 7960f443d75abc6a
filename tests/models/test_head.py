from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save

from models.errors import BadRelease
from models.head import FILE, TYPES, Head, HeadClass
from tests.models.samples import head

HEAD = head()


def files(folder) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in (FILE, TYPES)}


@pytest.mark.parametrize("half", [True, False])
def test_a_file_gives_it_back_in_the_precision_that_it_has(tmp_path, half) -> None:
    weight = HEAD.weight.astype(np.float16).astype(np.float32) if half else HEAD.weight
    one = replace(HEAD, weight=weight)
    one.save(tmp_path)
    again = Head.load(tmp_path, files(tmp_path))
    assert again.classes == one.classes
    assert np.array_equal(again.weight, one.weight)
    assert np.array_equal(again.bias, one.bias)
    assert again.digest == one.digest
    assert (len((tmp_path / FILE).read_bytes()) < 3 * one.weight.size) == half


def test_the_table_of_types_keeps_what_else_it_says(tmp_path) -> None:
    (tmp_path / TYPES).write_text('{"types": {}}')
    HEAD.save(tmp_path)
    assert b'"types": {}' in (tmp_path / TYPES).read_bytes()


def test_its_logits_are_of_the_features_direction() -> None:
    features = np.random.default_rng(0).standard_normal((3, 2, HEAD.channels)).astype(np.float32)
    found = HEAD.logits(features)
    assert (found.shape, found.dtype) == ((3, 2, len(HEAD)), np.float32)
    row = features[1, 1].astype(np.float64)
    expected = HEAD.weight @ (row / np.linalg.norm(row)) + HEAD.bias
    assert found[1, 1] == pytest.approx(expected, abs=1e-4)
    assert HEAD.logits(7 * features) == pytest.approx(found, abs=1e-4)
    # What shows nothing gives the bias, and no NaN.
    assert np.array_equal(HEAD.logits(np.zeros((1, HEAD.channels), np.float32))[0], HEAD.bias)


def test_its_digest_names_classes_weights_and_biases() -> None:
    renamed = (replace(HEAD.classes[0], name="other"), *HEAD.classes[1:])
    others = (
        replace(HEAD, classes=renamed),
        replace(HEAD, weight=HEAD.weight + 1),
        replace(HEAD, bias=HEAD.bias + 1),
    )
    assert len({each.digest for each in (HEAD, *others)}) == 4


CLASSES = HEAD.classes
NAN = np.where(np.arange(len(HEAD)) == 1, np.nan, 0).astype(np.float32)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"bias": HEAD.bias[1:]}, "do not fit 4 classes"),
        ({"weight": HEAD.weight[1:]}, "do not fit 4 classes"),
        ({"weight": HEAD.weight[0]}, "do not fit 4 classes"),
        ({"classes": CLASSES[1:]}, "do not fit 3 classes"),
        ({"weight": HEAD.weight.astype(np.float64)}, "float64, float32, not float32"),
        ({"bias": NAN}, "class 'type1' has weights that are not finite"),
        ({"weight": HEAD.weight + NAN[:, None]}, "class 'type1' has weights that are not finite"),
        ({"bias": HEAD.bias + 1e5}, "logits above 30000"),
        ({"weight": HEAD.weight * 1e6}, "logits above 30000"),
        ({"classes": (*CLASSES[:3], CLASSES[2])}, r"class 'type2' \(firearm\) twice"),
        ({"classes": (HeadClass("", "firearm"), *CLASSES[1:])}, "named ''"),
        ({"classes": (HeadClass(3, "firearm"), *CLASSES[1:])}, "named 3"),
        ({"classes": (HeadClass("a", "override"), *CLASSES[1:])}, "'a' is of kind 'override'"),
        ({"classes": tuple(HeadClass(c.name, "firearm") for c in CLASSES)}, "of look-alikes"),
    ],
)
def test_a_head_whose_parts_do_not_fit_is_one_line(changes, said) -> None:
    with pytest.raises(BadRelease, match=said) as caught:
        replace(HEAD, **changes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        (FILE, b""),
        (FILE, b"\xff" * 99),
        (FILE, save({"weight": HEAD.weight})),
        (FILE, save({"weight": HEAD.weight.astype(np.int64), "bias": HEAD.bias})),
        (FILE, save({"weight": HEAD.weight[:, 0], "bias": HEAD.bias})),
        (TYPES, b"{}"),
        (TYPES, b'{"classes": 3}'),
        (TYPES, b'{"classes": [{"name": "a"}]}'),
        (TYPES, b'{"classes": ["a", "b", "c", "d"]}'),
        (TYPES, b'{"classes": [{"name": ["a"], "kind": "firearm"}]}'),
        (TYPES, b"no JSON"),
    ],
)
def test_a_damaged_file_is_one_line(tmp_path, name, raw) -> None:
    HEAD.save(tmp_path)
    with pytest.raises(BadRelease, match=r"head\.safetensors is not a head") as caught:
        Head.load(tmp_path, {**files(tmp_path), name: raw})
    assert "\n" not in str(caught.value)
