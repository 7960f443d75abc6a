import copy

import pytest

from tests.training.ranking.examples import entry
from training.ranking.paper import METHODS
from training.ranking.summary import summarise
from training.ranking.tables import (
    difference_table,
    flag_table,
    rank_table,
    report,
    table_3,
    tables_1_and_2,
    type_table,
)


@pytest.fixture(scope="module")
def entries():
    return [
        *(entry("cls+double", split, noise=0.7) for split in (0, 1)),
        *(entry("retr-s", split, noise=1.5) for split in (0, 1)),
        entry("arcface", 0, noise=0.5),
    ]


def rows(markdown):
    """Cells of a table's lines, without its header."""
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert len({len(row) for row in cells}) == 1
    return cells[2:]


def test_the_papers_figures_stand_beside_ours_that_are_asked_so(entries):
    summary = summarise(entries)
    found = {row[0]: row for row in rows(tables_1_and_2(summary, "paper"))}
    assert len(found) == len(METHODS) + 1
    own = found["classification + double margin"]
    mean = summary["cls+double"]["paper/map"]
    assert own[1] == f"{100 * mean.mean:.1f} ± {100 * mean.half:.1f}"
    assert own[2] == "68.4"
    assert own[4] == f"{100 * summary['cls+double']['paper/recall/1'].mean:.1f} ± " + (
        f"{100 * summary['cls+double']['paper/recall/1'].half:.1f}"
    )
    assert own[5::2] == ["95", "98.75", "98.75", "100"]
    assert found["single margin, one stage (Siamese-MAC) [retr-s]"][2] == "35.1"
    assert found["classification only"][1:3] == ["–", "65.4"]
    assert found["arcface"][2] == "–"
    assert "±" not in found["arcface"][1]


def test_no_figure_of_two_queries_stands_beside_one_of_every_photograph(entries):
    text = tables_1_and_2(summarise(entries), "every")
    assert "paper" not in text and "68.4" not in text
    assert {row[0] for row in rows(text)} == {
        "single margin, one stage (Siamese-MAC) [retr-s]",
        "classification + double margin",
        "arcface",
    }


def test_pca_has_our_rows_and_the_papers(entries):
    found = rows(table_3(summarise(entries), "train"))
    own = [row for row in found if row[0] == "classification + double margin"]
    assert [row[1] for row in own] == [
        "two queries a type",
        "every photograph asked",
        "paper, two queries",
    ]
    assert own[2][2:] == ["68.63", "69.15", "70.14", "70.07", "68.48", "61.59"]
    assert own[1][2:7] == ["–"] * 5
    assert own[1][7] != "–"


def test_a_mean_of_fewer_splits_says_so(entries):
    two = copy.deepcopy(entries[:2])
    own = two[0]["protocols"]["every"]["pca"]["train"]
    own["32"] = copy.deepcopy(own["16"])
    found = rows(table_3(summarise(two), "train"))
    row = next(row for row in found if row[1] == "every photograph asked")
    assert row[6].endswith(" (of 1)") and "of" not in row[7]


def test_all_ranks_are_shown(entries):
    found = rows(rank_table(summarise(entries)))
    assert [
        "MFC",
        "paper, two queries, 512-d",
        "81.25",
        "85",
        "86.25",
        "95",
        "96.25",
        "98.75",
    ] in found


def test_differences_have_a_sign(entries):
    found = {row[0]: row for row in rows(difference_table(entries, "cls+double"))}
    assert found["retr-s"][1] == "2"
    assert found["retr-s"][2].startswith("-")
    assert found["arcface"][2].startswith("+")
    assert difference_table(entries[:2], "cls+double") == ""


def test_flags_are_told_for_both_kinds_of_prototypes(entries):
    text = flag_table(summarise(entries), entries)
    assert len(rows(text)) == 6
    assert "took part" not in text
    learnt = [{**entries[0], "harmless_per_batch": 8}, *entries[1:]]
    assert "took part in the training of cls+double" in flag_table(summarise(learnt), learnt)


def test_types_are_means_over_the_splits_that_test_them(entries):
    found = {row[0]: row for row in rows(type_table(entries))}
    by_type = {}
    for one in entries[:2]:
        for row in one["types"]:
            by_type.setdefault(row["type"], []).append(row["map"])
    for name, values in by_type.items():
        assert found[name][3] == f"{100 * sum(values) / len(values):.1f}"


def test_seeds_of_one_split_are_called_so(entries):
    said = "differ in the seed of chance only"
    assert said not in report(entries)
    same = [{**each, "data": {**each["data"], "digest": "sha256:0"}} for each in entries]
    assert said in report(same)


def test_a_report_has_every_table_that_there_are_figures_for(entries):
    titles = [line for line in report(entries, "arcface").splitlines() if line.startswith("## ")]
    assert len(titles) == 9
    bare = report([entry("mac", harmless=False)])
    assert "## Flags" not in bare
    assert "## Calibration" not in bare
    assert "## More than" not in bare
    assert "## What each part gains" not in bare and "## Margins" not in bare
