"""Stage 2: its batches, its losses against slow obvious ones, and whole runs."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from models.network import RetrievalNetwork
from tests.training.stages.samples import SPEC, balanced_settings, retrieve_settings
from training.errors import BadInput
from training.stages.retrieve import _Retrieve, fit_retrieve
from training.stages.trained import load_trained


@pytest.fixture
def stage_of(data):
    def make(settings):
        torch.manual_seed(0)
        return _Retrieve(RetrievalNetwork(SPEC), data, settings)

    return make


def embeddings(batch):
    lot = torch.Generator().manual_seed(len(batch.places))
    return functional.normalize(torch.randn(len(batch.places), 6, generator=lot), dim=1)


def distance(a, b):
    return math.sqrt(sum((abs(float(x - y)) + 1e-6) ** 2 for x, y in zip(a, b, strict=True)))


def test_pairs_have_each_photograph_of_a_batch_once(stage_of, data, cache):
    stage = stage_of(retrieve_settings(cache))
    for batch in stage.batches(0):
        assert len(set(batch.places.tolist())) == len(batch.places)
        first, second = (batch.places[column] for column in batch.columns)
        for a, b, same in zip(first, second, batch.same_type, strict=True):
            assert a != b
            assert (data.train[a].name == data.train[b].name) == same
    assert sum(len(batch.same_type) for batch in stage.batches(0)) == 3 * (8 + 8)


def test_faithful_pairs_have_pictures_of_their_own(stage_of, data, cache):
    """A photograph that is in two pairs of a batch is varied twice, as in the released code."""
    once, each = (stage_of(retrieve_settings(cache, faithful=way)) for way in (False, True))
    for epoch in (0, 1):
        for joined, apart in zip(once.batches(epoch), each.batches(epoch), strict=True):
            assert len(apart.places) == 2 * len(apart.same_type)
            assert np.array_equal(joined.same_type, apart.same_type)
            for shared, own in zip(joined.columns, apart.columns, strict=True):
                assert np.array_equal(joined.places[shared], apart.places[own])
    assert sum(len(b.places) for b in once.batches(0)) < 2 * 3 * (8 + 8)


def test_pairs_stay_for_some_epochs_in_other_orders(stage_of, cache):
    stage = stage_of(retrieve_settings(cache, regenerate_every=2))

    def pairs(epoch):
        return [
            (int(batch.places[a]), int(batch.places[b]))
            for batch in stage.batches(epoch)
            for a, b in zip(*batch.columns, strict=True)
        ]

    assert pairs(0) != pairs(1)
    assert sorted(pairs(0)) == sorted(pairs(1))
    assert sorted(pairs(1)) != sorted(pairs(2))
    assert pairs(2) == pairs(2)


@pytest.mark.parametrize(
    ("objective", "figures"),
    [
        ("contrastive-double", {"positive_margin": 0.7, "negative_margin": 1.3}),
        ("contrastive-double", {}),
        ("contrastive-single", {"margin": 1.2}),
    ],
)
def test_pairs_cost_what_a_loop_over_them_says(objective, figures, stage_of, cache):
    settings = retrieve_settings(cache, objective=objective, figures=tuple(figures.items()))
    stage = stage_of(settings)
    near = figures.get("positive_margin", 0.8 if "double" in objective else 0.0)
    far = figures.get("negative_margin", figures.get("margin", 1.2))
    for batch in stage.batches(0):
        rows = embeddings(batch)
        costs = []
        for a, b, same in zip(*batch.columns, batch.same_type, strict=True):
            d = distance(rows[a], rows[b])
            costs.append(max(d - near, 0) ** 2 / 2 if same else max(far - d, 0) ** 2 / 2)
        assert float(stage.loss(rows, batch)) == pytest.approx(np.mean(costs), rel=1e-4)


def test_triplets_cost_what_a_loop_over_them_says(stage_of, data, cache):
    settings = retrieve_settings(
        cache, sampling="triplets", objective="triplet", figures=(("margin", 0.3),)
    )
    stage = stage_of(settings)
    for batch in stage.batches(0):
        rows = embeddings(batch)
        costs = []
        for a, p, n in zip(*batch.columns, strict=True):
            names = [data.train[batch.places[place]].name for place in (a, p, n)]
            assert names[0] == names[1] != names[2]
            costs.append(max(distance(rows[a], rows[p]) - distance(rows[a], rows[n]) + 0.3, 0))
        assert float(stage.loss(rows, batch)) == pytest.approx(np.mean(costs), rel=1e-4)


def test_harmless_photographs_join_balanced_batches_with_kinds_of_their_own(stage_of, data, cache):
    stage = stage_of(balanced_settings(cache, harmless_per_batch=3))
    for batch in stage.batches(0):
        photos = [stage.photos[place] for place in batch.places]
        assert [photo.firearm for photo in photos] == [True] * 6 + [False] * 3
        labels = stage._labels[batch.places]
        assert max(labels[:6]) <= 2 < min(labels[6:])
        by_label = {label: photo.name for label, photo in zip(labels, photos, strict=True)}
        assert all(by_label[n] == p.name for n, p in zip(labels, photos, strict=True))
    assert stage.head.state_dict()
    assert stage.batches(0)[0].places.tolist() != stage.batches(1)[0].places.tolist()


def test_harmless_photographs_that_are_not_there_are_asked_for(data, cache):
    none = replace(data, harmless=())
    with pytest.raises(BadInput, match="needs photographs of --harmless"):
        _Retrieve(RetrievalNetwork(SPEC), none, balanced_settings(cache))


def test_figures_are_those_of_a_perfect_and_of_a_blind_network(stage_of, cache):
    stage = stage_of(retrieve_settings(cache))
    names = sorted({photo.name for photo in stage.measured})
    perfect = stage.figures(
        lambda photos: np.eye(len(names), dtype=np.float32)[[names.index(p.name) for p in photos]]
    )
    assert perfect == {"map": 1.0, "map_standard": 1.0, "recall_at_1": 1.0}
    blind = stage.figures(lambda photos: np.ones((len(photos), 2), np.float32))
    assert blind["map"] < 0.8


def test_a_run_leaves_its_directory_whole(data, cache, console, tmp_path):
    settings = retrieve_settings(cache, tensorboard=True)
    out = tmp_path / "run"
    result = fit_retrieve(data, SPEC, settings, out, console)
    assert {path.name for path in out.iterdir()} == {
        "settings.json", "progress.jsonl", "tensorboard", "last", "best", "result.json",
    }  # fmt: skip
    assert list((out / "tensorboard").iterdir())
    lines = [json.loads(line) for line in (out / "progress.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [0, 1, 2, 3]
    best = max(lines[1:], key=lambda line: line["map"])
    assert (result["best_map"], result["best_epoch"]) == (best["map"], best["epoch"])
    assert json.loads((out / "result.json").read_text()) == result
    assert result["photographs_learnt_from"] == len(data.train)
    assert not result["stopped_early"]
    assert load_trained(out).spec == SPEC
    assert "epoch 3 of 3: loss" in console.file.getvalue()


def test_a_run_that_has_ended_is_not_run_again(data, cache, console, tmp_path):
    settings = retrieve_settings(cache, epochs=1)
    first = fit_retrieve(data, SPEC, settings, tmp_path / "run", console)
    again = fit_retrieve(data, SPEC, settings, tmp_path / "run", console, resume=True)
    assert again == first
    with pytest.raises(BadInput, match="holds a run already"):
        fit_retrieve(data, SPEC, settings, tmp_path / "run", console)


@pytest.mark.slow
def test_training_brings_types_together(data, cache, console, tmp_path):
    """The loss of the paper's pairs falls, without augmentation and at one size."""
    settings = retrieve_settings(
        cache, epochs=6, lr=0.02, augmentation="none", largest=64, precision="bfloat16"
    )
    fit_retrieve(data, SPEC, settings, tmp_path / "run", console)
    lines = (tmp_path / "run" / "progress.jsonl").read_text().splitlines()
    losses = [json.loads(line)["loss"] for line in lines[1:]]
    assert losses[-1] < 0.8 * losses[0]


def test_a_run_stops_when_nothing_gets_better(data, cache, console, tmp_path):
    settings = retrieve_settings(cache, epochs=30, lr=0.0, patience=2)
    result = fit_retrieve(data, SPEC, settings, tmp_path / "run", console)
    assert (result["epochs"], result["best_epoch"]) == (3, 1)
    assert result["stopped_early"]
