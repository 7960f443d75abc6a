"""Feature maps of the frozen part of a trunk for all samples of a plan, computed once.

Several processes share the shards; maps are kept in a folder that is named by all that they depend
on, so that runs share them, and what was done before a kill is not done again. Must not know types
or losses.
"""

import hashlib
import json
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from training.errors import BadInput
from training.folder import Photo
from training.progress import progress
from training.stages.checkpoint import write_whole
from training.stages.space import check_space
from training.tuning.areas import Area
from training.tuning.mapstore import MapStore, Shard, is_done, write_shard
from training.tuning.pictures import looked_at, make
from training.tuning.plan import Sample, plan_digest
from training.tuning.settings import TuneSettings

if TYPE_CHECKING:
    from torch import nn

VERSION = 2
"""Of the code that makes pictures; another one makes maps anew."""

SHARD = 512
BATCH = 32
LOWER = "lower.safetensors"


@dataclass(frozen=True, eq=False)
class Job:
    """All that a process needs to make maps; plain data.

    ``shape`` is rows, columns and channels of a map, ``shard`` how many samples are one shard,
    and ``unreadable`` the places of photographs of which nothing can be made.
    """

    photos: tuple[Photo, ...]
    plan: tuple[Sample, ...]
    settings: TuneSettings
    folder: Path
    shape: tuple[int, int, int]
    shard: int = SHARD
    unreadable: frozenset[int] = frozenset()

    @property
    def shards(self) -> int:
        """How many shards the plan has."""
        return -(-len(self.plan) // self.shard)

    @property
    def missing(self) -> tuple[int, ...]:
        """Shards that are still to be made."""
        return tuple(n for n in range(self.shards) if not is_done(self.folder, n))

    def places(self, number: int) -> range:
        """Return the places of a shard's samples."""
        return range(number * self.shard, min(len(self.plan), (number + 1) * self.shard))

    @property
    def bytes_missing(self) -> int:
        """What the missing shards take at most."""
        samples = sum(len(self.places(number)) for number in self.missing)
        return 2 * samples * int(np.prod(self.shape))


def maps_folder(
    cache: Path,
    photos: Sequence[Photo],
    plan: Sequence[Sample],
    settings: TuneSettings,
    weights: str,
) -> Path:
    """Return the folder of the maps of a plan, named by all that they depend on.

    Args:
        cache: Of all maps.
        photos: Of the plan.
        plan: What is made of them.
        settings: Backbone, cut, size, precision and seed matter.
        weights: Digest of the frozen part.
    """
    spec = settings.spec()
    named = {
        "version": VERSION,
        "plan": plan_digest(photos, plan, settings.seed),
        "input": spec.input.to_json(),
        "backbone": spec.backbone,
        "cut": settings.cut,
        "weights": weights,
        "precision": settings.precision,
    }
    text = json.dumps(named, sort_keys=True)
    return cache / f"maps-{hashlib.sha256(text.encode()).hexdigest()[:20]}"


def open_maps(job: Job, lower: "nn.Module", console: Console) -> MapStore:
    """Return the maps of a plan, making first those that no run has made.

    Args:
        job: What is to be made.
        lower: The frozen part, in evaluation mode.
        console: For progress.

    Raises:
        BadInput: Photographs cannot be read, the disk is too full, or a process was killed.
    """
    if job.missing:
        check_space(job.folder, job.bytes_missing, "--cache")
        _make_all(_looked_at(job, console), lower, console)
    store = MapStore(job.folder, job.shards)
    if not len(store):
        raise BadInput("no picture could be made of the photographs; are they readable?")
    return store


def frozen_maps(
    lower: "nn.Module", pixels: NDArray[np.uint8], settings: TuneSettings
) -> NDArray[np.float16]:
    """Return float16[N, h, w, c] of uint8[N, H, W, 3].

    Args:
        lower: The frozen part, in evaluation mode, on any device.
        pixels: Of the network's size.
        settings: Precision, and the figures of the input.
    """
    import torch

    from training.stages.vectors import autocast

    device = next(lower.parameters()).device
    spec = settings.spec().input
    images = torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).float()
    mean, std = (torch.tensor(v, device=device).view(1, 3, 1, 1) for v in (spec.mean, spec.std))
    images = torch.addcmul(-mean / std, images, 1 / (255 * std))
    images = images.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode(), autocast(device, settings.precision):
        found: NDArray[np.float16] = lower(images).permute(0, 2, 3, 1).half().cpu().numpy()
    return found


