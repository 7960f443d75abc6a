"""Stage 1: its classes and weights, and that it learns."""

import json
import math

import numpy as np
import pytest
import torch

from models.network import RetrievalNetwork
from tests.training.stages.samples import SPEC, classify_settings
from training.errors import BadInput
from training.stages.batch import Batch
from training.stages.classify import _Classify, fit_classify
from training.stages.trained import load_trained


@pytest.fixture
def stage_of(data):
    def make(settings):
        torch.manual_seed(0)
        return _Classify(RetrievalNetwork(SPEC), data, settings)

    return make


def test_photographs_are_learnt_or_measured_never_both(stage_of, data, cache):
    stage = stage_of(classify_settings(cache))
    learnt, measured = ({p.digest for p in part} for part in (stage.photos, stage.measured))
    assert not learnt & measured
    assert len(learnt) + len(measured) == len(data.classification)
    for name in {photo.name for photo in data.classification}:
        assert sum(p.name == name for p in stage.photos) == int(0.7 * 6)
    order = [batch.places.tolist() for batch in stage.batches(0)]
    assert sorted(place for places in order for place in places) == list(range(len(stage.photos)))
    assert order != [batch.places.tolist() for batch in stage.batches(1)]


def test_harmless_photographs_join_as_further_classes(stage_of, cache):
    stage = stage_of(classify_settings(cache, harmless_per_batch=2))
    batch = stage.batches(0)[0]
    photos = [stage.photos[place] for place in batch.places]
    assert [photo.firearm for photo in photos] == [True] * 4 + [False] * 2
    assert stage.head[1].out_features == 5 + 2


def test_a_faithful_classifier_begins_as_in_the_released_code(stage_of, cache):
    linear = stage_of(classify_settings(cache, faithful=True)).head[1]
    assert not linear.bias.any()
    weights = linear.weight.detach().numpy()
    assert weights.std() == pytest.approx(0.01, rel=0.1)
    # Drawn evenly, none would be so far out.
    assert abs(weights).max() > 0.025
    usual = stage_of(classify_settings(cache)).head[1]
    assert usual.bias.any()
    assert abs(usual.weight).max() <= 1 / math.sqrt(512)


@pytest.mark.parametrize("faithful", [False, True])
def test_a_run_says_whether_it_was_faithful(faithful, data, cache, console, tmp_path):
    settings = classify_settings(cache, epochs=1, faithful=faithful)
    result = fit_classify(data, SPEC, settings, tmp_path / "run", console)
    assert result["faithful"] is faithful
    asked = json.loads((tmp_path / "run" / "settings.json").read_text())
    assert asked["faithful"] is faithful


@pytest.mark.parametrize("cancel", [False, True])
def test_the_loss_weighs_types_or_not(cancel, stage_of, cache):
    """Against a loop over images: the text's weights, and those of the code, which cancel."""
    stage = stage_of(classify_settings(cache, dropout=0.0, cancel_class_weights=cancel))
    stage._weights = torch.tensor([0.1, 0.2, 0.3, 0.15, 0.25])
    batch = Batch(np.array([0, 5, 9, 13, 19, 2]))
    rows = torch.randn(6, SPEC.dimension or 512, generator=torch.Generator().manual_seed(2))
    logits = stage.head(rows).tolist()
    total = weight_sum = 0.0
    for place, row in zip(batch.places, logits, strict=True):
        label = stage._types[stage.photos[place].name]
        cost = math.log(sum(math.exp(v) for v in row)) - row[label]
        weight = 1.0 if cancel else float(stage._weights[label])
        total, weight_sum = total + weight * cost, weight_sum + weight
    assert float(stage.loss(rows, batch).detach()) == pytest.approx(total / weight_sum, rel=1e-5)


def test_features_are_scaled_before_the_classifier(stage_of, cache):
    plain = stage_of(classify_settings(cache, dropout=0.0))
    scaled = stage_of(classify_settings(cache, dropout=0.0, feature_scale=0.25))
    batch = Batch(np.arange(4))
    rows = torch.randn(4, SPEC.dimension or 512, generator=torch.Generator().manual_seed(2))
    assert torch.equal(scaled.loss(rows * 4, batch), plain.loss(rows, batch))
    lengths = [
        stage.figures(lambda photos: np.eye(len(photos), 512, dtype=np.float32))["feature_length"]
        for stage in (plain, scaled)
    ]
    assert lengths == [1.0, 0.25]


def test_figures_are_shares_of_photographs_and_the_mean_of_types(stage_of, cache):
    """Embeddings are one-hot and the classifier the identity: what is right is chosen."""
    stage = stage_of(classify_settings(cache))
    with torch.no_grad():
        stage._linear.weight.copy_(torch.eye(5, SPEC.dimension or 512))
        stage._linear.bias.zero_()
    truth = np.array([stage._types[photo.name] for photo in stage.measured])
    said = np.where(truth == 2, 3, truth)
    said[0] = (truth[0] + 1) % 5

    def embed(photos):
        return np.eye(SPEC.dimension or 512, dtype=np.float32)[said]

    right = said == truth
    means = [np.mean([r for r, t in zip(right, truth, strict=True) if t == n]) for n in range(5)]
    figures = stage.figures(embed)
    assert figures["accuracy"] == pytest.approx(sum(right) / len(right))
    assert figures["type_accuracy"] == pytest.approx(np.mean(means))


@pytest.mark.slow
def test_it_learns_and_keeps_the_network_without_its_classifier(data, cache, console, tmp_path):
    settings = classify_settings(
        cache, epochs=8, optimiser="adamw", lr=3e-4, schedule="constant", augmentation="none",
        largest=64, batch=8, dropout=0.0,
    )  # fmt: skip
    result = fit_classify(data, SPEC, settings, tmp_path / "run", console)
    lines = (tmp_path / "run" / "progress.jsonl").read_text().splitlines()
    losses = [json.loads(line)["loss"] for line in lines[1:]]
    assert losses[-1] < 0.75 * losses[0]
    assert 0 <= result["best_accuracy"] <= 1
    network = load_trained(tmp_path / "run")
    assert network.spec == SPEC
    assert not [name for name, _ in network.named_parameters() if not name.startswith("trunk.")]


def test_a_loss_that_is_not_finite_ends_the_run_with_a_remedy(data, cache, console, tmp_path):
    settings = classify_settings(cache, lr=99.0)
    with pytest.raises(BadInput, match=r"not finite in epoch .* lower --lr"):
        fit_classify(data, SPEC, settings, tmp_path / "run", console)
