"""What is wrong is found before the first epoch; a dry run writes nothing."""

import shutil
import sys
from collections import namedtuple
from dataclasses import replace

import pytest
import torch

from models.errors import BadNetwork
from tests.training.stages.samples import (
    HEADED,
    SPEC,
    balanced_settings,
    classify_settings,
    damaged,
    distil_settings,
    retrieve_settings,
)
from training.data.sets import QuerySet
from training.errors import BadInput
from training.stages.classify import fit_classify
from training.stages.distil import fit_distil
from training.stages.loop import Loop
from training.stages.retrieve import fit_retrieve


@pytest.fixture
def never(monkeypatch):
    """Fail as soon as a run gets to its first epoch."""
    monkeypatch.setattr(Loop, "train", lambda _: pytest.fail("the run has begun"))


def refused(data, settings, out, console, spec=SPEC, error=BadInput):
    with pytest.raises(error) as found:
        fit_retrieve(data, spec, settings, out, console)
    assert "\n" not in str(found.value)
    return str(found.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there(data, cache, console, tmp_path, never):
    told = refused(data, retrieve_settings(cache, device="cuda"), tmp_path / "run", console)
    assert told.startswith("--device 'cuda' cannot be used")
    assert not (tmp_path / "run").exists()


def test_a_disk_that_is_too_full_for_checkpoints(
    data, cache, console, tmp_path, never, monkeypatch
):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(2**40, 2**40, 65 * 2**20))
    told = refused(data, retrieve_settings(cache), tmp_path / "run", console)
    assert "has 65 MB free and 78 MB are needed; make room or give another --out" in told
    assert not (tmp_path / "run").exists()


def test_a_corrupt_photograph(data, cache, console, tmp_path, never):
    broken = replace(data, train=(damaged(data.train[0], tmp_path), *data.train[1:]))
    settings = retrieve_settings(cache, skip_unreadable=False)
    told = refused(broken, settings, tmp_path / "run", console)
    assert f"cannot be read: {data.train[0].name}/damaged-{data.train[0].path.name}" in told


def test_types_left_with_one_photograph_once_unreadable_ones_are_left_out(
    data, cache, console, tmp_path, never
):
    own = [photo for photo in data.train if photo.name == data.train[0].name]
    others = [photo for photo in data.train if photo.name != data.train[0].name]
    broken = replace(data, train=(own[0], damaged(own[1], tmp_path), *others))
    settings = retrieve_settings(cache)
    assert "types with one photograph" in refused(broken, settings, tmp_path / "run", console)


def test_a_type_with_one_photograph(data, cache, console, tmp_path, never):
    own = [photo for photo in data.train if photo.name != data.train[0].name]
    lonely = replace(data, train=(data.train[0], *own))
    told = refused(lonely, retrieve_settings(cache), tmp_path / "run", console)
    assert f"types with one photograph cannot be used to learn from: {data.train[0].name}" in told
    few = replace(data, classification=(data.train[0], *own))
    with pytest.raises(BadInput, match="cannot be used to learn classes of"):
        fit_classify(few, SPEC, classify_settings(cache), tmp_path / "run", console)


def test_an_empty_validation(data, cache, console, tmp_path, never):
    empty = replace(data, validation=QuerySet((), (), ()))
    told = refused(empty, retrieve_settings(cache), tmp_path / "run", console)
    assert "no photographs to validate on" in told


