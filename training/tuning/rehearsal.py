"""What a run would do and how long it would take, from a part of each step. Writes nothing."""

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from training.stages.space import check_space
from training.tuning.lessons import Lessons, shows
from training.tuning.loop import Loop
from training.tuning.maps import Job, make_shard
from training.tuning.mapstore import MapStore
from training.tuning.pictures import looked_at
from training.tuning.settings import TuneSettings

if TYPE_CHECKING:
    from training.tuning.fit import Material

PICTURES = 48
"""Pictures that are made, spread over the plan."""

STEPS = 3
"""Steps that are timed after a first one."""


def rehearse(material: "Material", settings: TuneSettings, console: Console) -> dict[str, Any]:
    """Look at all photographs, make some maps, learn a few steps; print and return the plan.

    Raises:
        BadInput: Photographs cannot be read, or the disk is too full.
    """
    job, plan = material.job, material.plan
    check_space(job.folder, job.bytes_missing, "--cache")
    spec, skip = settings.spec().input, settings.skip_unreadable
    bad = looked_at(job.photos, spec, settings.workers, console, skip=skip)
    missing = sum(len(job.places(n)) for n in job.missing)
    with tempfile.TemporaryDirectory() as folder:
        per_map, per_step = _timed(replace(job, unreadable=bad), material, Path(folder),
                                   settings)  # fmt: skip
    learnt = sum(not any(material.out[n] for n in sample.photos) for sample in plan)
    steps = settings.epochs * max(1, learnt // settings.batch)
    map_hours = missing * per_map / settings.workers / 3600
    found = {
        "stage": "tune",
        "photographs": len(material.photos),
        "held out": int(material.out.sum()),
        "unreadable": len(bad),
        "pictures": len(plan),
        "pictures to learn from": learnt,
        "maps to make": missing,
        "megabytes of maps": round(job.bytes_missing / 2**20),
        "map": "x".join(map(str, job.shape)),
        "classes": len(material.classes.names),
        "regions": len(material.windows),
        "parameters that learn": sum(p.numel() for p in material.top(settings).parameters()),
        "steps": steps,
        "seconds per map and process": round(per_map, 4),
        "seconds per step": round(per_step, 4),
        "hours": round(map_hours + steps * per_step / 3600, 3),
    }
    for name, value in found.items():
        console.print(f"{name}: {value}", highlight=False)
    return found


def _timed(
    job: Job, material: "Material", folder: Path, settings: TuneSettings
) -> tuple[float, float]:
    """Return the seconds of a map and of a step."""
    chosen = _spread(job, material)
    part = replace(job, plan=tuple(job.plan[n] for n in chosen), folder=folder, shard=len(chosen))
    begin = time.monotonic()
    make_shard(part, material.halves.lower, 0)
    per_map = (time.monotonic() - begin) / len(chosen)
    lessons = Lessons(
        MapStore(folder, 1),
        part.plan,
        job.photos,
        np.ones(len(chosen), bool),
        classes=material.classes,
        windows=material.areas(),
        seed=settings.seed,
    )
    loop = Loop(material.top(settings), material.network, material.classes, lessons, settings)
    places = np.arange(settings.batch) % len(lessons)
    for step in range(STEPS + 1):
        if step == 1:
            begin = time.monotonic()
        loop.step(places, 0, 0)
    return per_map, (time.monotonic() - begin) / STEPS


def _spread(job: Job, material: "Material") -> list[int]:
    """Choose samples of firearms and others, of what is not held out and can be read."""
    usable = [
        n
        for n, sample in enumerate(job.plan)
        if job.unreadable.isdisjoint(sample.photos)
        and not any(material.out[place] for place in sample.photos)
    ]
    halves = (
        [n for n in usable if shows(job.plan[n], job.photos) == firearm]
        for firearm in (True, False)
    )
    found = [half[:: max(1, len(half) * 2 // PICTURES)] for half in halves]
    return sorted(n for half in found for n in half)
