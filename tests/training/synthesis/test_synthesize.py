"""Whole runs: that they repeat, and what they refuse."""

import errno
import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from tests.training.synthesis.conftest import draw_set
from training.commands.synthesize import command
from training.errors import BadInput
from training.synthesis import synthesize as module
from training.synthesis.order import Order
from training.synthesis.synthesize import synthesize

TINY = ("--types", "6", "--images-per-type", "4", "--lookalikes", "3", "--harmless", "2")


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def run(*arguments: str):
    return CliRunner().invoke(command, [*arguments])


@pytest.mark.parametrize("layout", ["firearm14k", "folders"])
def test_the_same_seed_gives_the_same_files(layout, published, folders, tmp_path):
    before = published if layout == "firearm14k" else folders
    assert files(draw_set(tmp_path / "again", layout)) == files(before)


def test_another_seed_gives_other_pictures(folders, tmp_path):
    other = files(draw_set(tmp_path / "other", "folders", seed=1))
    pictures = {data for name, data in files(folders).items() if name.endswith(".jpg")}
    assert not pictures & set(other.values())


def test_no_two_pictures_are_the_same_file(folders):
    pictures = files(folders)
    assert len(set(pictures.values())) == len(pictures)


@pytest.mark.slow
def test_the_files_do_not_depend_on_the_number_of_processes(tmp_path):
    for processes in ("1", "3"):
        ran = run(
            "--out", str(tmp_path / processes), *TINY, "--side", "64", "--processes", processes
        )
        assert ran.exit_code == 0, ran.output
    assert files(tmp_path / "1") == files(tmp_path / "3")


def test_the_command_says_what_it_drew(tmp_path):
    ran = run("--out", str(tmp_path / "set"), *TINY, "--side", "64", "--processes", "1")
    assert ran.exit_code == 0, ran.output
    assert "6 types with 4 pictures each" in ran.stdout
    assert len(list((tmp_path / "set" / "harmless").glob("*/*.jpg"))) == 5


def test_no_harmless_pictures_can_be_asked_for(tmp_path):
    draw_set(tmp_path / "set", "folders", lookalikes=0, harmless=0, types=6, images_per_type=4)
    assert not (tmp_path / "set" / "harmless").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"types": 5}, "--types 5 is too few for train, validation and test"),
        ({"images_per_type": 3}, "--images-per-type 3 is not in 4..9999"),
        ({"images_per_type": 10000}, "--images-per-type 10000 is not in"),
        ({"lookalikes": -1}, "--lookalikes -1 is negative"),
        ({"harmless": -1}, "--harmless -1 is negative"),
        ({"seed": -1}, "--seed -1 is negative"),
        ({"side": 10}, "--side 10 is not in 64..4096"),
        ({"layout": "other"}, "--layout other is unknown; give firearm14k or folders"),
        ({"types": 10**6, "images_per_type": 9999, "side": 4096}, "give another --out"),
    ],
)
def test_wrong_orders_are_refused_before_anything_is_written(changes, said, tmp_path):
    with pytest.raises(BadInput, match=said):
        synthesize(Order(**changes), tmp_path / "set", Console(quiet=True))
    assert not list(tmp_path.iterdir())


def test_no_process_draws_nothing(tmp_path):
    ran = run("--out", str(tmp_path / "set"), "--processes", "0")
    assert isinstance(ran.exception, BadInput)
    assert "--processes 0 draws nothing" in str(ran.exception)


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path):
    (tmp_path / "mine").write_text("keep")
    ran = run("--out", str(tmp_path), *TINY)
    assert "is not an empty folder" in str(ran.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_file_is_not_a_place(tmp_path):
    (tmp_path / "file").write_text("keep")
    with pytest.raises(BadInput, match="is not an empty folder"):
        synthesize(Order(), tmp_path / "file", Console(quiet=True))
    with pytest.raises(BadInput, match="cannot be written"):
        synthesize(Order(), tmp_path / "file" / "below", Console(quiet=True))


def test_an_empty_folder_is_taken(tmp_path):
    (tmp_path / "set").mkdir()
    draw_set(tmp_path / "set", "folders", types=6, images_per_type=4)
    assert (tmp_path / "set" / "sources.csv").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_disk_that_fills_up_leaves_nothing_behind(tmp_path, monkeypatch):
    real, drawn = module.print_plate, []

    def full(plate, **rest):
        drawn.append(plate)
        if len(drawn) > 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(plate, **rest)

    monkeypatch.setattr(module, "print_plate", full)
    with pytest.raises(BadInput, match="No space left on device; make room"):
        draw_set(tmp_path / "set", "folders")
    assert not list(tmp_path.iterdir())
