"""The chain on drawn data leads somewhere: a network that finds types, a release that flags."""

import json

import pytest

from models.release import load_release
from tests.conftest import REPOSITORY
from training.__main__ import main


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_drawn_data_are_learnt_and_flagged(tmp_path, monkeypatch, capsys):
    """As README shows it, half as long; chance is a mAP of a third, with three types of test."""
    monkeypatch.chdir(tmp_path)
    starter = str(REPOSITORY / "models" / "starter")
    drawn = ("--data", "drawn", "--harmless", "drawn/harmless")
    steps = (
        ("synthesize", "--out", "drawn", "--types", "12", "--images-per-type", "20"),
        ("retrieve", *drawn, "--init", starter, "--sampling", "balanced", "--types-per-batch", "6",
         "--batches-per-epoch", "10", "--harmless-per-batch", "8", "--objective",
         "multi-similarity", "--optimiser", "adamw", "--lr", "1e-4", "--smallest", "160",
         "--largest", "192", "--epochs", "2", "--cache", "cache", "--out", "tuned"),
        ("evaluate", *drawn, "--run", "tuned=tuned", "--sheets", "0", "--out", "evaluation"),
        ("release", "--images", "drawn/firearm-train-val", "--lookalikes", "drawn/harmless",
         "--run", "tuned", "--temperature", "0.1", "--out", "release"),
    )  # fmt: skip
    for words in steps:
        assert main(list(words)) == 0, capsys.readouterr().err
    (entry,) = json.loads((tmp_path / "evaluation" / "evaluation.json").read_text())["entries"]
    assert entry["protocols"]["every"]["whole"]["map"]["trapezoid"] > 0.5
    at = load_release(tmp_path / "release").report["figures"]["threshold"]["flags"]["at_threshold"]
    assert at["recall"] > 0.5
    assert at["false_flags"] <= 0.01
    assert "no larger a share" not in capsys.readouterr().err
