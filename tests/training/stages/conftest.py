"""Drawn photographs that the tests of stages share, and a cache of their pixels."""

import io
from pathlib import Path

import pytest
import torch
from rich.console import Console

from tests.training.stages.samples import drawn_data
from training.data.sets import RetrievalData


@pytest.fixture(scope="session")
def stages_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the drawings are, and the cache."""
    return tmp_path_factory.mktemp("stages")


@pytest.fixture(scope="session")
def data(stages_folder: Path) -> RetrievalData:
    """Three drawn types to learn and two to validate."""
    return drawn_data(stages_folder)


@pytest.fixture(scope="session")
def cache(stages_folder: Path) -> Path:
    return stages_folder / "cache"


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
