"""Choices of prototypes compared on drawings, by the command that people use."""

import json

import numpy as np
import pytest

from models.prototypes import Prototypes
from tests.training.calibration.examples import unit
from training import __main__ as entry
from training.__main__ import main
from training.calibration.study import Plan, index_bytes, table


@pytest.fixture(autouse=True)
def _listed(monkeypatch):
    monkeypatch.setitem(entry.COMMANDS, "prototypes", "Compare choices of prototypes.")


def run(capsys, drawn, out, *options):
    arguments = (
        "prototypes", "--images", drawn.images, "--lookalikes", drawn.lookalikes, "--backbone",
        "squeezenet1_1", "--size", "64", "--per-kind", "3", "--out", out, *options,
    )  # fmt: skip
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_each_method_and_count_has_its_row(tmp_path, capsys, drawn):
    out = tmp_path / "out"
    code, printed, err = run(
        capsys, drawn, out, "--counts", "2,all,1", "--method", "medoids", "--method", "facility"
    )
    assert code == 0, err
    found = json.loads((out / "prototypes.json").read_text())
    choices = [(row["method"], row["per_type"]) for row in found["rows"]]
    assert choices == [("all", "all"), ("medoids", 1), ("medoids", 2), ("facility", 1),
                       ("facility", 2)]  # fmt: skip
    assert [row["firearms"] for row in found["rows"]] == [18, 3, 6, 3, 6]
    assert {row["lookalikes"] for row in found["rows"]} == {12}
    sizes = [row["index_bytes"] for row in found["rows"]]
    assert sizes[0] > sizes[2] > sizes[1]
    assert found["side"] == "threshold"
    assert all(0 <= row["mean_average_precision"] <= 1 for row in found["rows"])
    assert all(0 <= row["recall_at_false_flags"]["0.01"] <= 1 for row in found["rows"])
    markdown = (out / "prototypes.md").read_text()
    assert printed == markdown
    assert len([line for line in markdown.splitlines() if line.startswith("|")]) == 7
    assert str(tmp_path) not in json.dumps(found)


def test_where_sources_test_the_test_is_measured(tmp_path, capsys, drawn):
    out = tmp_path / "out"
    code, _, err = run(
        capsys, drawn, out, "--counts", "1", "--method", "k-centre", "--groups", drawn.groups,
        "--test-source", "west", "--temperature", "0.1",
    )  # fmt: skip
    assert code == 0, err
    found = json.loads((out / "prototypes.json").read_text())
    assert (found["side"], found["photographs"]) == ("test", 14)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--counts", "0"), "--counts 0"),
        (("--counts", "few"), "--counts few"),
        (("--counts", ""), "--counts"),
        (("--method", "best"), "'best' is not one of"),
        (("--per-type", "3"), "--per-type"),
    ],
)
def test_wrong_input_ends_in_one_line(tmp_path, capsys, drawn, options, message):
    code, _, err = run(capsys, drawn, tmp_path / "out", *options)
    assert code == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_results_give_way_only_when_asked(tmp_path, capsys, drawn):
    out = tmp_path / "out"
    out.mkdir()
    (out / "prototypes.json").write_text("{}")
    code, _, err = run(capsys, drawn, out, "--counts", "1")
    assert code == 2
    assert "holds results already" in err
    assert run(capsys, drawn, out, "--counts", "1", "--replace")[0] == 0
    assert json.loads((out / "prototypes.json").read_text())["rows"]


def test_all_of_them_are_measured_once_and_counts_rise():
    plan = Plan(("medoids", "k-centre"), (5, None, 2, 5))
    assert plan.choices() == [
        ("all", None), ("medoids", 2), ("medoids", 5), ("k-centre", 2), ("k-centre", 5),
    ]  # fmt: skip
    assert Plan(("medoids",), (3,)).choices() == [("medoids", 3)]


def prototypes(count):
    rows = unit(np.random.default_rng(0).standard_normal((count, 8)))
    ids = tuple(f"a/{n}" for n in range(count))
    return Prototypes(rows, ids, ("a",) * count, ("firearm",) * count)


def test_an_index_that_has_a_file_counts_it():
    small, large = index_bytes(prototypes(1999)), index_bytes(prototypes(2000))
    assert large - small > 2000 * 8 * 4


def test_a_table_shows_what_is_not_known():
    row = {
        "method": "all", "per_type": "all", "firearms": 3, "lookalikes": 0,
        "mean_average_precision": 0.5, "type_right": None, "type_right_as_served": 0.25,
        "recall_at_false_flags": {}, "at_threshold": {"recall": 1.0, "false_flags": None},
        "index_bytes": 1500,
    }  # fmt: skip
    lines = table({"side": "test", "photographs": 4, "rows": [row]}).splitlines()
    assert lines[-1] == "| all | all | 3 | 0 | 50.0 | – | 25.0 | – | – | – | 100.0 | – | 2 |"
    assert lines[2].count("|") == lines[3].count("|") == lines[4].count("|") == 14
