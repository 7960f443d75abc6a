"""A full or read-only disk is told of in one line before any work, and nothing is left on it."""

import subprocess
import sys

import pytest

from moderator.demo.drawings import names
from tests.chaos.disk import small_disk
from tests.conftest import REPOSITORY
from tests.training.stages.samples import draw_types
from training.__main__ import main

OUT = "DISK/out"
TUNED = ("--backbone", "squeezenet1_1", "--weights", "random", "--size", "64", "--cut", "3",
         "--dimension", "8")  # fmt: skip
STAGE = ("--data", "firearms", "--backbone", "squeezenet1_1", "--init", "random", "--smallest",
         "64", "--largest", "64", "--device", "cpu", "--batch", "8",
         "--no-tensorboard")  # fmt: skip
RELEASE = ("--images", "firearms", "--lookalikes", "harmless", "--backbone", "squeezenet1_1",
           "--size", "64")  # fmt: skip

COMMANDS = {
    "classify": (*STAGE, "--cache", "cache", "--out", OUT),
    "retrieve": (*STAGE, "--cache", "cache", "--out", OUT),
    "cache": ("classify", *STAGE, "--cache", OUT, "--out", "run"),
    "distil": (*STAGE, "--teacher", "squeezenet1_1", "--teacher-weights", "random",
               "--teacher-size", "64", "--dimension", "8", "--cache", "cache", "--out", OUT),
    "tune": ("--images", "firearms", "--harmless", "harmless", *TUNED, "--cache", "cache",
             "--out", OUT),
    "folds": ("--images", "firearms", "--harmless", "harmless", "--groups", "sources.csv",
              "--least", "4", *TUNED, "--cache", "cache", "--runs", "runs", "--out", OUT),
    "runs": ("folds", "--images", "firearms", "--harmless", "harmless", "--groups", "sources.csv",
             "--least", "4", *TUNED, "--cache", "cache", "--runs", OUT, "--out", "out"),
    "study": ("--data", "firearms", "--weights", "random", "--cache", "cache", "--runs", "runs",
              "--out", OUT),
    "evaluate": ("--data", "firearms", "--backbone", "squeezenet1_1", "--size", "64", "--out",
                 OUT),
    "release": (*RELEASE, "--out", OUT),
    "prototypes": (*RELEASE, "--out", OUT),
    "synthesize": ("--types", "6", "--images-per-type", "4", "--side", "64", "--out", OUT),
    "starter": ("--data", ".", "--work", "work", "--out", OUT),
}  # fmt: skip
"""What is run, by what has its output on the disk; the first word where that is no command."""


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Drawn photographs with their table of four sources."""
    folder = tmp_path_factory.mktemp("disk")
    draw_types(folder / "firearms", names("firearm")[:5], 4)
    draw_types(folder / "harmless", names("harmless")[:2], 4)
    lines = ["file,dup_group,source_repo"]
    for path in sorted(folder.glob("*/*/*.png")):
        place = path.relative_to(folder)
        lines.append(f"{place},{'-'.join(place.parts)},{'abcd'[int(path.stem)]}")
    (folder / "sources.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def disks(tmp_path_factory):
    """A full disk and a read-only one."""
    folder = tmp_path_factory.mktemp("disks")
    with small_disk(folder / "full", 1) as full, small_disk(folder / "fixed", 80) as fixed:
        if full is None or fixed is None:
            pytest.skip("this user may not mount disks")
        full.fill()
        fixed.protect()
        yield {"full": full.folder, "fixed": fixed.folder}


@pytest.mark.parametrize("kind", ["full", "fixed"])
@pytest.mark.parametrize("name", list(COMMANDS))
def test_a_disk_that_cannot_be_written_is_told_before_any_work(
    name, kind, base, disks, monkeypatch, capsys
):
    monkeypatch.chdir(base)
    before = {path: path.stat().st_mtime for path in base.rglob("*")}
    words = [word.replace("DISK", str(disks[kind])) for word in COMMANDS[name]]
    words = words if name in ("cache", "runs") else [name, *words]
    kept = set(disks[kind].iterdir())
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1, err
    asked = {"cache": "--cache", "runs": "--runs"}.get(name, "--out")
    if kind == "full":
        assert err.startswith(f"error: the disk of {disks[kind]}")
        assert err.endswith(f"make room or give another {asked}\n")
    else:
        assert err.startswith(f"error: {asked} {disks[kind]}")
        assert err.endswith(f"cannot be written: Read-only file system; give another {asked}\n")
    assert set(disks[kind].iterdir()) == kept
    assert {path: path.stat().st_mtime for path in base.rglob("*")} == before


LIMITED = """
import resource, sys
from training.__main__ import main
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("name", ["release", "evaluate"])
def test_a_disk_that_fills_up_at_the_end_leaves_nothing_half_written(name, base, tmp_path):
    """Files may have 200 kB: the network is larger, and so is a sheet of photographs."""
    out = tmp_path / "out"
    more = ("--backbone", "squeezenet1_1", "--size", "64", "--out", str(out))
    given = {
        "release": ("--images", base / "firearms", "--lookalikes", base / "harmless"),
        "evaluate": ("--data", base / "firearms", "--device", "cpu"),
    }[name]
    words = [name, *map(str, given), *more]
    done = subprocess.run([sys.executable, "-c", LIMITED, *words], cwd=REPOSITORY,
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 2, done.stderr
    line = done.stderr.splitlines()[-1]
    assert line.startswith("error: ")
    assert str(out) in line
    assert "File too large" in line
    assert not list(tmp_path.iterdir())
