"""The commands of both stages: every setting is an option, and help comes without torch."""

import dataclasses
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from tests.conftest import REPOSITORY
from tests.training.stages.samples import SIDE
from training.commands import classify, retrieve
from training.errors import BadInput
from training.stages.settings import ClassifySettings, RetrieveSettings
from training.stages.trained import read_spec

TINY = ("--backbone", "squeezenet1_1", "--init", "random", "--smallest", "64", "--largest", "64",
        "--device", "cpu", "--threads", "1", "--no-tensorboard")  # fmt: skip


def options_of(command):
    return {parameter.name: parameter for parameter in command.params}


@pytest.mark.parametrize(
    ("command", "kind"),
    [(classify.command, ClassifySettings), (retrieve.command, RetrieveSettings)],
)
def test_every_setting_is_an_option_with_its_default_and_help(command, kind):
    options = options_of(command)
    for known in dataclasses.fields(kind):
        option = options[known.name]
        assert option.help == known.metadata["help"]
        if known.name != "figures":
            assert option.default == known.default or known.default is None, known.name
    assert {"data", "groups", "harmless", "out", "resume", "dry_run", "size"} <= options.keys()


@pytest.mark.parametrize("name", ["classify", "retrieve"])
def test_help_has_an_example_and_needs_no_torch(name):
    code = (
        f"import sys; from training.commands.{name} import command\n"
        "command.main(['--help'], standalone_mode=False)\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True,
                          text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"python -m training {name} --data" in done.stdout


def invoke(command, *arguments):
    result = CliRunner().invoke(command, [str(a) for a in arguments], standalone_mode=False)
    if result.exception:
        raise result.exception
    return result.output


@pytest.fixture(scope="session")
def folder(data, stages_folder):
    """The drawn types as a folder that commands read."""
    return stages_folder / "firearms"


def test_both_stages_run_one_after_the_other(folder, cache, tmp_path):
    common = ("--data", folder, "--cache", cache, *TINY, "--epochs", 1)
    told = invoke(classify.command, *common, "--batch", 8, "--out", tmp_path / "classify")
    assert "best validation accuracy" in told
    spec = read_spec(tmp_path / "classify")
    assert (spec.backbone, spec.pooling, spec.dimension) == ("squeezenet1_1", "mac", None)
    assert spec.input.sizes[0] == (SIDE, SIDE)

    start = ("--init", tmp_path / "classify", "--out", tmp_path / "retrieve")
    rest = [a for a in common if a not in ("--backbone", "squeezenet1_1")]
    few = ("--positives-per-type", 4, "--negatives-per-type", 4, "--figure", "positive_margin=0.7")
    told = invoke(retrieve.command, *rest, *few, *start)
    assert "best validation mAP" in told
    assert read_spec(tmp_path / "retrieve") == spec
    told = invoke(retrieve.command, *rest, *few, *start, "--resume")
    assert "best validation mAP" in told


def test_a_dry_run_makes_no_directory(folder, cache, tmp_path):
    arguments = ("--data", folder, "--cache", cache, *TINY, "--out", tmp_path / "run")
    invoke(retrieve.command, *arguments, "--dry-run", "--dimension", 8, "--pooling", "gem")
    assert not (tmp_path / "run").exists()


def test_wrong_options_are_told_of(folder, cache, tmp_path):
    arguments = ("--data", folder, "--cache", cache, *TINY, "--out", tmp_path / "run")
    with pytest.raises(click.UsageError, match="--figure margin is not NAME=VALUE"):
        invoke(retrieve.command, *arguments, "--figure", "margin")
    with pytest.raises(BadInput, match="--epochs 0 is not in"):
        invoke(classify.command, *arguments, "--epochs", 0)
    with pytest.raises(BadInput, match="holds no trained network"):
        invoke(retrieve.command, *arguments, "--init", tmp_path)
