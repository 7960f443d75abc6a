import hashlib

import numpy as np
import pytest

from training.data.digests import SHIPPED, FileFacts, pack, unpack
from training.data.duplicates import MISLABELLED, duplicates, to_leave_out
from training.data.types14k import firearm14k_facts
from training.errors import BadInput

PATHS = (
    "train/AK+47/AK+47_0001.jpg",
    "validation/database_image/Barrett+M107_0300.jpg",
    "validation/query_info/query_image/Barrett+M107_0002.jpg",
    "validation/query_info/removed_query/Barrett+M107_0003.jpg",
    "test/database_image/Taurus+DT+.357+Magnum+Revolver_9999.jpg",
    "test/query_info/query_image/Lewis+Gun_0000.jpg",
)


def table(tmp_path, rows):
    file = tmp_path / "manifest.tsv"
    file.write_text("".join(f"{line}\n" for line in rows))
    return file


def rows():
    return [
        f"{path}\t{hashlib.sha256(path.encode()).hexdigest()}\t{size * 1_000_003}"
        for size, path in enumerate(PATHS)
    ]


@pytest.fixture(scope="module")
def shipped():
    return unpack()


def test_what_is_packed_comes_back(tmp_path):
    out = tmp_path / "small.npz"
    assert pack(table(tmp_path, rows()), out) == len(PATHS)
    assert unpack(out) == {
        path: FileFacts(size * 1_000_003, hashlib.sha256(path.encode()).hexdigest()[:16])
        for size, path in enumerate(PATHS)
    }


def test_packing_again_gives_the_same_file_whatever_the_order(tmp_path):
    pack(table(tmp_path, rows()), tmp_path / "one.npz")
    pack(table(tmp_path, reversed(rows())), tmp_path / "two.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


@pytest.mark.parametrize(
    "line",
    [
        "train/AK+47/AK+47_0001.jpg",
        f"train/AK+47/AK+47_0001.jpg\t{'0' * 63}\t1",
        f"train/AK+47/AK+47_0001.jpg\t{'g' * 64}\t1",
        f"train/AK+47/AK+47_0001.jpg\t{'0' * 64}\tmany",
        f"train/AK+47/Glock_0001.jpg\t{'0' * 64}\t1",
        f"train/AK+47_0001.jpg\t{'0' * 64}\t1",
        f"elsewhere/AK+47_0001.jpg\t{'0' * 64}\t1",
        f"test/database_image/AK+47_1.jpg\t{'0' * 64}\t1",
    ],
)
def test_a_line_of_another_kind_is_named(tmp_path, line):
    with pytest.raises(BadInput, match="line 2, is not a file of the published layout"):
        pack(table(tmp_path, [rows()[0], line]), tmp_path / "out.npz")


def test_tables_and_manifests_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(BadInput, match="is empty"):
        pack(table(tmp_path, []), tmp_path / "out.npz")
    with pytest.raises(BadInput, match="cannot be read"):
        pack(tmp_path / "nowhere.tsv", tmp_path / "out.npz")
    with pytest.raises(BadInput, match="cannot be read as a manifest"):
        unpack(tmp_path / "nowhere.npz")
    (tmp_path / "cut.npz").write_bytes(SHIPPED.read_bytes()[:5000])
    with pytest.raises(BadInput, match="cannot be read as a manifest"):
        unpack(tmp_path / "cut.npz")
    np.savez(tmp_path / "other.npz", names=np.array(["a"]))
    with pytest.raises(BadInput, match="cannot be read as a manifest"):
        unpack(tmp_path / "other.npz")


def test_the_shipped_manifest_is_small_and_has_the_published_counts(shipped):
    assert SHIPPED.stat().st_size < 300_000
    assert len(shipped) == 14_755
    counts = {
        split: sum(path.startswith(f"{split}/") for path in shipped)
        for split in ("train", "validation", "test")
    }
    assert counts == {"train": 9628, "validation": 1478, "test": 3649}
    places = {
        "validation/database_image/": 1438,
        "validation/query_info/query_image/": 39,
        "test/database_image/": 3569,
        "test/query_info/query_image/": 80,
    }
    assert {part: sum(path.startswith(part) for path in shipped) for part in places} == places
    assert f"validation/query_info/removed_query/{MISLABELLED}" in shipped


def test_the_shipped_manifest_names_the_types_with_their_numbers(shipped):
    names = [path.rsplit("/", 1)[1].rsplit("_", 1)[0] for path in shipped]
    assert {name: names.count(name) for name in set(names)} == {
        name: facts.photographs for name, facts in firearm14k_facts().items()
    }


def test_a_known_file_of_the_shipped_manifest(shipped):
    facts = shipped["test/database_image/Bren+light+machine+gun_0002.jpg"]
    assert facts == FileFacts(55_888, "ff9a26fe65d68eb5")


def test_the_shipped_manifest_has_the_known_duplicates(shipped):
    found = duplicates({path: facts.digest for path, facts in shipped.items()})
    assert (found.files, found.distinct) == (14_755, 14_510)
    assert (len(found.across_splits), len(found.across_types)) == (10, 20)
    assert len(found.of_queries) == 3
    assert set(found.across_splits) < set(found.across_types)
    assert all(path.startswith("test/") for paths in found.of_queries for path in paths)

    # Two of each of 20, but for one that is a query; a copy of each of 3 queries; a wrong label.
    left = to_leave_out(found, shipped)
    assert len(left) == 39 + 3 + 1
    assert sum("query_image" in path for path in left) == 0
    digests = {path: facts.digest for path, facts in shipped.items() if path not in left}
    clean = duplicates(digests)
    assert not (clean.across_splits or clean.across_types or clean.of_queries)
