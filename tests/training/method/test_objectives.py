import math
import sys

import pytest
import torch

from tests.training.method.drawn import SHAPES, distance, embeddings, labels, normalised
from training.errors import BadInput
from training.method.catalogue import MININGS, OBJECTIVES
from training.method.objectives import hardest, objective

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
TOLERANCE = {torch.float64: 1e-10}
CLASSES = 6


def made(name, *, dimension=8, **figures):
    torch.manual_seed(0)
    return objective(name, dimension=dimension, classes=CLASSES, **figures)


def cost(d, same, low, high):
    return 0.5 * max(d - low, 0) ** 2 if same else 0.5 * max(high - d, 0) ** 2


def mean(values):
    return sum(values) / len(values) if values else 0.0


def slow_contrastive(rows, kinds, low, high, mining):
    rows, kinds = normalised(rows), kinds.tolist()
    positives, negatives = [], []
    for i, a in enumerate(rows):
        own, others = [], []
        for j, b in enumerate(rows):
            if i != j and (mining == "hard" or i < j):
                (own if kinds[i] == kinds[j] else others).append(distance(a, b))
        if mining == "hard":
            own, others = ([max(own)] if own else []), ([min(others)] if others else [])
        positives += [cost(d, True, low, high) for d in own]
        negatives += [cost(d, False, low, high) for d in others]
    if mining == "all":
        return mean(positives + negatives)
    return (mean(positives) + mean(negatives)) / 2


@pytest.mark.parametrize("mining", MININGS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES)
def test_contrastive_objectives_are_what_a_double_loop_says(shape, dtype, mining):
    rows, kinds = embeddings(*shape, seed=1, dtype=dtype), labels(shape[0], CLASSES, seed=2)
    single = made("contrastive-single", margin=0.9, mining=mining)
    double = made("contrastive-double", mining=mining)
    tolerance = TOLERANCE.get(dtype, 1e-4)
    slow = slow_contrastive(rows, kinds, 0.0, 0.9, mining)
    assert float(single(rows, kinds)) == pytest.approx(slow, rel=tolerance, abs=1e-9)
    slow = slow_contrastive(rows, kinds, 0.8, 1.2, mining)
    assert float(double(rows, kinds)) == pytest.approx(slow, rel=tolerance, abs=1e-9)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_gradients(name):
    rows, kinds = embeddings(9, 8, seed=3).requires_grad_(), labels(9, CLASSES, seed=4)
    loss = made(name).double()
    assert torch.autograd.gradcheck(lambda given: loss(given, kinds), (rows,))


@pytest.mark.parametrize("mining", ["balanced", "hard"])
def test_gradients_of_chosen_pairs(mining):
    rows, kinds = embeddings(9, 8, seed=3).requires_grad_(), labels(9, CLASSES, seed=4)
    loss = made("contrastive-double", mining=mining)
    assert torch.autograd.gradcheck(lambda given: loss(given, kinds), (rows,))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", OBJECTIVES)
def test_autocast_changes_nothing(name, dtype):
    rows, kinds = embeddings(13, 8, seed=5, dtype=dtype), labels(13, CLASSES, seed=6)
    plain = made(name)(rows, kinds)
    rows.requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = made(name)(rows, kinds)
    assert loss.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert float(loss.detach()) == float(plain.detach())
    loss.backward()
    assert rows.grad.dtype == dtype
    assert torch.isfinite(rows.grad).all()
    assert rows.grad.any()


@pytest.mark.parametrize("kinds", [[], [0], [0, 1, 2, 3], [1, 1, 1]], ids=str)
@pytest.mark.parametrize("name", OBJECTIVES)
def test_any_batch_can_be_trained_on(name, kinds):
    rows = torch.randn(len(kinds), 8, requires_grad=True)
    loss = made(name)
    value = loss(rows, torch.tensor(kinds, dtype=torch.int64))
    value.backward()
    assert math.isfinite(float(value.detach()))
    assert torch.isfinite(rows.grad).all()
    for parameter in loss.parameters():
        assert torch.isfinite(parameter.grad).all()


