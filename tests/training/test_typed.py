"""What is typed and would be ignored is refused in one line, before anything is read."""

import pytest

from training.__main__ import main
from training.typed import typed

STAGE = ("--data", "nowhere", "--out", "run", "--backbone", "squeezenet1_1", "--init", "random")
RELEASE = ("--images", "nowhere", "--out", "release")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ("retrieve", *STAGE, "--figure", "positive_margin=1.3"),
            "positive_margin of the objective contrastive-double is 1.3 and negative_margin 1.2; "
            "the first must not be above the second",
        ),
        (
            ("retrieve", *STAGE, "--figure", "mining=hard"),
            "--figure mining=hard has no effect with --sampling pairs, which draws what is "
            "compared; leave it out, or give --sampling balanced",
        ),
        (
            ("retrieve", *STAGE, "--types-per-batch", "16"),
            "--types-per-batch has no effect with --sampling pairs; leave it out; see "
            "`python -m training retrieve --help`",
        ),
        (
            ("retrieve", *STAGE, "--sampling", "balanced", "--batch", "8"),
            "--batch has no effect with --sampling balanced",
        ),
        (
            ("retrieve", *STAGE, "--sampling", "triplets", "--objective", "triplet",
             "--negatives-per-type", "4"),
            "--negatives-per-type has no effect with --sampling triplets",
        ),
        (("retrieve", *STAGE, "--untyped"), "--untyped has no effect here: only distil learns"),
        (
            ("retrieve", *STAGE, "--harmless", "others"),
            "--harmless has no effect without --harmless-per-batch or --augmentation strong",
        ),
        (
            ("classify", *STAGE, "--schedule", "cosine", "--step-epochs", "3"),
            "--step-epochs has no effect with --schedule cosine",
        ),
        (
            ("classify", *STAGE, "--no-class-weights", "--cancel-class-weights"),
            "--cancel-class-weights has no effect with --no-class-weights",
        ),
        (
            ("classify", *STAGE, "--smallest", "64", "--largest", "64", "--size-step", "4"),
            "--size-step has no effect with --smallest and --largest alike",
        ),
        (
            ("classify", *STAGE, "--no-keep-aspect", "--bucket-step", "4"),
            "--bucket-step has no effect with --no-keep-aspect",
        ),
        (("classify", *STAGE, "--gem-power", "4"), "--gem-power has no effect with --pooling mac"),
        (
            ("distil", *STAGE, "--teacher-weights", ".", "--teacher-size", "64"),
            "--teacher-size has no effect with a directory as --teacher-weights",
        ),
        (
            ("evaluate", "--data", "nowhere", "--run", "run", "--size", "64", "--out", "out"),
            "--size has no effect without --backbone",
        ),
        (
            ("evaluate", "--data", "nowhere", "--run", "run", "--lookalike", "toy", "--out", "out"),
            "--lookalike has no effect without --harmless",
        ),
        (
            ("evaluate", "--join", "results", "--device", "cpu", "--out", "out"),
            "--device has no effect with --join",
        ),
        (
            ("study", "--data", "nowhere", "--split-seed", "1", "--runs", "runs", "--out", "out"),
            "--split-seed has no effect here: --splits names the seeds",
        ),
        (
            ("release", *RELEASE, "--false-flag-rate", "0.005"),
            "--false-flag-rate has no effect without --lookalikes",
        ),
        (
            ("release", *RELEASE, "--lookalikes", "nowhere", "--fallback-recall", "0.9"),
            "--fallback-recall has no effect with --lookalikes",
        ),
        (
            ("release", *RELEASE, "--pooling", "mac", "--gem-power", "4"),
            "--gem-power has no effect with --pooling mac",
        ),
        (
            ("release", *RELEASE, "--selection", "facility"),
            "--selection has no effect where --per-type and --per-kind are all",
        ),
    ],
)  # fmt: skip
def test_what_is_typed_and_changes_nothing_is_refused(
    arguments, line, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert main(list(arguments)) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"error: {line}")
    assert not list(tmp_path.iterdir())


def test_what_is_not_typed_is_not_refused(tmp_path, monkeypatch, capsys):
    """Defaults that change nothing are nobody's wish; then what is not there is told of."""
    monkeypatch.chdir(tmp_path)
    arguments = ("--sampling", "balanced", "--schedule", "cosine", "--pooling", "gem")
    assert main(["retrieve", *STAGE, *arguments]) == 2
    assert "nowhere is not a folder" in capsys.readouterr().err
    assert main(["evaluate", "--data", "nowhere", "--run", "run", "--out", "out"]) == 2
    assert "run is no directory" in capsys.readouterr().err


def test_outside_a_command_nothing_is_typed():
    assert not typed("out")
