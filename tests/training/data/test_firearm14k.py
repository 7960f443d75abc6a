import json
import shutil

import pytest

from tests.training.data.conftest import TEST, TRAIN, VALIDATION, draw, make_held, write_truth
from tests.training.data.test_verify import manifest_of
from training.data.digests import unpack
from training.data.firearm14k import read_firearm14k
from training.errors import BadInput

QUERY = "Lewis+Gun_0000.jpg"
FOUND = "Lewis+Gun_0003.jpg"


def truth_of(miniature, split="test"):
    return json.loads((miniature / split / "query_info/ground_truth_info.json").read_text())


def refused(miniature, text):
    with pytest.raises(BadInput, match=text) as caught:
        read_firearm14k(miniature)
    assert "\n" not in str(caught.value)


def test_reads_the_published_layout(miniature):
    data = read_firearm14k(miniature)

    assert data.name == miniature.parent.name
    assert [photo.name for photo in data.train] == [k for k, n in TRAIN.items() for _ in range(n)]
    for part, types in ((data.validation, VALIDATION), (data.test, TEST)):
        assert sorted(query.name for query in part.queries) == sorted([*types, *types])
        assert len(part.database) == sum(types.values()) - 2 * len(types)
        for query, relevant in zip(part.queries, part.relevant, strict=True):
            names = {part.database[place].name for place in relevant}
            assert names == {query.name} and len(relevant) == types[query.name] - 2
    assert all(photo.firearm and photo.group == photo.digest for photo in data.train)
    assert read_firearm14k(miniature.parent) == data


@pytest.fixture
def published(miniature, tmp_path, monkeypatch):
    """Let the miniature be the published data set."""
    removed = "validation/query_info/removed_query/GSh-18+pistol_0077.jpg"
    draw(miniature / removed, "wrong")
    manifest = manifest_of(miniature, tmp_path / "manifest.npz")
    monkeypatch.setattr("training.data.firearm14k.unpack", lambda: unpack(manifest))
    return miniature


def test_a_set_is_called_firearm_14k_only_where_its_photographs_are_the_published(published):
    assert read_firearm14k(published).name == "Firearm 14k"
    left = ["train/AK+47/AK+47_0003.jpg"]
    assert read_firearm14k(published, leave_out=left).name == "Firearm 14k"
    (published / left[0]).unlink()
    assert read_firearm14k(published, leave_out=left).name == "Firearm 14k"
    assert read_firearm14k(published).name == published.parent.name
    draw(published / left[0], "another picture")
    assert read_firearm14k(published).name == published.parent.name


def test_a_set_is_called_as_its_folder(miniature):
    moved = miniature.rename(miniature.parent / "drawn")
    assert read_firearm14k(moved).name == "drawn"
    assert read_firearm14k(moved, name="mine").name == "mine"


def test_what_a_query_should_find_agrees_with_the_ground_truth(miniature):
    part = read_firearm14k(miniature).test
    found = {
        query.path.name: {part.database[place].path.name for place in relevant}
        for query, relevant in zip(part.queries, part.relevant, strict=True)
    }
    assert found == {query: set(names) for query, names in truth_of(miniature).items()}


def test_classification_is_derived_from_train_and_validation(miniature):
    data = read_firearm14k(miniature)
    assert len(data.classification) == sum(TRAIN.values()) + sum(VALIDATION.values())
    assert {photo.name for photo in data.classification} == {*TRAIN, *VALIDATION}


def test_classification_reads_its_own_folder_where_there_is_one(miniature):
    own = miniature.parent / "firearm-train-val"
    for kind in (*TRAIN, *VALIDATION):
        for number in range(2):
            draw(own / kind / f"{kind}_{number:04d}.jpg", f"{kind}{number}")
    data = read_firearm14k(miniature)
    assert len(data.classification) == 2 * len({*TRAIN, *VALIDATION})
    assert all(own in photo.path.parents for photo in data.classification)

    left = ["train/AK+47/AK+47_0000.jpg", "validation/database_image/Barrett+M107_0002.jpg"]
    draw(own / "AK+47/AK+47_0002.jpg", "third")
    draw(own / "Barrett+M107/Barrett+M107_0002.jpg", "third")
    names = {photo.path.name for photo in read_firearm14k(miniature, leave_out=left).classification}
    assert {"AK+47_0001.jpg", "Barrett+M107_0000.jpg"} <= names
    assert not {"AK+47_0000.jpg", "Barrett+M107_0002.jpg"} & names

    shutil.rmtree(own / "AK+47")
    refused(miniature, r"firearm-train-val lacks the type AK\+47")
    draw(own / "AK+47/AK+47_0000.jpg", "a")
    refused(miniature, r"firearm-train-val/AK\+47 holds one photograph")
    draw(own / "AK+47/AK+47_0001.jpg", "b")
    for number in range(2):
        draw(own / f"Lewis+Gun/Lewis+Gun_{number}.jpg", f"{number}")
    refused(miniature, r"also holds the type Lewis\+Gun")


