"""A small data set in each layout, drawn once."""

from pathlib import Path

import pytest
from rich.console import Console

from training.synthesis.order import Order
from training.synthesis.synthesize import synthesize

SMALL = {"types": 8, "images_per_type": 5, "lookalikes": 9, "harmless": 8, "side": 64}


def draw_set(folder: Path, layout: str, **changes: int) -> Path:
    """Draw a small set and return its folder."""
    order = Order(layout=layout, **{**SMALL, **changes})
    synthesize(order, folder, Console(quiet=True))
    return folder


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight types in the published layout."""
    return draw_set(tmp_path_factory.mktemp("synthesis") / "published", "firearm14k")


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same pictures in plain folders."""
    return draw_set(tmp_path_factory.mktemp("synthesis") / "folders", "folders")
