import math

import numpy as np
import pytest
import torch

from training.method.losses import (
    class_weights,
    double_margin_contrastive_loss,
    single_margin_contrastive_loss,
    triplet_loss,
    weighted_cross_entropy,
)

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 1e-5, torch.float16: 1e-5}
COUNTS = [1, 3, 17, 101]


def distances(count, *, seed, dtype=torch.float64):
    return torch.from_numpy(np.random.default_rng(seed).uniform(0, 2, count)).to(dtype)


def flags(count, *, seed):
    return torch.from_numpy(np.random.default_rng(seed).random(count) < 0.4)


def slow_contrastive(distance, same, low, high):
    total = 0.0
    for d, y in zip(distance.double().tolist(), same.tolist(), strict=True):
        if y:
            total += 0.5 * (d - low) ** 2 if d > low else 0.0
        else:
            total += 0.5 * (high - d) ** 2 if d < high else 0.0
    return total / len(distance)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("count", COUNTS)
def test_contrastive_losses_are_what_a_loop_says(count, dtype):
    distance, same = distances(count, seed=count, dtype=dtype), flags(count, seed=1)
    for margin in (0.3, 1.1, 2.0):
        found = single_margin_contrastive_loss(distance, same, margin=margin)
        slow = slow_contrastive(distance, same, 0.0, margin)
        assert float(found) == pytest.approx(slow, rel=TOLERANCE[dtype])
    for low, high in ((0.8, 1.2), (0.0, 0.0), (0.5, 0.5), (0.3, 2.0)):
        found = double_margin_contrastive_loss(
            distance, same, positive_margin=low, negative_margin=high
        )
        slow = slow_contrastive(distance, same, low, high)
        assert float(found) == pytest.approx(slow, rel=TOLERANCE[dtype])
        assert found.dtype == (dtype if dtype.itemsize > 2 else torch.float32)


def test_the_margins_are_the_papers():
    distance = torch.tensor([0.8, 1.0, 1.2, 1.0])
    same = torch.tensor([True, True, False, False])
    loss = double_margin_contrastive_loss(distance, same)
    assert float(loss) == pytest.approx((0 + 0.2**2 / 2 + 0 + 0.2**2 / 2) / 4)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("count", COUNTS)
def test_the_triplet_loss_is_what_a_loop_says(count, dtype):
    positive, negative = (distances(count, seed=seed, dtype=dtype) for seed in (2, 3))
    columns = zip(positive.double().tolist(), negative.double().tolist(), strict=True)
    slow = sum(max(p - n + 0.2, 0.0) for p, n in columns) / count
    found = triplet_loss(positive, negative, margin=0.2)
    assert float(found) == pytest.approx(slow, rel=TOLERANCE[dtype])


@pytest.mark.parametrize("count", COUNTS)
def test_gradients(count):
    # The triplet loss has a kink where a triplet stops to cost; no random one is so near to it.
    distance, same = distances(count, seed=5).requires_grad_(), flags(count, seed=6)
    negative = distances(count, seed=7).requires_grad_()
    for loss in (
        lambda d: single_margin_contrastive_loss(d, same, margin=1.1),
        lambda d: double_margin_contrastive_loss(d, same),
    ):
        assert torch.autograd.gradcheck(loss, (distance,))
    assert torch.autograd.gradcheck(
        lambda p, n: triplet_loss(p, n, margin=0.2), (distance, negative)
    )
    logits = torch.randn(count, 5, dtype=torch.float64, requires_grad=True)
    labels, weights = torch.arange(count) % 5, class_weights([1, 2, 3, 4, 5]).double()
    for cancel in (True, False):
        assert torch.autograd.gradcheck(
            lambda rows, c=cancel: weighted_cross_entropy(rows, labels, weights, cancel=c), logits
        )


@pytest.mark.parametrize(
    ("low", "high"), [(1.2, 0.8), (-0.1, 1.0), (0.5, 2.1), (math.nan, 1.2), (0.8, math.nan)]
)
def test_margins_out_of_order_are_refused(low, high):
    with pytest.raises(ValueError, match="out of order"):
        double_margin_contrastive_loss(
            distances(3, seed=0), flags(3, seed=0), positive_margin=low, negative_margin=high
        )


