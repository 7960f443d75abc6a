"""The commands `study` and `folds`: their help, and what is wrong in one line."""

import subprocess
import sys

import pytest

from training.__main__ import main


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def told(capsys, *arguments):
    """Return the one line of a run that cannot be."""
    code, out, err = run(capsys, *arguments)
    assert code == 2
    assert out == ""
    # What is left out of the photographs is said before it.
    line = err.splitlines()[-1]
    assert line.startswith("error: ")
    assert sum(each.startswith("error: ") for each in err.splitlines()) == 1
    return line


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("study", ("--data", "--groups", "--splits", "--method", "--runs", "--out", "--cache")),
        ("folds", ("--images", "--harmless", "--least", "--only", "--related",
                   "--hold-out-harmless", "--cut", "--runs", "--out")),
    ],
)  # fmt: skip
def test_help(capsys, name, options):
    code, out, err = run(capsys, name, "--help")
    assert (code, err) == (0, "")
    assert f"python -m training {name} [OPTIONS]" in out
    for option in options:
        assert f"{option} " in out
    assert "Example:" in out


@pytest.mark.parametrize("name", ["study", "folds"])
def test_help_needs_no_torch(name):
    code = (
        "import sys; from training.__main__ import main; "
        f"main(['{name}', '--help']); sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def study(pictures, tmp_path, *more):
    return (
        *("study", "--data", pictures.firearms, "--groups", pictures.groups),
        *("--runs", tmp_path / "runs", "--out", tmp_path / "out", *more),
    )


def folds(pictures, tmp_path, *more):
    return (
        *("folds", "--images", pictures.firearms, "--harmless", pictures.harmless),
        *("--groups", pictures.groups, "--runs", tmp_path / "runs", "--out", tmp_path / "out"),
        *("--weights", "random", "--cache", tmp_path / "cache", *more),
    )


def test_what_study_cannot_do(capsys, pictures, tmp_path):
    def said(*more):
        return told(capsys, *study(pictures, tmp_path, *more))

    assert "method 'clsdouble' is unknown; choose from mac" in said("--method", "clsdouble")
    assert "--splits 0,x is not a list of numbers such as 0,1,2" in said("--splits", "0,x")
    assert "--splits is not a list of numbers" in said("--splits", "")
    assert "--threads" in said("--threads", "-1")
    nowhere = tmp_path / "nowhere"
    assert f"{nowhere} is not a folder" in said("--method", "mac", "--data", nowhere)
    assert not list(tmp_path.iterdir())


def test_a_dry_run_of_the_papers_schedule_says_what_it_would_do(capsys, pictures, tmp_path):
    code, out, err = run(
        capsys, *study(pictures, tmp_path, "--schedule", "paper", "--backbone", "vgg16",
                       "--weights", "random", "--device", "cpu", "--splits", "0,1", "--dry-run"),
    )  # fmt: skip
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0] == "network vgg16 with weights random, on cpu"
    assert sum(line.startswith("split ") for line in lines) == 2
    assert "mac: 384 px, not trained" in lines
    assert "cls: mac, 256 to 384 px, 50 epochs in batches of 128, sgd" in lines
    (double,) = (line for line in lines if line.startswith("cls+double, "))
    types = int(lines[1].split(" photographs of ")[1].split()[0])
    assert double == (
        "cls+double, after cls: mac, 256 to 384 px, 30 epochs in batches of 64, sgd; "
        f"{30 * 360 * types:,} pairs in all epochs"
    )
    assert not list(tmp_path.iterdir())


def test_a_dry_run_finds_what_a_run_would(capsys, pictures, tmp_path):
    def said(*more):
        return told(capsys, *study(pictures, tmp_path, "--dry-run", *more))

    assert "method 'clsdouble' is unknown" in said("--method", "clsdouble")
    assert "none.pth" in said("--weights", tmp_path / "none.pth", "--splits", "0")
    assert "resnet999" in said("--backbone", "resnet999", "--weights", "random", "--splits", "0")
    assert not list(tmp_path.iterdir())


def test_weights_that_are_nowhere_are_told_before_results_are_begun(capsys, pictures, tmp_path):
    weights = tmp_path / "none.pth"
    for method in ("mac", "cls"):
        line = told(
            capsys, *study(pictures, tmp_path, "--method", method, "--weights", weights,
                           "--cache", tmp_path / "cache", "--splits", "0"),
        )  # fmt: skip
        assert str(weights) in line
    assert not list(tmp_path.rglob("evaluation.json"))
    assert not list(tmp_path.rglob("result.json"))


def test_what_is_not_given_is_named(capsys):
    assert "missing option '--runs'" in told(capsys, "study", "--data", "x", "--out", "y")
    assert "missing option '--groups'" in told(capsys, "folds", "--images", "x", "--harmless", "y")


def test_what_folds_cannot_do(capsys, pictures, tmp_path):
    def said(*more):
        return told(capsys, *folds(pictures, tmp_path, *more))

    assert "0 sources have 150 firearms or more; two are needed" in said()
    assert "--only drawn/nowhere is no source of 12 firearms or more" in said(
        "--least", "12", "--only", "drawn/nowhere"
    )
    assert "--batch 0 is not in 1..100000" in said("--least", "12", "--batch", "0")
    assert "--least" in said("--least", "0")
    missing = tmp_path / "none.csv"
    assert f"{missing} cannot be read as a CSV file" in said("--groups", missing)
    types = tmp_path / "types.json"
    types.write_text("[")
    assert f"{types} cannot be read as a table of types" in said("--types", types, "--least", "12")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["types.json"]


def test_a_source_that_is_related_must_be_there(capsys, pictures, tmp_path):
    options = ("--least", "12", "--related", "drawn/indoors,drawn/attic")
    line = told(capsys, *folds(pictures, tmp_path, *options))
    assert "--related drawn/attic is no source of the photographs" in line
    assert not list(tmp_path.iterdir())


def test_a_network_that_cannot_be_is_told_in_one_line(capsys, pictures, tmp_path):
    options = ("--least", "12", "--backbone", "squeezenet9")
    assert "squeezenet9" in told(capsys, *folds(pictures, tmp_path, *options))
    assert not (tmp_path / "cache").exists()
