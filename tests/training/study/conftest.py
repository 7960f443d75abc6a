"""A small drawn data set with sources, and settings that make runs short."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from training.folder import Photo, read_photos, with_groups
from training.synthesis.harmless import HARMLESS
from training.synthesis.lookalike import LOOKALIKES
from training.synthesis.order import Order
from training.synthesis.synthesize import synthesize
from training.tuning.settings import TuneSettings


@dataclass(frozen=True)
class Drawn:
    """Folders of a drawn data set, and its table of sources."""

    root: Path

    @property
    def firearms(self) -> Path:
        return self.root / "firearms"

    @property
    def harmless(self) -> Path:
        return self.root / "harmless"

    @property
    def groups(self) -> Path:
        return self.root / "sources.csv"

    def photos(self) -> tuple[Photo, ...]:
        """Return all photographs with their sources."""
        every = read_photos(self.firearms, firearm=True)
        every += read_photos(self.harmless, firearm=False)
        return tuple(with_groups(every, self.groups))


@pytest.fixture(scope="session")
def study_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("study")


@pytest.fixture(scope="session")
def pictures(study_folder: Path) -> Drawn:
    """Six types of four sources with twelve firearms each; every kind of harmless thing in each."""
    order = Order(
        types=6,
        images_per_type=8,
        lookalikes=4 * len(LOOKALIKES),
        harmless=4 * len(HARMLESS),
        side=64,
        layout="folders",
    )
    synthesize(order, study_folder / "drawn", Console(quiet=True))
    return Drawn(study_folder / "drawn")


@pytest.fixture(scope="session")
def short(study_folder: Path) -> Callable[..., TuneSettings]:
    """Return settings of a run of a second or two, with changes."""

    def settings(**changes: Any) -> TuneSettings:
        few: dict[str, Any] = {
            "backbone": "squeezenet1_1",
            "weights": "random",
            "size": 64,
            "dimension": 16,
            "cut": 8,
            "regions": ("2:1",),
            "views": 1,
            "backgrounds": 0,
            "pastes": 4,
            "epochs": 1,
            "batch": 16,
            "warmup_steps": 2,
            "precision": "float32",
            "device": "cpu",
            "tensorboard": False,
            "cache": str(study_folder / "cache"),
            "workers": 1,
            "threads": 1,
        }
        return TuneSettings(**{**few, **changes})

    return settings


@pytest.fixture(scope="session")
def quiet() -> Console:
    return Console(file=io.StringIO(), width=500)


@pytest.fixture(autouse=True)
def one_thread():
    """Small networks gain nothing from more, and the machine's other work suffers."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