@pytest.mark.parametrize("margin", [0.0, -1.0, 2.1, math.nan])
def test_a_margin_out_of_range_is_refused(margin):
    with pytest.raises(ValueError, match="is not above 0"):
        single_margin_contrastive_loss(distances(3, seed=0), flags(3, seed=0), margin=margin)
    with pytest.raises(ValueError, match="is not above 0"):
        triplet_loss(distances(3, seed=0), distances(3, seed=1), margin=margin)


def test_columns_are_never_broadcast():
    for other in (torch.ones(1, dtype=torch.bool), torch.ones(3, 1, dtype=torch.bool)):
        with pytest.raises(ValueError, match="two columns"):
            double_margin_contrastive_loss(distances(3, seed=0), other)
        with pytest.raises(ValueError, match="two columns"):
            triplet_loss(distances(3, seed=0), other.double(), margin=0.2)


def test_nothing_costs_nothing_and_can_be_differentiated():
    none = torch.zeros(0, requires_grad=True)
    logits = torch.zeros(0, 3, requires_grad=True)
    losses = [
        single_margin_contrastive_loss(none, none.bool(), margin=1.0),
        double_margin_contrastive_loss(none, none.bool()),
        triplet_loss(none, none, margin=0.2),
        weighted_cross_entropy(logits, none.long(), class_weights([1, 2, 3]), cancel=False),
        weighted_cross_entropy(logits, none.long(), class_weights([1, 2, 3]), cancel=True),
    ]
    for loss in losses:
        assert float(loss.detach()) == 0
        loss.backward()


@pytest.mark.parametrize("types", [1, 2, 127])
def test_class_weights_are_what_a_loop_says(types):
    counts = np.random.default_rng(types).integers(1, 250, types).tolist()
    ratios = [max(counts) / count for count in counts]
    slow = [ratio / sum(ratios) for ratio in ratios]
    found = class_weights(counts)
    assert found.dtype == torch.float32
    assert found.tolist() == pytest.approx(slow, rel=1e-6)
    assert class_weights(torch.tensor(counts)).equal(found)


@pytest.mark.parametrize("counts", [[], [3, 0, 2], [[1, 2]]])
def test_a_type_without_photographs_has_no_weight(counts):
    with pytest.raises(ValueError, match="at least one photograph"):
        class_weights(counts)


def slow_cross_entropy(row, label):
    return math.log(sum(math.exp(x) for x in row)) - row[label]


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize(("count", "types"), [(1, 2), (7, 3), (31, 13)])
def test_cross_entropy_is_what_a_loop_says(count, types, dtype):
    chance = np.random.default_rng(count)
    logits = torch.from_numpy(chance.normal(size=(count, types))).to(dtype)
    labels = torch.from_numpy(chance.integers(types, size=count))
    weights = class_weights(chance.integers(1, 9, types).tolist())
    each = [slow_cross_entropy(logits.double()[n].tolist(), int(labels[n])) for n in range(count)]
    scale = [float(weights[label]) for label in labels]
    slow = sum(w * x for w, x in zip(scale, each, strict=True)) / sum(scale)
    found = weighted_cross_entropy(logits, labels, weights, cancel=False)
    assert float(found) == pytest.approx(slow, rel=max(TOLERANCE[dtype], 1e-6))
    found = weighted_cross_entropy(logits, labels, weights, cancel=True)
    assert float(found) == pytest.approx(sum(each) / count, rel=TOLERANCE[dtype])


def test_weights_cancel_when_the_loss_is_taken_image_by_image():
    logits, labels = torch.randn(9, 4, dtype=torch.float64), torch.arange(9) % 4
    weights = class_weights([1, 2, 30, 4]).double()
    criterion = torch.nn.CrossEntropyLoss(weight=weights)
    released = sum(float(criterion(logits[n : n + 1], labels[n : n + 1])) for n in range(9)) / 9
    assert float(weighted_cross_entropy(logits, labels, weights, cancel=True)) == pytest.approx(
        released
    )
    assert float(weighted_cross_entropy(logits, labels, weights, cancel=False)) != pytest.approx(
        released
    )
