"""Small painted photographs with known boxes and sources, and settings that make runs short."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from models.types import Types
from tests.training.tuning.samples import painted_photos
from training.folder import Photo
from training.tuning.settings import TuneSettings


@pytest.fixture(scope="session")
def tuning_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tuning")


@pytest.fixture(scope="session")
def photos(tuning_folder: Path) -> tuple[Photo, ...]:
    """Two types and a coarse one, two kinds of harmless things; three sources."""
    return painted_photos(tuning_folder / "photos")


@pytest.fixture(scope="session")
def cache(tuning_folder: Path) -> Path:
    return tuning_folder / "cache"


@pytest.fixture
def types() -> Types:
    return Types(
        {
            "glock": ("pistol", "Glock"),
            "shotgun": ("shotgun", "Shotgun"),
            "coarse_handgun": ("handgun", "Handgun"),
        }
    )


@pytest.fixture
def short(cache: Path) -> Callable[..., TuneSettings]:
    """Return settings of a run of a second or two, with changes."""

    def settings(**changes: Any) -> TuneSettings:
        few: dict[str, Any] = {
            "backbone": "squeezenet1_1",
            "weights": "random",
            "size": 64,
            "dimension": 16,
            "cut": 8,
            "regions": ("2:1",),
            "views": 2,
            "backgrounds": 1,
            "pastes": 6,
            "epochs": 2,
            "batch": 8,
            "lr": 1e-3,
            "warmup_steps": 2,
            "precision": "float32",
            "device": "cpu",
            "checkpoint_every": 2,
            "tensorboard": False,
            "cache": str(cache),
            "workers": 1,
            "threads": 1,
        }
        return TuneSettings(**{**few, **changes})

    return settings


@pytest.fixture
def console() -> Console:
    """What was printed is ``console.file.getvalue()``."""
    return Console(file=io.StringIO(), width=500)


@pytest.fixture(autouse=True)
def one_thread():
    """Small networks gain nothing from more, and the machine's other work suffers."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
