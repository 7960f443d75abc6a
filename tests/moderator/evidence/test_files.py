"""Files on this machine's disk, while others remove the folders that they are written to."""

import os
from pathlib import Path

import pytest

from moderator.evidence.files import TEMPORARY, LocalFiles


@pytest.fixture
def files(tmp_path) -> LocalFiles:
    return LocalFiles(tmp_path)


def test_a_folder_that_goes_while_it_is_looked_at_is_made_anew(files, tmp_path, monkeypatch):
    """Making a folder that is there fails; who then looks for it finds that it went meanwhile."""
    (tmp_path / "a").mkdir()
    real, seen = os.mkdir, []

    def there_a_moment_ago(path, *rest, **named):
        seen.append(path)
        if Path(path).name == "b" and seen.count(path) <= 3:
            raise FileExistsError(17, "File exists")
        real(path, *rest, **named)

    monkeypatch.setattr(os, "mkdir", there_a_moment_ago)
    files.write("a/b/c", b"1")
    assert seen.count(tmp_path / "a/b") == 4
    assert files.read("a/b/c") == b"1"


def test_a_folder_that_goes_before_the_file_is_there_is_made_anew(files, tmp_path, monkeypatch):
    real, times = os.replace, []

    def folder_gone(source, target):
        times.append(target)
        if len(times) <= 3:
            Path(target).parent.rmdir()
        real(source, target)

    monkeypatch.setattr(os, "replace", folder_gone)
    files.write("a/b/c", b"1")
    assert len(times) == 4
    assert files.read("a/b/c") == b"1"


def test_a_file_that_is_removed_as_soon_as_it_is_there_was_written(files, tmp_path, monkeypatch):
    real = os.replace

    def and_gone(source, target):
        real(source, target)
        LocalFiles(tmp_path).remove("a/b/c")

    monkeypatch.setattr(os, "replace", and_gone)
    files.write("a/b/c", b"1")
    assert files.read("a/b/c") is None


def test_a_file_in_a_folders_place_is_told_and_nothing_is_left(files, tmp_path):
    (tmp_path / "a").write_bytes(b"no folder")
    with pytest.raises(OSError, match=r"exists|Not a directory"):
        files.write("a/c", b"1")
    assert list((tmp_path / TEMPORARY).iterdir()) == []


def test_files_and_folders_are_for_this_user_alone(tmp_path):
    before = os.umask(0)
    try:
        LocalFiles(tmp_path / "new" / "root").write("a/b/c", b"1")
    finally:
        os.umask(before)
    for path in (tmp_path / "new").rglob("*"):
        mode = path.stat().st_mode & 0o777
        assert mode == (0o700 if path.is_dir() else 0o600), path
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
