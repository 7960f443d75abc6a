"""One run of a stage, from photographs to the best network: checks first, then the loop.

Joins the other parts of this package; holds no method of its own.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console

from models.network import RetrievalNetwork
from models.spec import NetworkSpec
from training.data.sets import RetrievalData
from training.folder import Photo, dataset_digest
from training.stages.chance import number
from training.stages.feed import Feed
from training.stages.gradients import Model
from training.stages.learning import Learning
from training.stages.loop import Loop, Position
from training.stages.optimiser import freeze
from training.stages.parallel import World, world
from training.stages.pixelstore import PixelStore, default_cache, open_store
from training.stages.plan import make_plan
from training.stages.process import process
from training.stages.readable import used, without_unreadable
from training.stages.run import Run
from training.stages.settings import PaperSettings, Settings
from training.stages.space import check_space
from training.stages.stage import Embed, Stage
from training.stages.start import starting_network
from training.stages.vectors import embed_photos

DETAIL = 1.25
"""Longest side of decoded photographs, over the largest of a batch: room for crops."""

COPIES = 5
"""Sizes of a network that a run writes at most: two checkpoints with momentum, and the best."""

Make = Callable[[RetrievalNetwork, RetrievalData, Any], Stage]


def fit(
    make: Make,
    *,
    data: RetrievalData,
    spec: NetworkSpec,
    settings: Settings,
    out: Path,
    console: Console,
    resume: bool,
    dry_run: bool,
) -> dict[str, Any]:
    """Train a stage, which ``make`` makes; see ``fit_classify`` and ``fit_retrieve``."""
    with world(settings.device) as team, process(settings):
        told = console if team.first else Console(quiet=True)
        torch.manual_seed(number(settings.seed, "network"))
        network = starting_network(spec, settings.init)
        freeze(network, settings)
        run, asked = Run(out), _asked(make, data, spec, settings)
        if not dry_run:
            done = _check(run, network, asked, team, resume=resume)
            if done is not None:
                told.print(f"{out} has ended already", highlight=False)
                return done
        if make.light:  # type: ignore[attr-defined]
            # What batches and figures cannot be shows before photographs are decoded.
            make(network, data, settings).batches(0)
        store, data = _pictures(data, spec, settings, team, told)
        # Of the classifier or the objective, which the stage draws.
        torch.manual_seed(number(settings.seed, "stage"))
        learning = _learning(make(network, data, settings), network, store, settings, team)
        if dry_run:
            return make_plan(learning, told)
        if team.first:
            run.begin(asked)
        position = Loop(learning, run, told).train()
        result = {**_result(learning, position), **_origin(data)}
        if team.first:
            run.finish(result)
        team.wait()
        return result


def _check(
    run: Run, network: RetrievalNetwork, asked: dict[str, Any], team: World, *, resume: bool
) -> dict[str, Any] | None:
    """Look at the run's directory and its disk; returns the result of a run that has ended."""
    if team.first:
        size = sum(t.numel() * t.element_size() for t in network.state_dict().values())
        check_space(run.folder, COPIES * size, "--out")
        run.check(asked, resume=resume)
    team.wait()
    return run.result()


def _pictures(
    data: RetrievalData, spec: NetworkSpec, settings: Settings, team: World, console: Console
) -> tuple[PixelStore, RetrievalData]:
    """Decode photographs, the first process before the others."""
    cache = Path(settings.cache) if settings.cache else default_cache()
    largest = max(settings.largest, *(side for size in spec.input.sizes for side in size))
    photos = tuple(used(data))
    if not team.first:
        team.wait()
    store = open_store(photos, round(DETAIL * largest), cache, console, readers=settings.workers)
    if team.first:
        team.wait()
    skip = settings.skip_unreadable
    return store, without_unreadable(data, store.unreadable, console, skip=skip)


def _learning(
    stage: Stage, network: RetrievalNetwork, store: PixelStore, settings: Settings, team: World
) -> Learning:
    # Again, as there may be fewer photographs now: those that cannot be read are left out.
    stage.batches(0)
    model = Model(network, stage.head).to(team.device)
    model = model.to(memory_format=torch.channels_last)
    return Learning(
        model=model,
        stage=stage,
        feed=Feed(store, stage.photos, stage.scenes, settings, team.share),
        embed=_embed(network, store, stage, settings, team),
        settings=settings,
        world=team,
    )


def _embed(
    network: RetrievalNetwork, store: PixelStore, stage: Stage, settings: Settings, team: World
) -> Embed:
    def embed(photos: Sequence[Photo]) -> NDArray[np.float32]:
        return embed_photos(
            network,
            store,
            photos,
            team,
            precision=settings.precision,
            normalised=stage.normalised,
            workers=settings.workers,
        )

    return embed


def _asked(
    make: Make, data: RetrievalData, spec: NetworkSpec, settings: Settings
) -> dict[str, Any]:
    return {
        **settings.to_json(),
        "stage": make.name,  # type: ignore[attr-defined]
        # The best so far, in a checkpoint, is a figure of this name.
        "judged_by": make.judged_by,  # type: ignore[attr-defined]
        "network": spec.to_json(),
        "data": dataset_digest(tuple(used(data))),
    }


def _result(learning: Learning, position: Position) -> dict[str, Any]:
    stage, settings = learning.stage, learning.settings
    return {
        "stage": stage.name,
        **({"faithful": settings.faithful} if isinstance(settings, PaperSettings) else {}),
        f"best_{stage.judged_by}": position.best,
        "best_epoch": position.best_epoch,
        "epochs": position.epoch,
        "stopped_early": position.epoch < settings.epochs,
        "batches_per_epoch": len(stage.batches(0)),
        "seconds": round(position.seconds, 1),
        "images": position.images,
        "images_per_second": round(position.images / max(position.seconds, 1e-9), 1),
        **learning.sizes(),
        "device": _device_name(learning.world.device),
        "processes": learning.world.size,
        "torch": torch.__version__,
        "seed": settings.seed,
    }


def _origin(data: RetrievalData) -> dict[str, Any]:
    """Return what a run was trained on and judged by."""
    return {
        "data": data.name,
        "dataset_digest": dataset_digest(tuple(used(data))),
        "types": {
            "train": sorted({photo.name for photo in data.train}),
            "validation": sorted({photo.name for photo in data.validation.queries}),
        },
    }


def _device_name(device: torch.device) -> str:
    if device.type != "cuda":
        return device.type
    return f"cuda ({torch.cuda.get_device_name(device)})"
