"""What a run would do and how long it would take, from a step of each kind. Writes no run."""

import time
from typing import Any

import torch
from rich.console import Console

from training.stages.gradients import add_gradients, sum_gradients
from training.stages.learning import Learning
from training.stages.optimiser import learning_mode, make_optimiser, rate, set_rate

STEPS = 3
"""Steps that are timed after a first one."""

MEASURED = 64
"""Photographs that are embedded to know how long validation takes."""


def make_plan(learning: Learning, console: Console) -> dict[str, Any]:
    """Run a few steps and a part of validation; print and return the plan."""
    settings = learning.settings
    batches = learning.stage.batches(0)
    batch = _seconds_per_batch(learning)
    validation = _seconds_per_validation(learning)
    seconds = settings.epochs * (len(batches) * batch + validation)
    plan = {
        "stage": learning.stage.name,
        "device": str(learning.world.device),
        "processes": learning.world.size,
        **learning.sizes(),
        "epochs": settings.epochs,
        "batches_per_epoch": len(batches),
        "images_per_batch": len(batches[0].places),
        "seconds_per_batch": round(batch, 4),
        "seconds_per_validation": round(validation, 2),
        "hours": round(seconds / 3600, 3),
    }
    for name, value in plan.items():
        console.print(f"{name.replace('_', ' ')}: {value}", highlight=False)
    return plan


def _seconds_per_batch(learning: Learning) -> float:
    """Return the seconds of a batch, after one that warms up."""
    settings, world, model = learning.settings, learning.world, learning.model
    optimiser = make_optimiser(model, settings)
    learning_mode(model.network, settings)
    model.head.train()
    begin = time.monotonic()
    batches = list(enumerate(learning.stage.batches(0)))[: STEPS + 1]
    for ready in learning.feed.batches(0, batches):
        add_gradients(model, learning.stage, ready, settings, world, epoch=0, weight=1.0)
        sum_gradients(model, world)
        set_rate(optimiser, rate(settings, 0))
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        if ready.step == 0 and len(batches) > 1:
            begin = time.monotonic()
    if world.device.type == "cuda":
        torch.cuda.synchronize(world.device)
    return (time.monotonic() - begin) / max(1, len(batches) - 1)


def _seconds_per_validation(learning: Learning) -> float:
    measured = learning.stage.measured
    part = measured[:MEASURED]
    begin = time.monotonic()
    learning.embed(part)
    return (time.monotonic() - begin) / max(1, len(part)) * len(measured)
