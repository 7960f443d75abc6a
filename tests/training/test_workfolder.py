"""Half-written work is gone at the end, or with the next run after a kill; never while it lasts."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import REPOSITORY
from training.workfolder import ABANDONED, sweep, work_folder

HELD = """
import sys, time
from pathlib import Path
from training.workfolder import work_folder
with work_folder(Path(sys.argv[1]), ".pack-") as folder:
    (folder / "pixels").write_bytes(bytes(1000))
    print(folder.name, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """A process at work, and the name of its folder."""
    command = [sys.executable, "-c", HELD, str(tmp_path)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        yield process, process.stdout.readline().strip()
        process.kill()


def test_it_is_gone_at_the_end_and_after_errors(tmp_path):
    with work_folder(tmp_path / "new", ".pack-") as folder:
        (folder / "deep").mkdir()
        assert folder.parent == tmp_path / "new"
    assert not list((tmp_path / "new").iterdir())
    with pytest.raises(ValueError, match="wrong"), work_folder(tmp_path, ".pack-") as folder:
        raise ValueError("wrong")
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_what_a_killed_process_left_is_removed_and_what_a_live_one_has_is_not(holder, tmp_path):
    process, name = holder
    sweep(tmp_path, ".pack-")
    with work_folder(tmp_path, ".pack-"):
        assert (tmp_path / name / "pixels").is_file()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (tmp_path / name).is_dir()
    sweep(tmp_path, ".other-")
    assert (tmp_path / name).is_dir()
    with work_folder(tmp_path, ".pack-") as folder:
        assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_a_folder_without_a_lock_is_removed_once_it_is_old(tmp_path):
    young, old, working = (tmp_path / f".pack-{name}" for name in ("young", "old", "working"))
    day_ago = time.time() - ABANDONED - 60
    for folder in (young, old, working):
        folder.mkdir()
        (folder / "pixels").write_bytes(b"")
    for path in (old / "pixels", old, working):
        os.utime(path, (day_ago, day_ago))
    sweep(tmp_path, ".pack-")
    assert {path.name for path in tmp_path.iterdir()} == {".pack-young", ".pack-working"}


def test_signs_in_a_prefix_are_no_pattern(tmp_path):
    other = tmp_path / ".out1-x"
    other.mkdir()
    os.utime(other, (0, 0))
    sweep(tmp_path, ".out[1]-")
    assert other.is_dir()
