"""Small folders of drawn photographs, and a network that embeds them quickly."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from moderator.demo.drawings import draw, names


@dataclass(frozen=True)
class Drawn:
    """Folders of drawings, with a table of groups and sources."""

    images: Path
    lookalikes: Path
    groups: Path


def draw_folder(folder: Path, kinds: Sequence[str], seeds: Sequence[int]) -> list[Path]:
    """Draw ``<name>/<seed>.png`` for each name and seed."""
    paths = []
    for name in kinds:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for seed in seeds:
            paths.append(folder / name / f"{seed}.png")
            draw(name, seed, "indexed").resize((64, 64)).save(paths[-1])
    return paths


def write_groups(table: Path, rows: Mapping[Path, tuple[str, str]]) -> None:
    """Write a table of groups: path → (group, source)."""
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "dup_group", "source_repo"])
        for path, (group, source) in rows.items():
            writer.writerow([path.relative_to(table.parent), group, source])


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    """Three types and four kinds of harmless things, eight drawings each, of four sources."""
    base = tmp_path_factory.mktemp("drawn")
    paths = draw_folder(base / "firearms", names("firearm")[:3], range(8))
    others = [*names("lookalike")[:2], *names("harmless")[:2]]
    paths += draw_folder(base / "harmless", others, range(8))
    sources = ("north", "south", "east", "west")
    rows = {
        path: (f"{path.parent.name}-{path.stem}", sources[int(path.stem) % 4]) for path in paths
    }
    write_groups(base / "groups.csv", rows)
    return Drawn(base / "firearms", base / "harmless", base / "groups.csv")
