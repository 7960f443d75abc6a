"""The command: its options, its errors, and a run by it."""

import csv
import json

import pytest
from click.testing import CliRunner

from training.commands.tune import command
from training.errors import BadInput
from training.tuning.settings import TuneSettings


@pytest.fixture
def folders(photos, tmp_path):
    """The photographs as folders, with a table of groups and one of types."""
    for photo in photos:
        place = tmp_path / ("images" if photo.firearm else "harmless") / photo.name
        place.mkdir(parents=True, exist_ok=True)
        (place / photo.path.name).write_bytes(photo.path.read_bytes())
    with (tmp_path / "groups.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "dup_group", "source_repo", "boxes"])
        for photo in photos:
            base = "images" if photo.firearm else "harmless"
            boxes = ";".join(f"{b.x} {b.y} {b.width} {b.height}" for b in photo.boxes)
            path = f"{base}/{photo.name}/{photo.path.name}"
            writer.writerow([path, photo.group, photo.source, boxes])
    families = {"glock": "pistol", "shotgun": "shotgun", "coarse_handgun": "handgun"}
    table = {name: {"family": f, "display_name": name} for name, f in families.items()}
    (tmp_path / "types.json").write_text(json.dumps({"types": table}))
    return tmp_path


def arguments(folder, *more, groups=True):
    named = ["--groups", folder / "groups.csv"] if groups else []
    return [
        *("--images", folder / "images", "--harmless", folder / "harmless", *named),
        *("--types", folder / "types.json", "--out", folder / "run", "--cache", folder / "cache"),
        *("--backbone", "squeezenet1_1", "--weights", "random", "--size", "64", "--cut", "8"),
        *("--regions", "2:1", "--views", "1", "--backgrounds", "1", "--pastes", "2"),
        *("--epochs", "1", "--batch", "8", "--precision", "float32", "--dimension", "8"),
        *("--no-tensorboard", "--workers", "1", "--threads", "1", *more),
    ]


def run(*given):
    return CliRunner().invoke(command, [str(each) for each in given], catch_exceptions=True)


@pytest.mark.slow
def test_a_run_by_the_command(folders):
    done = run(*arguments(folders, "--hold-out", "north"))
    assert done.exit_code == 0, done.output
    result = json.loads((folders / "run" / "result.json").read_text())
    assert result["hold_out"] == ["north"]
    assert result["held_out"] > 0
    assert (folders / "run" / "best" / "network.json").is_file()
    assert f"loss {result['loss']:.4f}" in done.output


def test_sources_need_a_table(folders):
    done = run(*arguments(folders, "--hold-out", "north", groups=False))
    assert isinstance(done.exception, BadInput)
    assert "--groups" in str(done.exception)


def test_every_setting_has_an_option_with_its_default():
    names = {parameter.name: parameter for parameter in command.params}
    usual = TuneSettings()
    for name, value in usual.to_json().items():
        default = names[name].default
        assert (tuple(default) if names[name].multiple else default) == value


def test_help_is_complete():
    text = run("--help").output
    for option in ("--hold-out-harmless", "--dry-run", "--resume", "--no-mirror", "--images"):
        assert option in text
