"""Embed the photographs of splits with networks, measure, and write what was found.

Joins the other modules of this package; holds no figure of merit of its own.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from rich.console import Console

from training.commit import commit
from training.data.folders import every_image_as_query
from training.data.sets import RetrievalData
from training.embedding import embed
from training.errors import BadInput
from training.folder import Photo, dataset_digest
from training.progress import progress
from training.ranking.candidates import Candidate
from training.ranking.measure import Embeddings, measure, ranking
from training.ranking.openset import LOOKALIKES
from training.ranking.results import check_out, join, results_folder, write_results
from training.ranking.sheets import write_sheets
from training.stages.readable import without_unreadable

if TYPE_CHECKING:
    from models.network import RetrievalNetwork

SHEETS = "sheets"
Splits = Mapping[int, RetrievalData]


@dataclass(frozen=True)
class How:
    """How to evaluate.

    Args:
        device: See ``models.device.resolve_device``.
        batch: Most photographs of one forward pass.
        readers: Threads that read and decode.
        lookalikes: Kinds of harmless photographs that are look-alikes.
        against: See ``training.ranking.results.write_results``.
        sheets: Queries of each sheet of a network; 0: no sheets.
        replace: Whether results that are there give way.
    """

    device: str = "auto"
    batch: int = 32
    readers: int = 2
    lookalikes: tuple[str, ...] = LOOKALIKES
    against: str | None = None
    sheets: int = 8
    replace: bool = False


def evaluate(
    candidates: Sequence[Candidate],
    read: Callable[[int], RetrievalData],
    seeds: Sequence[int],
    out: Path,
    console: Console,
    *,
    how: How | None = None,
) -> list[dict[str, Any]]:
    """Evaluate networks on splits, each on those whose test types it has not learnt.

    Args:
        candidates: At least 1.
        read: Gives the split of a seed.
        seeds: Of the splits.
        out: Folder of the results.
        console: For progress.
        how: None: as by default.

    Returns:
        The entries that were written.

    Raises:
        BadInput: A network or photograph cannot be used, or a network fits no split.
        ModelError: A network cannot be made.
    """
    from models.device import resolve_device

    asked = how or How()
    check_out(out, replace=asked.replace)
    _check_candidates(candidates, asked)
    resolve_device(asked.device)
    for candidate in candidates:
        # A network that cannot be had is found out before any photograph is read.
        candidate.load()
    splits = {seed: read(seed) for seed in seeds}
    plan = [(candidate, _fitting(candidate, splits)) for candidate in candidates]
    entries: list[dict[str, Any]] = []
    with results_folder(out) as folder:
        for candidate, own in plan:
            entries += _entries(candidate, own, folder, console, asked)
        write_results(entries, folder, made=_made(), against=asked.against)
    return entries


def join_results(
    paths: Sequence[Path],
    out: Path,
    *,
    against: str | None = None,
    replace: bool = False,
) -> list[dict[str, Any]]:
    """Write tables, figures and spread of results that were written before.

    Raises:
        BadInput: A file cannot be read, or holds what another holds too.
    """
    entries = join(paths)
    check_out(out, replace=replace)
    with results_folder(out) as folder:
        write_results(entries, folder, made=_made(), against=against)
    return entries


def _made() -> dict[str, Any]:
    return {"created": datetime.now(UTC).isoformat(timespec="seconds"), "git_commit": commit()}


def _check_candidates(candidates: Sequence[Candidate], how: How) -> None:
    if not candidates:
        raise BadInput("there is no network to evaluate; give --run or --backbone")
    known = [candidate.label for candidate in candidates]
    if how.against is not None and how.against not in known:
        raise BadInput(f"--against {how.against} is no label; there are {', '.join(known)}")


def _fitting(candidate: Candidate, splits: Splits) -> Splits:
    """Return the splits a candidate may be tested on.

    Raises:
        BadInput: There is none.
    """
    own = {seed: data for seed, data in splits.items() if candidate.fits(data)}
    if not own:
        raise BadInput(
            f"{candidate.label} learnt other photographs than the splits "
            f"{', '.join(map(str, splits))} give to training, so it may know their test types; "
            "give the --data, --groups and --split-seed of its training, or --trust-splits"
        )
    return own


def _entries(
    candidate: Candidate, splits: Splits, out: Path, console: Console, how: How
) -> list[dict[str, Any]]:
    """Embed all photographs of a network's splits once, and measure each split."""
    network = candidate.load()
    began = monotonic()
    embeddings, lost = _embedded(network, candidate.label, splits, console, how)
    seconds = monotonic() - began
    entries = []
    for seed, given in splits.items():
        data = without_unreadable(given, lost, console)
        about = candidate.described()
        entries.append(
            {
                "label": candidate.label,
                "split_seed": seed,
                **about,
                "network": network.spec.to_json(),
                "dimension": network.dimension,
                "data": {**_data(data), "unreadable": len(lost)},
                "embedding": {
                    "photographs": len(embeddings.places),
                    "seconds": round(seconds, 1),
                },
                "neighbours": candidate.neighbours,
                **measure(data, embeddings, how.lookalikes, neighbours=candidate.neighbours),
            }
        )
        _say(entries[-1], console)
        if how.sheets:
            every = every_image_as_query(data.test)
            name = _sheet_name(candidate.label, seed, about["seed"])
            ranked = ranking(every, embeddings, candidate.neighbours)
            write_sheets(every, ranked, out / SHEETS, name, how.sheets)
    return entries


def _embedded(
    network: "RetrievalNetwork", label: str, splits: Splits, console: Console, how: How
) -> tuple[Embeddings, dict[str, str]]:
    """Return embeddings, and by digest of what cannot be read why."""
    from models.device import resolve_device
    from models.serving import for_serving

    photos = list(
        {photo.digest: photo for data in splits.values() for photo in _all(data)}.values()
    )
    serving = for_serving(network.to(resolve_device(how.device)))
    with progress(console, f"embedding photographs with {label}", len(photos)) as advance:
        found = embed(
            serving,
            [photo.path for photo in photos],
            network.spec.input,
            batch=how.batch,
            readers=how.readers,
            advance=advance,
        )
    lost = {photos[place].digest: why for place, why in found.unreadable.items()}
    places = {photo.digest: place for place, photo in enumerate(photos)}
    return Embeddings(found.rows, places), lost


def _all(data: RetrievalData) -> Iterable[Photo]:
    return (
        *data.train,
        *data.validation.queries,
        *data.validation.database,
        *data.test.queries,
        *data.test.database,
        *data.harmless,
    )


def _data(data: RetrievalData) -> dict[str, Any]:
    test = (*data.test.queries, *data.test.database)
    return {
        "name": data.name,
        "digest": dataset_digest(tuple({p.digest: p for p in _all(data)}.values())),
        "train": len(data.train),
        "train_types": len({photo.name for photo in data.train}),
        "test": len({photo.digest for photo in test}),
        "test_types": len({photo.name for photo in test}),
        "queries": len(data.test.queries),
        "harmless": len(data.harmless),
    }


def _say(entry: Mapping[str, Any], console: Console) -> None:
    found = entry["protocols"]["every"]["whole"]
    console.print(
        f"{entry['label']}, split {entry['split_seed']}: mAP "
        f"{100 * found['map']['trapezoid']:.1f} %, k=1 {100 * found['recall']['1']:.1f} % of "
        f"{found['queries']} queries",
        highlight=False,
    )


def _sheet_name(label: str, split: int, seed: int | None) -> str:
    return f"{label}-split{split}" + ("" if seed is None else f"-seed{seed}")
