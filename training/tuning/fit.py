"""One run of tuning, from photographs to the network: checks, maps, then the loop.

Joins the other parts of this package; holds no method of its own.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch import nn

from models.device import resolve_device
from models.network import RetrievalNetwork
from models.regions import Window, windows
from models.types import Types
from training.errors import BadInput
from training.folder import Photo, dataset_digest
from training.stages.chance import number
from training.stages.pixelstore import default_cache
from training.stages.process import process
from training.stages.run import Run
from training.stages.settings import Settings
from training.stages.space import check_space
from training.stages.start import starting_network
from training.tuning.areas import Area
from training.tuning.cut import Halves, halves, weights_digest
from training.tuning.labels import Classes, classes_of
from training.tuning.lessons import Lessons
from training.tuning.loop import Loop
from training.tuning.maps import Job, maps_folder, open_maps
from training.tuning.plan import Sample, held_out, learners, make_plan
from training.tuning.rehearsal import rehearse
from training.tuning.settings import TuneSettings
from training.tuning.top import Top

COPIES = 5
"""Sizes of a network that a run writes at most: two checkpoints with momentum, and the best."""


@dataclass(frozen=True, eq=False)
class Material:
    """All that a run is made of before maps are; ``cells`` are of the trunk's whole map."""

    photos: tuple[Photo, ...]
    plan: tuple[Sample, ...]
    out: NDArray[np.bool_]
    classes: Classes
    network: RetrievalNetwork
    halves: Halves
    cells: tuple[int, int]
    job: Job

    @property
    def windows(self) -> tuple[Window, ...]:
        """The network's regions on the trunk's map."""
        return windows(*self.cells, self.network.spec.regions)

    def areas(self) -> list[Area]:
        """Return which part of the picture each window shows."""
        rows, columns = self.cells
        return [
            Area(w.left / columns, w.top / rows, w.right / columns, w.bottom / rows)
            for w in self.windows
        ]

    def top(self, settings: TuneSettings) -> Top:
        """Return what learns, on the device of the network; the classifier is drawn anew."""
        whole = Window(0, self.cells[0], 0, self.cells[1])
        torch.manual_seed(number(settings.seed, "classifier"))
        return Top(
            self.network,
            self.halves.upper,
            (whole, *self.windows),
            self.cells,
            classes=len(self.classes.names),
            scale=settings.scale,
            dropout=settings.dropout,
        ).to(self.network.device)


def fit_tune(
    photos: Sequence[Photo],
    types: Types,
    settings: TuneSettings,
    out: Path,
    console: Console,
    *,
    resume: bool = False,
    dry_run: bool = False,
) -> dict[str, Any]:
    """Tune the top of a trunk and a head on photographs with firearms and without.

    Args:
        photos: All of them, those of held-out sources too: maps are made of all once, and runs
            that hold out others share them.
        types: The families of types.
        settings: Of the run.
        out: The run's directory; see ``training.stages.run``.
        console: For progress.
        resume: Go on with the run in ``out`` if there is one.
        dry_run: Read everything, time a part of each step, return the plan, and write nothing.

    Returns:
        What ``result.json`` holds; of a dry run, the plan.

    Raises:
        BadInput: Photographs, settings or the run's directory cannot be used.
        ModelError: The network cannot be made.
    """
    strict = Settings(threads=settings.threads, deterministic=settings.deterministic)
    with process(strict):
        made = material(photos, types, settings)
        if dry_run:
            return rehearse(made, settings, console)
        run = Run(out)
        size = sum(t.numel() * t.element_size() for t in made.network.state_dict().values())
        check_space(out, COPIES * size, "--out")
        asked = _asked(made, types, settings)
        run.check(asked, resume=resume)
        if (done := run.result()) is not None:
            console.print(f"{out} has ended already", highlight=False)
            return done
        begin = time.monotonic()
        store = open_maps(made.job, made.halves.lower, console)
        seconds = time.monotonic() - begin
        run.begin(asked)
        lessons = Lessons(
            store,
            made.plan,
            made.photos,
            learners(made.plan, made.out),
            classes=made.classes,
            windows=made.areas(),
            seed=settings.seed,
        )
        loop = Loop(made.top(settings), made.network, made.classes, lessons, settings)
        figures = loop.train(run, console)
        result = {
            **figures,
            "maps": len(store),
            "maps_seconds": round(seconds, 1),
            **_origin(made, lessons, settings),
        }
        run.finish(result)
        return result


def material(photos: Sequence[Photo], types: Types, settings: TuneSettings) -> Material:
    """Return all that a run is made of, its network as it begins.

    Raises:
        BadInput: Nothing is left to learn from.
        ModelError: The network cannot be made.
    """
    photos = tuple(photos)
    out = held_out(photos, settings)
    kept = [photo for photo, left in zip(photos, out, strict=True) if not left]
    for firearm, what in ((True, "of firearms"), (False, "without firearms")):
        if not any(photo.firearm == firearm for photo in kept):
            raise BadInput(f"no photographs {what} are left to learn from; hold out less")
    classes = classes_of(kept, types)
    network = _network(settings)
    size = network.spec.input.sizes[0]
    cut = halves(network.trunk, settings.cut, size)
    shape = _map_shape(cut.lower, size)
    network = network.to(resolve_device(settings.device)).to(memory_format=torch.channels_last)
    plan = make_plan(photos, settings)
    cache = Path(settings.cache) if settings.cache else default_cache()
    folder = maps_folder(cache, photos, plan, settings, weights_digest(cut.lower))
    job = Job(photos, plan, replace(settings, hold_out=(), hold_out_harmless=()), folder, shape)
    return Material(photos, plan, out, classes, network, cut, network.map_size(*size), job)


def _network(settings: TuneSettings) -> RetrievalNetwork:
    torch.manual_seed(number(settings.seed, "network"))
    network = starting_network(settings.spec(), settings.weights).eval()
    if network.head is not None:
        nn.init.orthogonal_(network.head.weight)
        nn.init.zeros_(network.head.bias)
    return network


def _map_shape(lower: nn.Module, size: tuple[int, int]) -> tuple[int, int, int]:
    with torch.inference_mode():
        _, channels, rows, columns = lower(torch.zeros(1, 3, *size)).shape
    return rows, columns, channels


def _asked(material: Material, types: Types, settings: TuneSettings) -> dict[str, Any]:
    return {
        **settings.to_json(),
        "stage": "tune",
        "network": material.network.spec.to_json(),
        "data": dataset_digest(material.photos),
        "maps": material.job.folder.name,
        "types": {name: types.family(name) for name in types.names},
    }


def _origin(material: Material, lessons: Lessons, settings: TuneSettings) -> dict[str, Any]:
    """Return what a run was trained on."""
    kinds = [sample.kind for sample in lessons.samples]
    return {
        "samples": {kind: kinds.count(kind) for kind in sorted(set(kinds))},
        "photographs": int((~material.out).sum()),
        "held_out": int(material.out.sum()),
        "hold_out": list(settings.hold_out),
        "hold_out_harmless": list(settings.hold_out_harmless),
        "dataset_digest": dataset_digest(material.photos),
        "types": sorted(name for firearm, name in material.classes.names if firearm),
        "kinds": sorted(name for firearm, name in material.classes.names if not firearm),
        "regions": len(material.windows),
        "device": material.network.device.type,
        "torch": torch.__version__,
        "seed": settings.seed,
    }
