"""Files on this machine's disk, while others remove the folders that they are written to."""

import os
from pathlib import Path

import pytest

from models.spec import InputSpec
from moderator.errors import BadSettings
from moderator.evidence.files import TEMPORARY, LocalFiles
from moderator.evidence.keeping import keeping
from moderator.settings import load_settings


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


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="this machine has no /proc")
def test_a_folder_that_can_hold_nothing_is_refused_and_not_for_want_of_room():
    files = LocalFiles(Path("/proc/evidence"))
    with pytest.raises(OSError, match="keeps no files"):
        files.look()
    with pytest.raises(OSError, match="/proc/evidence"):
        files.prepare()


def test_a_worker_does_not_start_where_its_copies_cannot_be_kept(tmp_path):
    (tmp_path / "file").write_text("x")
    given = load_settings({"evidence_url": str(tmp_path / "file" / "evidence")}, environ={})
    keeps = keeping(given, InputSpec(((64, 64),)))
    with pytest.raises(BadSettings, match=r"evidence_url .*\(Not a directory\)") as caught:
        keeps.__enter__()
    assert "\n" not in str(caught.value)
