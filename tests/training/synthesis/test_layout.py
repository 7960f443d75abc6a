"""The files of a drawn data set, read back with plain code and with the readers of training."""

import csv
import json
from pathlib import Path

import pytest
from PIL import Image

from tests.training.synthesis.conftest import SMALL
from training.data.firearm14k import read_firearm14k
from training.folder import read_photos, with_groups
from training.synthesis.design import designs
from training.synthesis.harmless import HARMLESS
from training.synthesis.layout import split_types
from training.synthesis.lookalike import LOOKALIKES

TYPES, EACH = SMALL["types"], SMALL["images_per_type"]


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def type_name(file: str) -> str:
    name, number = file.removesuffix(".jpg").rsplit("_", 1)
    assert len(number) == 4 and 1 <= int(number) <= EACH
    return name


def truth(published: Path, split: str) -> dict[str, list[str]]:
    file = published / "firearm-dataset" / split / "query_info" / "ground_truth_info.json"
    return json.loads(file.read_text())


def held_names(published: Path, split: str) -> tuple[set[str], set[str]]:
    root = published / "firearm-dataset" / split
    queries = {path.name for path in (root / "query_info" / "query_image").iterdir()}
    return queries, {path.name for path in (root / "database_image").iterdir()}


def test_the_folders_are_the_published_ones_and_harmless(published):
    assert {path.name for path in published.iterdir()} == {
        "firearm-dataset",
        "firearm-train-val",
        "harmless",
    }
    root = published / "firearm-dataset"
    assert {path.name for path in root.iterdir()} == {"train", "validation", "test"}
    for split in ("validation", "test"):
        assert {p.name for p in (root / split).iterdir()} == {"database_image", "query_info"}
        inner = {p.name for p in (root / split / "query_info").iterdir()}
        assert inner == {"query_image", "ground_truth_info.json"}


@pytest.mark.parametrize("split", ["validation", "test"])
def test_each_query_lists_all_of_its_type_in_the_database(published, split):
    queries, database = held_names(published, split)
    lists = truth(published, split)
    assert set(lists) == queries
    assert not queries & database
    for query, right in lists.items():
        assert right
        assert sorted(right) == sorted(f for f in database if type_name(f) == type_name(query))
    per_type = [sum(type_name(q) == name for q in queries) for name in set(map(type_name, queries))]
    assert set(per_type) == {2}
    assert len(queries) + len(database) == len(per_type) * EACH


def test_splits_share_no_type_and_hold_all(published):
    train = {path.name for path in (published / "firearm-dataset" / "train").iterdir()}
    held = [set(map(type_name, held_names(published, s)[1])) for s in ("validation", "test")]
    assert not train & held[0] and not train & held[1] and not held[0] & held[1]
    assert sorted(map(len, (train, *held))) == [2, 2, 4]
    names = {design.name for design in designs(0, TYPES)}
    assert train | held[0] | held[1] == names
    for name in train:
        files = {p.name for p in (published / "firearm-dataset" / "train" / name).iterdir()}
        assert files == {f"{name}_{number:04d}.jpg" for number in range(1, EACH + 1)}


def test_classification_holds_train_and_validation_as_equal_files(published):
    root = published / "firearm-dataset"
    there = {
        path.name: path.read_bytes()
        for part in ("train", "validation")
        for path in (root / part).rglob("*.jpg")
    }
    copies = {p.name: p.read_bytes() for p in (published / "firearm-train-val").rglob("*.jpg")}
    assert copies == there
    for path in (published / "firearm-train-val").rglob("*.jpg"):
        assert path.parent.name == type_name(path.name)


def test_every_picture_is_a_jpeg_of_the_size_asked_for(published):
    for path in published.rglob("*.jpg"):
        with Image.open(path) as image:
            image.load()
            assert (image.format, image.mode, max(image.size)) == ("JPEG", "RGB", SMALL["side"])


def test_harmless_holds_the_kinds_in_turn(published):
    counts = {p.name: len(list(p.iterdir())) for p in (published / "harmless").iterdir()}
    assert sum(counts[kind] for kind in LOOKALIKES) == SMALL["lookalikes"]
    assert sum(counts[kind] for kind in HARMLESS) == SMALL["harmless"]
    assert max(counts.values()) - min(counts.values()) <= 1


def test_shares_of_the_types_are_the_papers():
    splits = split_types(designs(0, 167), 0)
    assert {split: len(types) for split, types in splits.items()} == {
        "train": 108,
        "validation": 17,
        "test": 42,
    }


def test_the_reader_of_firearm_14k_reads_it(published):
    data = read_firearm14k(published)
    assert len(data.train) == 4 * EACH
    assert len(data.classification) == 6 * EACH
    for part in (data.validation, data.test):
        assert (len(part.queries), len(part.database)) == (4, 2 * (EACH - 2))
        assert {len(right) for right in part.relevant} == {EACH - 2}


def test_folders_hold_the_same_pictures(folders, published):
    def files(root, pattern):
        return {path.name: path.read_bytes() for path in root.glob(pattern)}

    firearms = files(folders, "firearms/*/*.jpg")
    assert firearms == files(published / "firearm-dataset", "**/*.jpg")
    assert files(folders, "harmless/*/*.jpg") == files(published, "harmless/*/*.jpg")
    assert all(path.parent.name == type_name(path.name) for path in folders.glob("firearms/*/*"))


def test_the_table_names_every_picture_of_folders(folders):
    with (folders / "sources.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["file", "dup_group", "source_repo", "role", "boxes"]
    assert {row["file"] for row in rows} == tree(folders) - {"sources.csv"}
    assert len({row["dup_group"] for row in rows}) == len(rows)
    for row in rows:
        firearm = row["file"].startswith("firearms/")
        assert row["role"] == ("firearm" if firearm else "negative")
        assert len(row["boxes"].split()) == (4 if firearm else 0)


def test_the_reader_of_folders_finds_boxes_and_sources(folders):
    photos = with_groups(read_photos(folders / "firearms", firearm=True), folders / "sources.csv")
    assert len(photos) == TYPES * EACH
    assert all(len(photo.boxes) == 1 for photo in photos)
    assert len({photo.source for photo in photos}) == 4
