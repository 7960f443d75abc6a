"""A miniature of Firearm 14k's published layout, with drawn photographs."""

import json
import random
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

TRAIN = {"AK+47": 4, "Glock+17+pistol": 5, "Uzi+pistol": 3}
VALIDATION = {"Barrett+M107": 5, "GSh-18+pistol": 4}
TEST = {"Lewis+Gun": 6, "FN+FAL+rifle": 5}


def draw(path: Path, seed: str) -> None:
    """Draw some bars and save them; each seed gives another file."""
    chance = random.Random(seed)
    image = Image.new("RGB", (48, 32), tuple(chance.randrange(256) for _ in range(3)))
    pen = ImageDraw.Draw(image)
    for _ in range(3):
        x, y = chance.randrange(40), chance.randrange(24)
        pen.rectangle((x, y, x + 12, y + 5), fill=tuple(chance.randrange(256) for _ in range(3)))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, quality=90)


def photo_name(kind: str, number: int) -> str:
    return f"{kind}_{number:04d}.jpg"


def write_truth(split: Path, truth: object) -> None:
    (split / "query_info/ground_truth_info.json").write_text(json.dumps(truth))


def make_held(split: Path, types: dict[str, int]) -> None:
    """Draw validation or test: photographs 0 and 1 of each type are its queries."""
    truth = {}
    for kind, count in types.items():
        names = [photo_name(kind, number) for number in range(count)]
        for number, name in enumerate(names):
            folder = "query_info/query_image" if number < 2 else "database_image"
            draw(split / folder / name, name)
        truth |= dict.fromkeys(names[:2], names[2:])
    write_truth(split, truth)


@pytest.fixture
def miniature(tmp_path: Path) -> Path:
    """The folder that holds train, validation and test."""
    root = tmp_path / "firearm-dataset"
    for kind, count in TRAIN.items():
        for number in range(count):
            name = photo_name(kind, number)
            draw(root / "train" / kind / name, name)
    make_held(root / "validation", VALIDATION)
    make_held(root / "test", TEST)
    return root
