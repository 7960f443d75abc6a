"""What is left out is said in one line with counts, the same by whatever reads it."""

import os

import pytest

from moderator.demo.drawings import names
from tests.training.stages.samples import draw_types
from training.__main__ import main
from training.folder import read_photos
from training.leftout import NAMED, reason, some


@pytest.fixture
def folder(tmp_path):
    """Two types with a photograph each, seven empty folders, and a link to nowhere."""
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.jpg").write_bytes(name.encode())
    for number in range(NAMED + 2):
        (tmp_path / f"empty{number}").mkdir()
    (tmp_path / "empty0" / ".hidden.jpg").write_bytes(b"x")
    (tmp_path / "empty1" / "deeper").mkdir()
    (tmp_path / "b" / "2.jpg").symlink_to(tmp_path / "gone.jpg")
    return tmp_path


def test_empty_folders_and_files_that_cannot_be_opened_are_said(folder, capsys):
    assert [photo.name for photo in read_photos(folder, firearm=True)] == ["a", "b"]
    first, second = capsys.readouterr().err.splitlines()
    assert first == (
        f"left out: 7 of 9 folders in {folder} hold no photographs: empty0; empty1; empty2; "
        "empty3; empty4 and 2 more"
    )
    assert second == (
        "left out: 1 of 3 photographs cannot be read: b/2.jpg: No such file or directory"
    )


def test_nothing_is_said_where_nothing_is_left_out(tmp_path, capsys):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.jpg").write_bytes(b"a")
    read_photos(tmp_path, firearm=True)
    assert capsys.readouterr().err == ""


def test_reasons_are_one_line_without_paths(tmp_path):
    path = tmp_path / "x.jpg"
    assert reason(OSError(f"cannot\nidentify {str(path)!r}"), path) == "cannot identify"
    assert reason(FileNotFoundError(2, os.strerror(2), str(path)), path) == os.strerror(2)
    assert reason(EOFError(), path) == "EOFError"
    assert some(["a", "b"]) == "a; b"


NETWORK = ("--backbone", "squeezenet1_1")
STAGE = (*NETWORK, "--init", "random", "--smallest", "64", "--largest", "64", "--epochs", "1",
         "--batch", "8", "--device", "cpu", "--no-tensorboard", "--cache", "cache")  # fmt: skip
TUNE = (*NETWORK, "--weights", "random", "--size", "64", "--cut", "3", "--dimension", "8",
        "--cache", "cache", "--dry-run")  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("classify", "--data", "firearms", *STAGE),
        ("retrieve", "--data", "firearms", *STAGE, "--positives-per-type", "4"),
        ("tune", "--images", "firearms", "--harmless", "harmless", *TUNE),
        ("evaluate", "--data", "firearms", *NETWORK, "--size", "64", "--sheets", "0"),
        ("release", "--images", "firearms", *NETWORK, "--size", "64", "--flags-all"),
    ],
    ids=lambda words: words[0],
)
def test_every_command_says_the_same_of_the_same_photographs(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    draw_types(tmp_path / "firearms", names("firearm")[:5], 6)
    draw_types(tmp_path / "harmless", names("harmless")[:4], 6)
    broken = tmp_path / "firearms" / names("firearm")[0] / "2.png"
    broken.write_bytes(b"no photograph")
    (tmp_path / "firearms" / "nothing").mkdir()
    assert main([*words, "--out", "out"]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("left out")]
    total = 54 if words[0] == "tune" else 30
    assert lines == [
        "left out: 1 of 6 folders in firearms hold no photographs: nothing",
        f"left out: 1 of {total} photographs cannot be read: {broken.parent.name}/2.png: cannot "
        "identify image file",
    ]