def test_too_many_frozen_parts_or_types(data, cache, console, tmp_path, never):
    told = refused(data, retrieve_settings(cache, freeze=99), tmp_path / "run", console)
    assert "--freeze 99 is more than" in told
    settings = balanced_settings(cache, types_per_batch=4)
    told = refused(data, settings, tmp_path / "other", console)
    assert "4 types a batch is not in 1..3" in told
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("changes", "without", "line"),
    [
        ({"types_per_batch": 4}, (), "4 types a batch is not in 1..3"),
        ({}, ("harmless",), "--harmless-per-batch needs photographs of --harmless"),
    ],
)
def test_what_cannot_be_drawn_is_found_before_decoding(
    changes, without, line, data, console, tmp_path, never
):
    settings = balanced_settings(tmp_path / "cache", **changes)
    given = replace(data, **dict.fromkeys(without, ()))
    assert line in refused(given, settings, tmp_path / "run", console)
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_found_before_decoding(data, console, tmp_path, never, monkeypatch):
    monkeypatch.delitem(sys.modules, "training.method.library", raising=False)
    monkeypatch.setitem(sys.modules, "pytorch_metric_learning", None)
    settings = balanced_settings(tmp_path / "cache")
    assert "pip install" in refused(data, settings, tmp_path / "run", console)
    assert not list(tmp_path.iterdir())


def test_photographs_that_fill_no_batch_are_found_before_decoding(data, console, tmp_path, never):
    settings = distil_settings(tmp_path / "cache", batch=1000)
    with pytest.raises(BadInput, match="do not fill a batch; give a lower --batch"):
        fit_distil(data, SPEC, settings, tmp_path / "run", console)
    assert not list(tmp_path.iterdir())


def test_a_teacher_that_is_not_there_is_found_before_decoding(data, console, tmp_path, never):
    weights = str(tmp_path / "none.pth")
    settings = distil_settings(tmp_path / "cache", teacher_weights=weights)
    with pytest.raises(BadNetwork, match="do not exist"):
        fit_distil(data, HEADED, settings, tmp_path / "run", console)
    assert not list(tmp_path.iterdir())


def test_weights_that_do_not_fit(data, cache, console, tmp_path, never):
    settings = retrieve_settings(cache, init=str(tmp_path / "none.pth"))
    told = refused(data, settings, tmp_path / "run", console, error=BadNetwork)
    assert "do not exist" in told


def test_other_settings_data_or_network_than_the_runs(data, cache, console, tmp_path):
    out = tmp_path / "run"
    fit_retrieve(data, SPEC, retrieve_settings(cache, epochs=1), out, console)

    def told(given=data, spec=SPEC, **changes):
        settings = retrieve_settings(cache, **{"epochs": 1, **changes})
        with pytest.raises(BadInput) as found:
            fit_retrieve(given, spec, settings, out, console, resume=True)
        return str(found.value)

    assert "--lr 0.01 then, 0.5 now; give the same" in told(lr=0.5)
    assert "--seed 0 then, 1 now; --batch 8" not in told(seed=1)
    assert "--data sha256:" in told(replace(data, train=data.train[1:]))
    assert "--network" in told(spec=replace(SPEC, pooling="gem"))


@pytest.mark.parametrize("kind", ["classify", "pairs", "balanced"])
def test_a_dry_run_says_what_would_be_done_and_writes_nothing(kind, data, cache, console, tmp_path):
    fit, make = {
        "classify": (fit_classify, classify_settings),
        "pairs": (fit_retrieve, retrieve_settings),
        "balanced": (fit_retrieve, balanced_settings),
    }[kind]
    plan = fit(data, SPEC, make(cache, freeze=1), tmp_path / "run", console, dry_run=True)
    assert not (tmp_path / "run").exists()
    assert plan["parameters"] - plan["parameters_learnt"] == 64 * 3 * 9 + 64
    assert plan["batches_per_epoch"] == {"classify": 5, "pairs": 6, "balanced": 6}[kind]
    assert plan["seconds_per_batch"] > 0
    assert f"batches per epoch: {plan['batches_per_epoch']}" in console.file.getvalue()


def test_the_same_seed_gives_the_same_weights_and_leaves_torch_as_it_was(
    data, cache, console, tmp_path
):
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        settings = balanced_settings(cache, epochs=1, seed=seed)
        fit_retrieve(data, SPEC, settings, tmp_path / name, console)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not torch.are_deterministic_algorithms_enabled()
    weights = [(tmp_path / name / "best" / "weights.safetensors").read_bytes() for name in "abc"]
    assert weights[0] == weights[1] != weights[2]