@pytest.mark.parametrize("kinds", [[0], [0, 1, 2, 3]], ids=str)
@pytest.mark.parametrize("name", ["triplet", "multi-similarity", "contrastive-double"])
def test_nothing_is_learnt_without_positives_that_are_far_or_negatives_that_are_near(name, kinds):
    rows = torch.eye(4)[: len(kinds)].requires_grad_()
    value = made(name, dimension=4)(rows, torch.tensor(kinds))
    value.backward()
    assert float(value.detach()) == 0
    assert not rows.grad.any()


def test_negative_pairs_cost_in_a_batch_without_positive_ones():
    rows = torch.tensor([[1.0, 0.0], [1.0, 0.1]])
    for mining, share in (("all", 1), ("balanced", 0.5), ("hard", 0.5)):
        found = made("contrastive-double", mining=mining)(rows, torch.tensor([0, 1]))
        d = distance(*normalised(rows))
        assert float(found) == pytest.approx(share * 0.5 * (1.2 - d) ** 2)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_equal_embeddings_have_finite_gradients(name):
    rows = torch.ones(6, 8, requires_grad=True)
    made(name)(rows, torch.tensor([0, 0, 1, 1, 2, 2])).backward()
    assert torch.isfinite(rows.grad).all()


def test_training_with_each_objective_draws_types_together():
    kinds = torch.arange(24) % CLASSES
    same = (kinds[:, None] == kinds[None]) & ~torch.eye(24, dtype=torch.bool)
    for name in OBJECTIVES:
        loss = made(name)
        rows = torch.nn.Parameter(embeddings(24, 8, seed=7, dtype=torch.float32))
        optimiser = torch.optim.Adam([rows, *loss.parameters()], lr=0.05)
        for _ in range(200):
            optimiser.zero_grad()
            loss(rows, kinds).backward()
            optimiser.step()
        units = torch.nn.functional.normalize(rows.detach(), dim=1)
        cosines = units @ units.T
        assert cosines[same].mean() > cosines[kinds[:, None] != kinds[None]].mean() + 0.5, name


@pytest.mark.parametrize("name", OBJECTIVES)
def test_shapes_that_do_not_fit_are_refused(name):
    for rows, kinds in (((3, 8), (2,)), ((3,), (3,)), ((3, 8), (3, 1))):
        with pytest.raises(ValueError, match="N rows and N labels"):
            made(name)(torch.zeros(rows), torch.zeros(kinds, dtype=torch.int64))


@pytest.mark.parametrize(
    ("name", "figures", "message"),
    [
        ("circle", {}, "no objective is called"),
        ("contrastive-double", {"positive_margin": 1.3}, "must not be above the second"),
        ("triplet", {"margin": 3.0}, "objective triplet is 3; it must be above 0"),
    ],
)
def test_figures_out_of_range_are_named(name, figures, message):
    with pytest.raises(BadInput, match=message):
        made(name, **figures)


def test_a_missing_package_is_named_and_own_objectives_need_none(monkeypatch):
    monkeypatch.delitem(sys.modules, "training.method.library", raising=False)
    monkeypatch.setitem(sys.modules, "pytorch_metric_learning", None)
    with pytest.raises(BadInput, match=r"pip install 'moderator\[training\]'"):
        made("arcface")
    made("contrastive-double")


def test_hardest_leaves_out_who_has_none():
    apart = torch.tensor([[0.0, 3.0, 1.0], [3.0, 0.0, 2.0], [1.0, 2.0, 0.0]])
    kinds = torch.tensor([0, 0, 1])
    farthest, nearest = hardest(apart, kinds[:, None] == kinds[None])
    assert farthest.tolist() == [3.0, 3.0]
    assert nearest.tolist() == [1.0, 2.0, 1.0]
    farthest, nearest = hardest(apart, torch.ones(3, 3, dtype=torch.bool))
    assert farthest.tolist() == [3.0, 3.0, 2.0]
    assert nearest.tolist() == []