def test_copies_share_a_group_and_are_kept(miniature):
    folder = miniature / "train/AK+47"
    shutil.copy(folder / "AK+47_0000.jpg", folder / "AK+47_0009.jpg")
    same = [photo for photo in read_firearm14k(miniature).train if photo.name == "AK+47"]
    assert len(same) == 5 and same[0].group == same[-1].group


def test_what_is_left_out_is_as_if_it_were_absent(miniature):
    left = {
        "train/AK+47/AK+47_0001.jpg",
        f"test/database_image/{FOUND}",
        f"test/query_info/query_image/{QUERY}",
    }
    data = read_firearm14k(miniature, leave_out=left)
    names = {photo.path.name for photo in (*data.train, *data.test.queries, *data.test.database)}
    assert not {"AK+47_0001.jpg", FOUND, QUERY} & names
    assert sorted(map(len, data.test.relevant)) == [3, 3, 3]
    for path in left:
        (miniature / path).unlink()
    assert read_firearm14k(miniature, leave_out=left) == data


def test_the_removed_query_is_not_read(miniature):
    draw(miniature / "validation/query_info/removed_query/GSh-18+pistol_0077.jpg", "wrong")
    data = read_firearm14k(miniature)
    assert "GSh-18+pistol_0077.jpg" not in {photo.path.name for photo in data.classification}


def test_a_query_without_ground_truth_is_named(miniature):
    truth = truth_of(miniature)
    del truth[QUERY]
    write_truth(miniature / "test", truth)
    refused(miniature, r"Lewis\+Gun_0000.jpg is a query without ground truth")


def test_ground_truth_without_its_query_is_named(miniature):
    (miniature / "test/query_info/query_image" / QUERY).unlink()
    refused(miniature, r"Lewis\+Gun_0000.jpg has ground truth but no file")


def test_ground_truth_that_names_absent_files_is_named(miniature):
    (miniature / "test/database_image" / FOUND).unlink()
    refused(miniature, r"should find Lewis\+Gun_0003.jpg, which is not there")


def test_ground_truth_that_forgets_or_confuses_photographs_is_named(miniature):
    truth = truth_of(miniature)
    write_truth(miniature / "test", truth | {QUERY: truth[QUERY][1:]})
    refused(miniature, r"should also find Lewis\+Gun_0002.jpg")
    write_truth(miniature / "test", truth | {QUERY: [*truth[QUERY], "FN+FAL+rifle_0003.jpg"]})
    refused(miniature, r"FN\+FAL\+rifle_0003.jpg, which is of another type")


def test_a_query_in_the_database_is_named(miniature):
    folder = miniature / "test"
    shutil.copy(folder / "query_info/query_image" / QUERY, folder / "database_image" / QUERY)
    refused(miniature, r"Lewis\+Gun_0000.jpg is both query and in the database")


def test_a_type_with_one_photograph_is_named(miniature):
    for number in (1, 2, 3):
        (miniature / f"train/AK+47/AK+47_{number:04d}.jpg").unlink()
    refused(miniature, r"train/AK\+47 holds one photograph; a type needs two")
    (miniature / "train/AK+47/AK+47_0000.jpg").unlink()
    refused(miniature, r"train/AK\+47 holds no photographs")


def test_a_query_with_nothing_to_find_is_named(miniature):
    shutil.rmtree(miniature / "test")
    make_held(miniature / "test", {"Bren": 2, "FN+FAL+rifle": 4})
    refused(miniature, "Bren_0000.jpg has nothing to find")


@pytest.mark.parametrize("part", ["database_image", "query_info/query_image"])
@pytest.mark.parametrize("split", ["validation", "test"])
def test_an_empty_split_is_named(miniature, split, part):
    for path in (miniature / split / part).iterdir():
        path.unlink()
    refused(miniature, f"{split}/{part} holds no photographs")
    (miniature / split / part).rmdir()
    refused(miniature, f"{split}/{part} is missing")


def test_an_empty_train_is_named(miniature):
    shutil.rmtree(miniature / "train")
    refused(miniature, "has no train and validation")
    (miniature / "train").mkdir()
    refused(miniature, "train holds no types")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b'{"a": ', "cannot be read as JSON"),
        (b"\xff\xfe", "cannot be read as JSON"),
        (b"[" * 100_000, "cannot be read as JSON"),
        (b'["a"]', "is not an object of queries"),
        (b'{"a": "b"}', "is not an object of queries"),
        (b'{"a": [1]}', "is not an object of queries"),
    ],
)
def test_corrupt_ground_truth_is_named(miniature, content, text):
    (miniature / "test/query_info/ground_truth_info.json").write_bytes(content)
    refused(miniature, text)


def test_absent_ground_truth_is_named(miniature):
    (miniature / "test/query_info/ground_truth_info.json").unlink()
    refused(miniature, "ground_truth_info.json cannot be read")


def test_a_type_in_two_splits_is_named(miniature):
    for number in range(2):
        draw(miniature / f"train/Lewis+Gun/Lewis+Gun_{number + 50:04d}.jpg", f"{number}")
    refused(miniature, r"the type Lewis\+Gun is in train and in test")


def test_a_file_that_does_not_name_its_type_is_named(miniature):
    draw(miniature / "test/database_image/gun.jpg", "x")
    refused(miniature, "gun.jpg does not name its type")
