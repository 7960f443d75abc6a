"""Train and measure every method on every split, one file of results a run. Joins the others.

What has its file is not run again, and a run that was cut short goes on: a study may be stopped at
any time.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from models.spec import NetworkSpec
from training.data.sets import RetrievalData
from training.errors import BadInput
from training.ranking.candidates import Candidate, OffTheShelf, Trained
from training.stages.space import check_space
from training.study.methods import OFF_THE_SHELF, Method, Schedule, methods

if TYPE_CHECKING:
    from training.ranking.evaluate import How
    from training.stages.settings import Settings


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
        keep: Keep the runs' directories.
    """

    backbone: str
    weights: str
    schedule: Schedule
    runs: Path
    results: Path
    cache: Path | None = None
    threads: int = 0
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
    trained = [method.label for method in methods(study.schedule)]
    known = (*OFF_THE_SHELF, *trained)
    for label in labels:
        if label not in known:
            raise BadInput(f"method {label!r} is unknown; choose from {', '.join(known)}")
    check_space(study.results, 0, "--out")
    check_space(study.runs, 0, "--runs")
    for seed in seeds:
        data = read(seed)
        for label in labels or known:
            if _done(study, label, seed):
                continue
            candidate: Candidate
            if label in trained:
                candidate = _trained(study, label, data, seed, console)
            else:
                size = study.schedule.retrieve["largest"]
                candidate = OffTheShelf(study.backbone, study.weights, label, size)
            _measure(study, candidate, data, seed, console)


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
    evaluate([candidate], lambda _: asked, [seed], beside, console, how=_how())
    out.parent.mkdir(parents=True, exist_ok=True)
    beside.rename(out)


def _how() -> "How":
    from training.ranking.evaluate import How

    # The sheets show photographs, which do not belong among results that are kept.
    return How(device="cpu", sheets=0)