def make_shard(job: Job, lower: "nn.Module", number: int) -> None:
    """Make a shard's pictures and their maps, and write them.

    Raises:
        BadInput: A map does not fit into 16 bits, or the disk is full.
    """
    made = list(_made(job, job.places(number)))
    maps = [
        frozen_maps(lower, np.stack([m[1] for m in made[n : n + BATCH]]), job.settings)
        for n in range(0, len(made), BATCH)
    ]
    whole = np.concatenate([np.empty((0, *job.shape), np.float16), *maps])
    if not np.isfinite(whole).all():
        raise BadInput(
            "a map of the frozen part is not finite in 16 bits; give another --cut or other "
            "--weights"
        )
    shard = Shard(tuple(m[0] for m in made), tuple(m[2] for m in made), whole)
    write_shard(job.folder, number, shard)


def _made(
    job: Job, places: Sequence[int]
) -> Iterator[tuple[int, NDArray[np.uint8], tuple[Area, ...]]]:
    spec = job.settings.spec().input
    for place in places:
        sample = job.plan[place]
        if not job.unreadable.isdisjoint(sample.photos):
            continue
        made = make(sample, place, job.photos, spec, job.settings.seed)
        if made is not None:
            yield place, made.pixels, made.firearms


def _looked_at(job: Job, console: Console) -> Job:
    """Look at all photographs before hours are spent on some of them."""
    settings = job.settings
    spec, skip = settings.spec().input, settings.skip_unreadable
    return replace(
        job, unreadable=looked_at(job.photos, spec, settings.workers, console, skip=skip)
    )


def _make_all(job: Job, lower: "nn.Module", console: Console) -> None:
    import torch
    from safetensors.torch import save

    missing = job.missing
    samples = sum(len(job.places(number)) for number in missing)
    device = next(lower.parameters()).device
    with progress(console, "making maps", samples) as advance:
        if job.settings.workers == 1 or len(missing) == 1 or device != torch.device("cpu"):
            for number in missing:
                make_shard(job, lower, number)
                advance(len(job.places(number)))
            return
        tensors = {name: t.contiguous() for name, t in lower.state_dict().items()}
        write_whole(job.folder / LOWER, save(tensors))
        for number in _in_processes(job, missing):
            advance(len(job.places(number)))


def _in_processes(job: Job, missing: Sequence[int]) -> Iterator[int]:
    """Make shards in several processes; yields each once it is done."""
    # Forked processes would hang in the threads of torch.
    context = multiprocessing.get_context("spawn")
    count = min(job.settings.workers, len(missing))
    with ProcessPoolExecutor(count, context, initializer=_begin, initargs=(job,)) as pool:
        waiting = {pool.submit(_make_one, number): number for number in missing}
        try:
            while waiting:
                done, _ = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
                    yield waiting.pop(future)
        except BrokenProcessPool:
            raise BadInput(
                "a process that made maps was killed, perhaps for want of memory; give fewer "
                "--workers: what is done stays done"
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


_process: "tuple[Job, nn.Module] | None" = None
"""What a process works on, set once as it begins."""


def _begin(job: Job) -> None:
    global _process  # noqa: PLW0603 - a pool's processes have no other place
    import torch
    from safetensors.torch import load_file

    from models.backbones import trunk
    from training.tuning.cut import halves

    torch.set_num_threads(1)
    spec = job.settings.spec()
    lower = halves(trunk(spec.backbone)[0].eval(), job.settings.cut, spec.input.sizes[0]).lower
    lower.load_state_dict(load_file(job.folder / LOWER))
    _process = job, lower.to(memory_format=torch.channels_last)


def _make_one(number: int) -> None:
    if _process is None:
        raise RuntimeError("the process was not begun")
    make_shard(*_process, number)
