"""A run's directory says what was asked, and goes on only with the same."""

import json

import pytest

from training.errors import BadInput
from training.stages.run import Run

ASKED = {"lr": 0.1, "figures": (("margin", 0.3),), "workers": 2, "data": "sha256:1"}


def test_a_run_goes_on_with_the_same_settings_only(tmp_path):
    run = Run(tmp_path / "run")
    run.begin(ASKED)
    run.check({**ASKED, "workers": 8}, resume=True)
    with pytest.raises(BadInput) as error:
        run.check({**ASKED, "lr": 0.2, "data": "sha256:2"}, resume=True)
    assert "--lr 0.1 then, 0.2 now; --data sha256:1 then, sha256:2 now" in str(error.value)


def test_a_run_is_not_begun_twice_or_over_other_files(tmp_path):
    Run(tmp_path / "run").check(ASKED, resume=False)
    Run(tmp_path / "run").begin(ASKED)
    with pytest.raises(BadInput, match="holds a run already; give another --out, or --resume"):
        Run(tmp_path / "run").check(ASKED, resume=False)
    with pytest.raises(BadInput, match="is no run's directory"):
        Run(tmp_path).check(ASKED, resume=True)


def test_resume_begins_where_there_is_nothing(tmp_path):
    Run(tmp_path / "run").check(ASKED, resume=True)
    assert not (tmp_path / "run").exists()
    Run(tmp_path / "run").begin(ASKED)
    Run(tmp_path / "run").begin({**ASKED, "lr": 0.2})
    assert json.loads((tmp_path / "run" / "settings.json").read_text())["lr"] == 0.1


def test_lines_beyond_the_checkpoint_are_dropped(tmp_path):
    run = Run(tmp_path)
    for epoch in range(4):
        run.log({"epoch": epoch})
    run.keep_epochs(2)
    run.log({"epoch": 2, "again": True})
    lines = (tmp_path / "progress.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"epoch": 0},
        {"epoch": 1},
        {"epoch": 2, "again": True},
    ]


def test_the_result_says_that_the_run_has_ended(tmp_path):
    run = Run(tmp_path)
    assert run.result() is None
    run.finish({"best_map": 0.5})
    assert run.result() == {"best_map": 0.5}
