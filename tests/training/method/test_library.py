"""What the library computes, against loops that follow the papers."""

import math

import pytest
import torch

from tests.training.method.drawn import SHAPES, cosine, distance, embeddings, labels, normalised
from training.errors import BadInput
from training.method.library import library_objective
from training.method.objectives import objective

CLASSES = 6
DTYPES = [torch.float64, torch.float32, torch.bfloat16]


def made(name, dimension, **figures):
    torch.manual_seed(0)
    return objective(name, dimension=dimension, classes=CLASSES, **figures)


def batch(shape, dtype):
    return embeddings(*shape, seed=1, dtype=dtype), labels(shape[0], CLASSES, seed=2)


def slow_triplet(rows, kinds, margin, mining):
    rows, costs = normalised(rows), []
    for i, a in enumerate(rows):
        for j, p in enumerate(rows):
            for k, n in enumerate(rows):
                if i == j or kinds[i] != kinds[j] or kinds[i] == kinds[k]:
                    continue
                gap = distance(a, n) - distance(a, p)
                if {"all": True, "hard": gap <= 0, "semihard": gap > 0}[mining]:
                    costs.append(margin - gap)
    costs = [each for each in costs if each > 0]
    return sum(costs) / len(costs) if costs else 0.0


@pytest.mark.parametrize("mining", ["semihard", "hard", "all"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES)
def test_triplet(shape, dtype, mining):
    rows, kinds = batch(shape, dtype)
    found = made("triplet", shape[1], margin=0.3, mining=mining)(rows, kinds)
    slow = slow_triplet(rows, kinds.tolist(), 0.3, mining)
    assert float(found) == pytest.approx(slow, rel=1e-4, abs=1e-6)


def slow_multi_similarity(rows, kinds, alpha, beta, base, epsilon):
    rows, total = normalised(rows), 0.0
    for i, a in enumerate(rows):
        own = [cosine(a, b) for j, b in enumerate(rows) if j != i and kinds[j] == kinds[i]]
        others = [cosine(a, b) for j, b in enumerate(rows) if kinds[j] != kinds[i]]
        if not own or not others:
            # Whoever lacks one side has no hardest pair to compare the other side with: mining
            # then keeps all of it, or none.
            continue
        hard = [s for s in own if s - epsilon < max(others)]
        near = [s for s in others if s + epsilon > min(own)]
        if hard:
            total += math.log(1 + sum(math.exp(-alpha * (s - base)) for s in hard)) / alpha
        if near:
            total += math.log(1 + sum(math.exp(beta * (s - base)) for s in near)) / beta
    return total / len(rows)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(8, 3), (13, 17), (24, 8)])
def test_multi_similarity(shape, dtype):
    rows = embeddings(*shape, seed=1, dtype=dtype)
    # Every photograph has one of its type and one of another.
    kinds = torch.arange(shape[0]) % 4
    figures = {"alpha": 2.5, "beta": 30.0, "base": 0.4, "epsilon": 0.2}
    found = made("multi-similarity", shape[1], **figures)(rows, kinds)
    slow = slow_multi_similarity(rows, kinds.tolist(), **figures)
    assert float(found) == pytest.approx(slow, rel=1e-4, abs=1e-6)


def slow_softmax(rows, kinds, proxies, scale, with_margin):
    rows, proxies, total = normalised(rows), normalised(proxies), 0.0
    for a, kind in zip(rows, kinds, strict=True):
        logits = [
            scale * (with_margin(cosine(a, w)) if k == kind else cosine(a, w))
            for k, w in enumerate(proxies)
        ]
        top = max(logits)
        total += top + math.log(sum(math.exp(x - top) for x in logits)) - logits[kind]
    return total / len(rows)


def arc(degrees):
    margin = math.radians(degrees)

    def with_margin(similarity):
        angle = math.acos(max(-1.0, min(1.0, similarity)))
        if angle <= math.pi - margin:
            return math.cos(angle + margin)
        return similarity - margin * math.sin(margin)

    return with_margin


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape[1] > 1])
def test_arcface_and_cosface(shape, dtype):
    rows, kinds = batch(shape, dtype)
    for name, margin, slow in (
        ("arcface", 40.0, arc(40.0)),
        ("cosface", 0.3, lambda similarity: similarity - 0.3),
    ):
        loss = made(name, shape[1], margin=margin, scale=16.0)
        found = loss(rows, kinds)
        (weights,) = loss.parameters()
        expected = slow_softmax(rows, kinds.tolist(), weights.detach().T, 16.0, slow)
        assert float(found.detach()) == pytest.approx(expected, rel=1e-4)


def test_arcface_where_the_angle_has_no_slope():
    loss = made("arcface", 4)
    (weights,) = loss.parameters()
    rows = weights.detach().T.clone()
    rows[1] *= -1
    rows.requires_grad_()
    loss(rows, torch.arange(CLASSES)).backward()
    assert torch.isfinite(rows.grad).all()
    assert torch.isfinite(weights.grad).all()


def slow_proxy_anchor(rows, kinds, proxies, margin, alpha):
    rows, proxies = normalised(rows), normalised(proxies)
    pull = push = 0.0
    for kind, proxy in enumerate(proxies):
        own = [cosine(a, proxy) for a, k in zip(rows, kinds, strict=True) if k == kind]
        others = [cosine(a, proxy) for a, k in zip(rows, kinds, strict=True) if k != kind]
        pull += math.log(1 + sum(math.exp(-alpha * (s - margin)) for s in own))
        push += math.log(1 + sum(math.exp(alpha * (s + margin)) for s in others))
    return pull / len(set(kinds)) + push / len(proxies)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES)
def test_proxy_anchor(shape, dtype):
    rows, kinds = batch(shape, dtype)
    loss = made("proxy-anchor", shape[1], margin=0.2, alpha=20.0)
    found = loss(rows, kinds)
    (proxies,) = loss.parameters()
    slow = slow_proxy_anchor(rows, kinds.tolist(), proxies.detach(), 0.2, 20.0)
    assert float(found.detach()) == pytest.approx(slow, rel=1e-4)


@pytest.mark.parametrize("name", ["arcface", "cosface", "proxy-anchor"])
def test_heads_are_trained_and_take_their_own_labels_only(name):
    loss = made(name, 4)
    (weights,) = loss.parameters()
    assert sorted(weights.shape) == [4, CLASSES]
    loss(torch.randn(3, 4), torch.tensor([0, 1, 1])).backward()
    assert weights.grad.any()
    for wrong in (CLASSES, -1):
        with pytest.raises(ValueError, match=rf"label {wrong} is not in 0\.\.5"):
            loss(torch.randn(2, 4), torch.tensor([0, wrong]))
    with pytest.raises(BadInput, match="needs two types"):
        objective(name, dimension=4, classes=1)


def test_the_seed_decides_where_heads_start():
    first, second = (next(made("arcface", 4).parameters()) for _ in range(2))
    assert first.equal(second)


def test_only_what_the_library_computes_is_asked_of_it():
    with pytest.raises(BadInput, match="computes no objective"):
        library_objective("contrastive-double", 4, 4, {"margin": 1.0})
