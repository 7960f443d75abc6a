"""Photographs embedded by a tuned network from the maps that its run learnt from.

The frozen part has seen every photograph already, as it is served; only what was tuned is run
again. Must not know folds or figures.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console

from models.regions import Window, windows
from models.types import Types
from training.errors import BadInput
from training.folder import Photo
from training.stages.trained import load_trained
from training.stages.vectors import autocast
from training.tuning.cut import halves
from training.tuning.fit import material
from training.tuning.maps import open_maps
from training.tuning.plan import VIEW
from training.tuning.settings import TuneSettings
from training.tuning.top import Top

BATCH = 128


def describe_all(
    photos: Sequence[Photo], types: Types, settings: TuneSettings, run: Path, console: Console
) -> dict[int, NDArray[np.float32]]:
    """Embed photographs, whole and by regions, as a run's network does.

    Args:
        photos: All of the run.
        types: Of the run.
        settings: Of the run.
        run: Its directory.
        console: For progress, should maps be missing.

    Returns:
        Place of a photograph → float32[1 + R, D], L2-normalised; those that cannot be read are
        not there.

    Raises:
        BadInput: The run has no network, or it was cut elsewhere.
    """
    made = material(photos, types, settings)
    store = open_maps(made.job, made.halves.lower, console)
    served = {
        made.plan[place].photo: row
        for row, place in enumerate(store.places.tolist())
        if made.plan[place].kind == VIEW and made.plan[place].number == 0
    }
    network = load_trained(run).to(made.network.device)
    if network.spec != made.network.spec:
        raise BadInput(f"{run} holds a network of other settings; tune it anew")
    cells = network.map_size(*network.spec.input.sizes[0])
    upper = halves(network.trunk, settings.cut, network.spec.input.sizes[0]).upper
    regions = windows(*cells, network.spec.regions)
    whole = Window(0, cells[0], 0, cells[1])
    top = Top(network, upper, (whole, *regions), cells, classes=1, scale=1.0, dropout=0.0)
    top = top.to(network.device).eval()
    places = sorted(served)
    found: dict[int, NDArray[np.float32]] = {}
    for begin in range(0, len(places), BATCH):
        part = places[begin : begin + BATCH]
        maps = torch.from_numpy(store.get([served[place] for place in part])).float()
        with torch.inference_mode(), autocast(network.device, settings.precision):
            rows = top(maps.to(network.device)).float().cpu().numpy()
        found.update(zip(part, rows, strict=True))
    return found
