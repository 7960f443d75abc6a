"""Distillation: its batches and loss, what it learns from, and whole runs."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from models.network import RetrievalNetwork
from tests.training.stages.samples import HEADED, distil_settings
from training.errors import BadInput
from training.method.losses import distillation_loss
from training.stages.batch import Batch
from training.stages.distil import NO_TYPE, SCALE, SMOOTHING, _Distil, fit_distil, nearest
from training.stages.teacher import taught
from training.stages.trained import load_trained


@pytest.fixture
def taught_data(data):
    """One of the validation's photographs, as if nobody knew its type."""
    return replace(data, untyped=data.validation.database[:1])


@pytest.fixture
def stage(taught_data, cache):
    torch.manual_seed(0)
    return _Distil(RetrievalNetwork(HEADED), taught_data, distil_settings(cache))


def test_all_photographs_are_learnt_from_and_firearms_twice_as_often(stage, taught_data):
    assert stage.photos == (*taught_data.train, *taught_data.untyped, *taught_data.harmless)
    counts = np.zeros(len(stage.photos))
    for epoch in range(400):
        batches = stage.batches(epoch)
        assert len(batches) == len(stage.photos) // 4
        assert all(len(batch.places) == 4 for batch in batches)
        counts += np.bincount(
            np.concatenate([batch.places for batch in batches]), minlength=len(counts)
        )
    firearms = len(taught_data.train) + 1
    assert counts[:firearms].mean() / counts[firearms:].mean() == pytest.approx(2, rel=0.1)


def test_the_loss_is_that_of_a_loop_over_photographs(stage):
    batch = Batch(np.array([0, 7, 18, 19, 3]))
    assert stage._labels[18] == NO_TYPE
    rows = functional.normalize(torch.randn(5, 8, generator=torch.Generator().manual_seed(1)))
    targets = [stage._targets[place] for place in batch.places]
    near = sum(1 - float(a @ b) for a, b in zip(rows, targets, strict=True)) / 5
    apart = sum(
        (float(a @ b) - float(c @ d)) ** 2
        for a, c in zip(rows, targets, strict=True)
        for b, d in zip(rows, targets, strict=True)
    )
    mistaken = []
    types = [functional.normalize(row, dim=0) for row in stage.head.weight.detach()]
    for row, place in zip(rows, batch.places, strict=True):
        label = int(stage._labels[place])
        if label == NO_TYPE:
            continue
        logits = [SCALE * float(row @ own) for own in types]
        total = math.log(sum(map(math.exp, logits)))
        costs = [total - logit for logit in logits]
        mistaken.append((1 - SMOOTHING) * costs[label] + SMOOTHING * sum(costs) / len(costs))
    expected = near + 20 * apart / 25 + 0.15 * sum(mistaken) / len(mistaken)
    assert float(stage.loss(rows, batch).detach()) == pytest.approx(expected, rel=1e-4)


def test_nothing_is_lost_where_the_learner_says_what_the_teacher_says(stage):
    targets = stage._targets[:6]
    assert float(distillation_loss(targets, targets, similarity_weight=20)) < 1e-6
    with pytest.raises(ValueError, match="differ"):
        distillation_loss(targets, targets[:, :4], similarity_weight=1)


def test_a_new_head_begins_with_what_comes_nearest_to_the_teacher(taught_data, cache):
    torch.manual_seed(0)
    network = RetrievalNetwork(HEADED)
    stage = _Distil(network, taught_data, distil_settings(cache))
    lot = np.random.default_rng(3)
    pooled = torch.from_numpy(lot.normal(size=(len(stage.photos), 512)).astype(np.float32))

    def rows():
        with torch.no_grad():
            return functional.normalize(network.head(pooled), dim=1)

    def lengths():
        return float(network.head(pooled).norm(dim=1).mean().detach())

    def wrong():
        return float((1 - (rows() * stage._targets).sum(dim=1)).mean())

    before, length = wrong(), lengths()
    stage.begin(lambda photos: rows().numpy()[[stage.photos.index(photo) for photo in photos]])
    assert wrong() < 0.8 * before
    assert lengths() == pytest.approx(length, rel=0.3)


def test_types_begin_at_the_means_of_what_the_teacher_says(stage, taught_data):
    for label, name in enumerate(sorted({photo.name for photo in taught_data.train})):
        own = [n for n, photo in enumerate(taught_data.train) if photo.name == name]
        mean = stage._targets[own].mean(dim=0)
        assert torch.allclose(stage.head.weight[label], mean, atol=1e-6)


def test_the_head_of_a_run_stays_as_it_is(taught_data, cache, tmp_path):
    network = RetrievalNetwork(HEADED)
    stage = _Distil(network, taught_data, distil_settings(cache, init=str(tmp_path)))
    before = network.head.weight.detach().clone()
    stage.begin(lambda photos: pytest.fail("nothing is to be embedded"))
    assert torch.equal(network.head.weight, before)


def test_the_nearest_map_is_found():
    lot = np.random.default_rng(4)
    rows, turn = lot.normal(size=(400, 6)), lot.normal(size=(6, 6))
    found = nearest(rows.astype(np.float32), (rows @ turn.T).astype(np.float32))
    assert found == pytest.approx(turn, abs=0.02)


