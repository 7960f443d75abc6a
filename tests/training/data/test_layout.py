from pathlib import Path

import pytest

from training.data.layout import files, find_layout, type_files, type_of
from training.errors import BadInput


def test_finds_the_folders_of_a_copy_from_outside_and_inside(miniature):
    for folder in (miniature, miniature.parent):
        layout = find_layout(folder)
        assert (layout.root, layout.classification) == (miniature, None)
    (miniature.parent / "firearm-train-val").mkdir()
    assert find_layout(miniature).classification == miniature.parent / "firearm-train-val"


def test_a_folder_of_types_is_no_copy(tmp_path):
    for name in ("train", "glock"):
        (tmp_path / name).mkdir()
    assert find_layout(tmp_path) is None


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("AK+47_0012.jpg", "AK+47"),
        ("Taurus+DT+.357+Magnum+Revolver_0001.jpg", "Taurus+DT+.357+Magnum+Revolver"),
        ("a_b_3.png", "a_b"),
    ],
)
def test_a_files_name_names_its_type(name, kind):
    assert type_of(Path("folder") / name) == kind


@pytest.mark.parametrize("name", ["AK+47.jpg", "_0001.jpg", "AK+47_one.jpg"])
def test_a_name_without_type_or_number_is_refused(name):
    with pytest.raises(BadInput, match="does not name its type"):
        type_of(Path(name))


def test_lists_files_without_hidden_ones(miniature):
    (miniature / "train/AK+47/.DS_Store").write_bytes(b"x")
    (miniature / "train/.cache").mkdir()
    found = type_files(miniature / "train")
    assert {name: len(paths) for name, paths in found.items()} == {
        "AK+47": 4,
        "Glock+17+pistol": 5,
        "Uzi+pistol": 3,
    }
    with pytest.raises(BadInput, match="nowhere is missing"):
        files(miniature / "nowhere")
    with pytest.raises(BadInput, match="nowhere is missing"):
        type_files(miniature / "nowhere")
    with pytest.raises(BadInput, match="holds no types"):
        type_files(miniature / "train/AK+47")
