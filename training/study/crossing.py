"""Hold sources out in turn: tune on the others, test on the one, one file of results a fold.

What has its file is not run again, and a fold that was cut short goes on. Joins the other modules.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from models.index import PrototypeIndex
from models.prototypes import Prototypes
from models.types import Types
from training.errors import BadInput
from training.folder import Photo
from training.material import rounded
from training.naming import known_families
from training.study.sources import Fold, tested
from training.study.verdicts import RULES, Seen, figures

if TYPE_CHECKING:
    from training.tuning.settings import TuneSettings

FORMAT = "fold/1"


@dataclass(frozen=True)
class Crossing:
    """What is held out in turn, and where results go.

    Args:
        photos: All of them.
        types: Families of types.
        settings: Of each run, but for what it holds out.
        runs: Folder of the runs' directories.
        results: Folder of the results.
        coarse: Types whose name begins so say only that it is a firearm.
    """

    photos: tuple[Photo, ...]
    types: Types
    settings: "TuneSettings"
    runs: Path
    results: Path
    coarse: str = "coarse_"


def run_folds(crossing: Crossing, folds: Sequence[Fold], console: Console) -> None:
    """Tune and test each fold that has no results yet.

    Raises:
        BadInput: Photographs or settings cannot be used.
        ModelError: The network cannot be made.
    """
    names = [_name(fold) for fold in folds]
    if len(set(names)) < len(names):
        raise BadInput(
            "two sources would share a file of results: their names differ in signs only; "
            "rename one in the table of --groups"
        )
    crossing.results.mkdir(parents=True, exist_ok=True)
    for fold in folds:
        file = crossing.results / f"{_name(fold)}.json"
        if file.is_file():
            continue
        console.print(f"holding out {fold.source}", highlight=False)
        content = _run(crossing, fold, console)
        beside = file.with_suffix(".new")
        beside.write_text(json.dumps(content, allow_nan=False) + "\n", "utf-8")
        beside.replace(file)


def _name(fold: Fold) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in fold.source)


def _run(crossing: Crossing, fold: Fold, console: Console) -> dict[str, Any]:
    from training.study.described import describe_all
    from training.tuning.fit import fit_tune
    from training.tuning.plan import held_out

    settings = replace(crossing.settings, hold_out=fold.together, hold_out_harmless=fold.harmless)
    out = crossing.runs / _name(fold)
    result = fit_tune(crossing.photos, crossing.types, settings, out, console, resume=True)
    rows = describe_all(crossing.photos, crossing.types, settings, out, console)
    left = held_out(crossing.photos, settings)
    known = [place for place in sorted(rows) if not left[place]]
    asked = [place for place in tested(crossing.photos, fold) if place in rows]
    index = PrototypeIndex.build(_prototypes(crossing.photos, known, rows))
    seen = Seen(
        photos=tuple(crossing.photos[place] for place in asked),
        described=tuple(rounded(rows[place]) for place in asked),
        types=frozenset(crossing.photos[place].name for place in known),
        families=known_families(crossing.types),
        coarse=crossing.coarse,
    )
    return {
        "format": FORMAT,
        "source": fold.source,
        "together": list(fold.together),
        "harmless_sources": list(fold.harmless),
        "run": result,
        "settings": _portable(settings),
        "prototypes": len(known),
        "firearms": sum(photo.firearm for photo in seen.photos),
        "harmless": sum(not photo.firearm for photo in seen.photos),
        "rules": {name: figures(index, seen, rule) for name, rule in RULES.items()},
    }


def _prototypes(
    photos: Sequence[Photo], places: Sequence[int], rows: Mapping[int, Any]
) -> Prototypes:
    """Make a prototype of every photograph that was learnt from."""
    chosen = [photos[place] for place in places]
    return Prototypes(
        embeddings=rounded(np.stack([rows[place][0] for place in places])),
        ids=tuple(f"{photo.name}/{place}" for photo, place in zip(chosen, places, strict=True)),
        types=tuple(photo.name for photo in chosen),
        kinds=tuple("firearm" if photo.firearm else "lookalike" for photo in chosen),
    )


def _portable(settings: "TuneSettings") -> dict[str, Any]:
    """Return the settings without places of a machine."""
    left_out = ("cache", "workers", "threads", "weights")
    return {name: value for name, value in settings.to_json().items() if name not in left_out}
