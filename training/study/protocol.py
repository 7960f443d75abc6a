"""Train and measure every method on every split, one file of results a run. Joins the others.

What has its file is not run again, and a run that was cut short goes on: a study may be stopped at
any time.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from models.spec import NetworkSpec
from training.data.sets import RetrievalData
from training.errors import BadInput
from training.ranking.candidates import Candidate, OffTheShelf, Trained
from training.stages.settings import RetrieveSettings
from training.study.methods import OFF_THE_SHELF, Method, Schedule, methods, pairs_shown

if TYPE_CHECKING:
    from training.ranking.evaluate import How
    from training.stages.settings import Settings


RANDOM = "random"
"""Weights that a trained method begins with may be these; without training they are None."""


@dataclass(frozen=True)
class Study:
    """What is compared, and where.

    Args:
        backbone: See ``models.spec.NetworkSpec``.
        weights: ImageNet's, see ``models.weights.load_backbone_weights``.
        schedule: How long is trained.
        runs: Folder of the runs' directories; may be thrown away when the results are there.
        results: Folder of the results.
        cache: Folder of decoded photographs; None: each run decodes anew.
        threads: Threads of each operation on the CPU; 0: as torch chooses.
        device: See ``models.device.resolve_device``.
        keep: Keep the runs' directories.
    """

    backbone: str
    weights: str
    schedule: Schedule
    runs: Path
    results: Path
    cache: Path | None = None
    threads: int = 0
    device: str = "auto"
    keep: bool = False


def run_study(
    study: Study,
    read: Callable[[int], RetrievalData],
    seeds: Sequence[int],
    labels: Sequence[str],
    console: Console,
) -> None:
    """Run the methods of these labels on the splits of these seeds.

    Args:
        study: How.
        read: Gives the split of a seed.
        seeds: Of the splits, and of each run's chance.
        labels: Of methods; empty: all.
        console: For progress.

    Raises:
        BadInput: A label is unknown, or the photographs cannot be used.
        ModelError: The network cannot be made.
    """
    trained, asked = _asked(study, labels)
    for seed in seeds:
        data = read(seed)
        for label in asked:
            if _done(study, label, seed):
                continue
            candidate: Candidate
            if label in trained:
                candidate = _trained(study, label, data, seed, console)
            else:
                weights = None if study.weights == RANDOM else study.weights
                candidate = OffTheShelf(study.backbone, weights, label, _largest(study))
            _measure(study, candidate, data, seed, console)


def plan(
    study: Study,
    read: Callable[[int], RetrievalData],
    seeds: Sequence[int],
    labels: Sequence[str],
) -> Iterator[str]:
    """Read the photographs, make the network, and yield lines on what would be run.

    Nothing is written or trained.

    Raises:
        BadInput: As ``run_study`` does.
        ModelError: The network cannot be made, or its weights cannot be had.
    """
    from models.device import resolve_device
    from training.stages.start import starting_network

    trained, asked = _asked(study, labels)
    splits = {seed: read(seed) for seed in seeds}
    device = resolve_device(study.device)
    chosen = [method for method in methods(study.schedule) if method.label in asked]
    first = next(iter(chosen), methods(study.schedule)[0])
    starting_network(_spec(study, first), study.weights)
    yield f"network {study.backbone} with weights {study.weights}, on {device}"
    for seed, data in splits.items():
        yield (
            f"split {seed} of {data.name}: {len(data.train)} photographs of "
            f"{_types(data)} types to learn from, {len(data.test.queries)} queries in "
            f"{len(data.test.database)} to test"
        )
    if len(splits) > 1 and len({data.train for data in splits.values()}) == 1:
        yield "all splits are the data set's own one: they differ in the seed of chance only"
    for label in asked:
        if label not in trained:
            yield f"{label}: {_largest(study)} px, not trained"
    types = max(map(_types, splits.values()))
    for method in chosen:
        yield _planned(method, types)


def _planned(method: Method, types: int) -> str:
    settings = method.settings
    if method.network is not None:
        return f"{method.label}: the network of {method.network}, {method.neighbours} neighbours"
    begins = f", after {method.after}" if method.after else ""
    batch, shown = settings.batch, ""
    if isinstance(settings, RetrieveSettings):
        if settings.sampling == "balanced":
            batch = settings.types_per_batch * settings.images_per_type
        elif settings.sampling == "pairs":
            shown = f"; {pairs_shown(settings, types):,} pairs in all epochs"
    return (
        f"{method.label}{begins}: {method.pooling}, {settings.smallest} to {settings.largest} px, "
        f"{settings.epochs} epochs in batches of {batch}, {settings.optimiser}{shown}"
    )


def _types(data: RetrievalData) -> int:
    return len({photo.name for photo in data.train})


def _largest(study: Study) -> int:
    """Return the longest side in pixels that networks are measured at."""
    return RetrieveSettings(**study.schedule.retrieve).largest


def _asked(study: Study, labels: Sequence[str]) -> tuple[list[str], Sequence[str]]:
    """Return the labels of methods that are trained, and those asked for.

    Raises:
        BadInput: One is unknown.
    """
    trained = [method.label for method in methods(study.schedule)]
    known = (*OFF_THE_SHELF, *trained)
    for label in labels:
        if label not in known:
            raise BadInput(f"method {label!r} is unknown; choose from {', '.join(known)}")
    return trained, labels or known


def _done(study: Study, label: str, seed: int) -> bool:
    from training.ranking.results import RESULTS

    return (_results(study, label, seed) / RESULTS).is_file()


def _results(study: Study, label: str, seed: int) -> Path:
    return study.results / f"{label}-split{seed}"


def _trained(study: Study, label: str, data: RetrievalData, seed: int, console: Console) -> Trained:
    """Train a method, after the one that it begins with; what is there already is taken."""
    method = next(m for m in methods(study.schedule) if m.label == label)
    if method.network is not None:
        own = _trained(study, method.network, data, seed, console)
        return replace(own, label=label, neighbours=method.neighbours)
    out = study.runs / f"{label}-split{seed}"
    init = study.weights
    if method.after is not None:
        init = str(_trained(study, method.after, data, seed, console).folder)
    if not (out / "result.json").is_file():
        settings = replace(
            method.settings,
            init=init,
            seed=seed,
            threads=study.threads,
            device=study.device,
            cache=None if study.cache is None else str(study.cache),
            tensorboard=study.keep,
        )
        spec = _spec(study, method)
        console.print(f"{label}, split {seed}", highlight=False)
        _fit(settings)(data, spec, settings, out, console, resume=True)
    return Trained(label, out, trusted=True)


def _fit(settings: "Settings") -> Callable[..., object]:
    """Return what trains by settings of this kind."""
    from training.stages.classify import fit_classify
    from training.stages.distil import fit_distil
    from training.stages.retrieve import fit_retrieve
    from training.stages.settings import ClassifySettings, DistilSettings

    if isinstance(settings, ClassifySettings):
        return fit_classify
    return fit_distil if isinstance(settings, DistilSettings) else fit_retrieve


def _spec(study: Study, method: Method) -> NetworkSpec:
    from training.stages.buckets import shapes

    settings = method.settings
    given = shapes(settings.largest, step=settings.bucket_step, keep_aspect=settings.keep_aspect)
    return NetworkSpec(study.backbone, method.pooling, 3.0, method.dimension, given)


def _measure(
    study: Study, candidate: Candidate, data: RetrievalData, seed: int, console: Console
) -> None:
    from training.ranking.evaluate import evaluate

    out = _results(study, candidate.label, seed)
    beside = out.with_name(f".{out.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    # Flags are measured by sources held out, which splits of types are not.
    asked = replace(data, harmless=(), untyped=())
    evaluate([candidate], lambda _: asked, [seed], beside, console, how=_how(study))
    out.parent.mkdir(parents=True, exist_ok=True)
    beside.rename(out)


def _how(study: Study) -> "How":
    from training.ranking.evaluate import How

    # The sheets show photographs, which do not belong among results that are kept.
    return How(device=study.device, sheets=0)