def test_every_photograph_of_the_validation_is_asked(stage, taught_data):
    asked = {photo.path for photo in stage._validation.queries}
    whole = (*taught_data.validation.queries, *taught_data.validation.database)
    assert asked == {photo.path for photo in whole}
    assert set(stage.measured) == set(whole)


def test_a_network_is_judged_by_what_the_teacher_says_of_the_validation(stage, cache):
    photos = stage._validation.database
    _, said = taught(stage.photos, photos, distil_settings(cache), 8)
    own = {photo.path: row for photo, row in zip(photos, said, strict=True)}

    def judged(turn):
        figures = stage.figures(lambda asked: np.stack([own[p.path] for p in asked]) @ turn)
        return figures[stage.judged_by], figures["map"]

    mixed = np.linalg.qr(np.random.default_rng(0).normal(size=(8, 8)))[0].astype(np.float32)
    right, order = judged(np.eye(8, dtype=np.float32))
    turned, same_order = judged(mixed)
    assert right == pytest.approx(0, abs=1e-5)
    # The similarities between photographs are as they were.
    assert turned == pytest.approx(float(((said @ mixed) * said).sum(axis=1).mean()) - 1, abs=1e-4)
    assert turned < -0.1
    assert same_order == pytest.approx(order)


def test_similarities_between_photographs_count_in_the_judgement(stage, cache):
    photos = stage._validation.database
    _, said = taught(stage.photos, photos, distil_settings(cache), 8)
    other = np.roll(said, 1, axis=0)
    own = {photo.path: row for photo, row in zip(photos, other, strict=True)}
    found = stage.figures(lambda asked: np.stack([own[p.path] for p in asked]))["agreement"]
    places = range(len(said))
    near = sum(1 - float(other[n] @ said[n]) for n in places) / len(said)
    squares = [float(other[n] @ other[m] - said[n] @ said[m]) ** 2 for n in places for m in places]
    apart = sum(squares) / len(squares)
    assert 20 * apart > 0.1
    assert found == pytest.approx(-(near + 20 * apart), rel=1e-3)


def test_types_need_not_teach(taught_data, cache):
    torch.manual_seed(0)
    settings = distil_settings(cache, label_weight=0.0)
    stage = _Distil(RetrievalNetwork(HEADED), taught_data, settings)
    batch = Batch(np.arange(5))
    rows = functional.normalize(torch.randn(5, 8))
    alone = distillation_loss(rows, stage._targets[:5], similarity_weight=20)
    assert torch.equal(stage.loss(rows, batch), alone)


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"harmless_per_batch": 2}, "all of --harmless"), ({"batch": 99}, "lower --batch")],
)
def test_what_cannot_be_learnt_so_is_told(changes, said, taught_data, cache):
    with pytest.raises(BadInput, match=said):
        _Distil(RetrievalNetwork(HEADED), taught_data, distil_settings(cache, **changes))


def test_a_head_that_does_not_begin_near_the_teacher_learns(
    taught_data, cache, console, tmp_path, monkeypatch
):
    monkeypatch.setattr(_Distil, "begin", lambda stage, embed: None)
    settings = distil_settings(cache, epochs=8, lr=3e-4, head_lr_factor=5.0, batch=8)
    fit_distil(taught_data, HEADED, settings, tmp_path / "run", console)
    lines = [json.loads(line) for line in (tmp_path / "run/progress.jsonl").open()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses[-1] < 0.85 * losses[0]


def test_a_run_learns_and_is_kept(taught_data, cache, console, tmp_path):
    settings = distil_settings(cache, epochs=6, head_lr_factor=5.0)
    result = fit_distil(taught_data, HEADED, settings, tmp_path / "run", console)
    lines = [json.loads(line) for line in (tmp_path / "run/progress.jsonl").open()]
    losses = [line["loss"] for line in lines if "loss" in line]
    # By a few parts in a hundred: the head begins near its best.
    assert losses[-1] < losses[0]
    agreed = [line["agreement"] for line in lines]
    assert result["best_agreement"] == max(agreed[1:]) < 0
    assert agreed.index(max(agreed[1:]), 1) == result["best_epoch"]
    assert result["stage"] == "distil"
    network = load_trained(tmp_path / "run")
    assert network.spec.dimension == 8


def test_a_run_that_was_judged_by_something_else_does_not_go_on(
    taught_data, cache, console, tmp_path
):
    settings = distil_settings(cache, epochs=1)
    fit_distil(taught_data, HEADED, settings, tmp_path, console)
    asked = json.loads((tmp_path / "settings.json").read_text())
    (tmp_path / "settings.json").write_text(json.dumps({**asked, "judged_by": "map"}))
    with pytest.raises(BadInput, match="--judged-by map then, agreement now"):
        fit_distil(taught_data, HEADED, settings, tmp_path, console, resume=True)


def test_a_run_that_goes_on_is_the_run_that_was_not_stopped(taught_data, cache, console, tmp_path):
    settings = distil_settings(cache, epochs=2)
    fit_distil(taught_data, HEADED, settings, tmp_path / "whole", console)
    fit_distil(taught_data, HEADED, settings, tmp_path / "again", console)
    whole, again = (load_trained(tmp_path / name).state_dict() for name in ("whole", "again"))
    assert all(torch.equal(whole[name], again[name]) for name in whole)
