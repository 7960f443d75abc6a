import hashlib
import shutil

import pytest

from tests.training.conftest import write_groups
from training.errors import BadInput
from training.folder import Box, dataset_digest, read_photos, with_groups


def make(folder, name, data):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_lists_files_by_folder_without_hidden_ones_and_copies(tmp_path):
    make(tmp_path, "b/2.jpg", b"two")
    make(tmp_path, "a/1.jpg", b"one")
    make(tmp_path, "a/copy of 1.jpg", b"one")
    make(tmp_path, "b/1.jpg", b"one")
    make(tmp_path, "a/.hidden.jpg", b"three")
    make(tmp_path, "loose.jpg", b"four")
    make(tmp_path, "a/deeper/5.jpg", b"five")

    photos = read_photos(tmp_path, firearm=True)

    listed = [(photo.name, photo.path.name) for photo in photos]
    assert listed == [("a", "1.jpg"), ("b", "1.jpg"), ("b", "2.jpg")]
    one = hashlib.sha256(b"one").hexdigest()
    assert [photo.digest for photo in photos[:2]] == [one, one]
    assert photos[0].group == photos[1].group == one
    assert all(photo.firearm and photo.source is None for photo in photos)


def test_an_absent_or_empty_folder_is_named(tmp_path):
    with pytest.raises(BadInput, match="is not a folder"):
        read_photos(tmp_path / "nowhere", firearm=True)
    with pytest.raises(BadInput, match="holds no photographs"):
        read_photos(tmp_path, firearm=True)


def test_groups_come_from_the_table_and_borderline_ones_are_left_out(tmp_path):
    for number in range(4):
        make(tmp_path, f"images/a/{number}.jpg", bytes([number]))
    (tmp_path / "table.csv").write_text(
        "other,file,dup_group,source_repo,role\n"
        "x,images/a/0.jpg,g0,north,firearm\n"
        "x,images/a/1.jpg,g0,,\n"
        "x,images/a/2.jpg,g2,south,borderline\n"
    )
    photos = read_photos(tmp_path / "images", firearm=True)

    grouped = with_groups(photos, tmp_path / "table.csv")

    found = [(photo.path.name, photo.group, photo.source) for photo in grouped]
    assert found == [
        ("0.jpg", "g0", "north"),
        ("1.jpg", "g0", None),
        ("3.jpg", photos[3].digest, None),
    ]


def boxes_of(tmp_path, cells):
    """Read photographs with these cells in the column ``boxes``, in order."""
    lines = ["file,dup_group,source_repo,boxes"]
    for number, cell in enumerate(cells):
        make(tmp_path, f"images/a/{number}.jpg", bytes([number]))
        lines.append(f"images/a/{number}.jpg,g{number},north,{cell}")
    (tmp_path / "table.csv").write_text("\n".join(lines) + "\n")
    photos = read_photos(tmp_path / "images", firearm=True)
    return [photo.boxes for photo in with_groups(photos, tmp_path / "table.csv")]


def test_boxes_come_from_the_table(tmp_path):
    cells = ["0.5 0.25 1.0 0.125", "", "0 0 .1 .2; 1 1 .3 .4 ;"]
    assert boxes_of(tmp_path, cells) == [
        (Box(0.5, 0.25, 1.0, 0.125),),
        (),
        (Box(0, 0, 0.1, 0.2), Box(1, 1, 0.3, 0.4)),
    ]


@pytest.mark.parametrize(
    "cell",
    [
        "0.5 0.5 0.1",
        "0.5 0.5 0.1 0.1 0.1",
        "a b c d",
        "1.1 0 .1 .1",
        "0 -0.1 .1 .1",
        "0 0 0 1",
        "0 0 .1 1.2",
        "nan 0 .1 .1",
        "0 0 .1 inf",
    ],
)
def test_boxes_that_are_none_are_named(tmp_path, cell):
    with pytest.raises(BadInput, match=r"gives images/a/1\.jpg the boxes"):
        boxes_of(tmp_path, ["0.5 0.5 0.1 0.1", cell])


def test_a_table_without_boxes_gives_none(tmp_path):
    path = make(tmp_path, "images/a/0.jpg", b"0")
    write_groups(tmp_path / "table.csv", {path: ("g", "north")})
    photos = with_groups(read_photos(tmp_path / "images", firearm=True), tmp_path / "table.csv")
    assert [photo.boxes for photo in photos] == [()]


def test_a_table_that_cannot_be_used_is_named(tmp_path):
    path = make(tmp_path, "images/a/0.jpg", b"0")
    photos = read_photos(tmp_path / "images", firearm=True)
    make(tmp_path, "lacks.csv", b"file,dup_group\nimages/a/0.jpg,g\n")
    with pytest.raises(BadInput, match="lacks the column source_repo"):
        with_groups(photos, tmp_path / "lacks.csv")
    with pytest.raises(BadInput, match="cannot be read"):
        with_groups(photos, tmp_path / "absent.csv")
    make(tmp_path, "binary.csv", b"\xff\xfe\x00file")
    with pytest.raises(BadInput, match="cannot be read"):
        with_groups(photos, tmp_path / "binary.csv")
    elsewhere = make(tmp_path, "elsewhere/a/0.jpg", b"0")
    write_groups(tmp_path / "other.csv", {elsewhere: ("g", "s")})
    with pytest.raises(BadInput, match="names none of the photographs"):
        with_groups(photos, tmp_path / "other.csv")
    assert path.exists()


def test_the_digest_of_a_data_set_is_of_names_and_contents_only(tmp_path):
    make(tmp_path, "one/a/1.jpg", b"1")
    make(tmp_path, "one/b/2.jpg", b"2")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    (tmp_path / "two/a/1.jpg").rename(tmp_path / "two/a/9.jpg")
    first, second = (read_photos(tmp_path / name, firearm=True) for name in ("one", "two"))
    assert dataset_digest(first) == dataset_digest(second[::-1])
    assert dataset_digest(first) != dataset_digest(read_photos(tmp_path / "one", firearm=False))
    assert dataset_digest(first) != dataset_digest(first[:1])
