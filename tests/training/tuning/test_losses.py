"""Losses of partial labels against loops."""

import math

import pytest
import torch

from training.tuning.losses import flag_losses, partial_label_loss, window_loss

FIREARM = torch.tensor([True, True, True, False, False])


def log_probabilities(*shape):
    lot = torch.Generator().manual_seed(len(shape))
    return torch.randn(*shape, 5, generator=lot, dtype=torch.float64).log_softmax(-1)


def test_the_partial_loss_is_that_of_a_loop():
    found = log_probabilities(7)
    allowed = torch.rand(7, 5, generator=torch.Generator().manual_seed(1)) < 0.5
    allowed[torch.arange(7), torch.arange(7) % 5] = True
    costs = []
    for row, may in zip(found.exp().tolist(), allowed.tolist(), strict=True):
        costs.append(-math.log(sum(p for p, ok in zip(row, may, strict=True) if ok)))
    assert float(partial_label_loss(found, allowed)) == pytest.approx(sum(costs) / 7)


def test_the_partial_loss_has_a_finite_gradient():
    raw = torch.randn(3, 5, requires_grad=True)
    partial_label_loss(raw.log_softmax(-1), torch.eye(5, dtype=torch.bool)[:3]).backward()
    assert torch.isfinite(raw.grad).all()
    assert raw.grad.abs().sum() > 0


def test_all_allowed_costs_nothing():
    assert float(partial_label_loss(log_probabilities(4), torch.ones(4, 5).bool())) == (
        pytest.approx(0, abs=1e-12)
    )


def test_the_flag_loss_is_that_of_a_loop():
    found, shown = log_probabilities(4, 3), torch.arange(12).view(4, 3) % 3 == 0
    costs = flag_losses(found, FIREARM, shown)
    for n in range(4):
        for r in range(3):
            p = float(found[n, r].exp()[FIREARM].sum())
            expected = -math.log(p if shown[n, r] else 1 - p)
            assert float(costs[n, r]) == pytest.approx(expected)


def test_the_window_loss_leaves_out_what_is_not_known():
    found = log_probabilities(4, 3)
    labels = torch.tensor([[1, 0, -1], [0, -1, -1], [1, 1, 0], [-1, -1, -1]])
    costs = {1: [], 0: []}
    for n in range(4):
        for r in range(3):
            p = float(found[n, r].exp()[FIREARM].sum())
            if int(labels[n, r]) >= 0:
                costs[int(labels[n, r])].append(-math.log(p if labels[n, r] else 1 - p))
    expected = 0.3 * sum(costs[1]) / len(costs[1]) + 0.7 * sum(costs[0]) / len(costs[0])
    loss = window_loss(found, FIREARM, labels, firearm_weight=0.3, harmless_weight=0.7)
    assert float(loss) == pytest.approx(expected)


def test_the_window_loss_of_nothing_known_is_zero():
    nothing = torch.full((4, 3), -1)
    loss = window_loss(
        log_probabilities(4, 3), FIREARM, nothing, firearm_weight=1, harmless_weight=1
    )
    assert float(loss) == 0
    empty = window_loss(
        log_probabilities(4, 0), FIREARM, nothing[:, :0], firearm_weight=1, harmless_weight=1
    )
    assert float(empty) == 0
