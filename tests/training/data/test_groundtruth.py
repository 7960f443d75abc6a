import json

import pytest

from training.data.groundtruth import problems, read_ground_truth

QUERIES = ("a_0.jpg", "b_0.jpg")
DATABASE = ("a_1.jpg", "a_2.jpg", "b_1.jpg")
TRUTH = {"a_0.jpg": {"a_1.jpg", "a_2.jpg"}, "b_0.jpg": {"b_1.jpg"}}


def found(truth=TRUTH, queries=QUERIES, database=DATABASE):
    return list(problems(truth, queries, database))


def test_reads_what_the_authors_wrote(tmp_path):
    file = tmp_path / "truth.json"
    file.write_text(json.dumps({"a_0.jpg": ["a_2.jpg", "a_1.jpg"], "b_0.jpg": ["b_1.jpg"]}))
    assert read_ground_truth(file) == TRUTH


def test_nothing_is_wrong_where_all_agree():
    assert found() == []


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"queries": (*QUERIES, "a_9.jpg")}, ["a_9.jpg is a query without ground truth"]),
        ({"queries": QUERIES[:1]}, ["b_0.jpg has ground truth but no file"]),
        (
            {"database": DATABASE[1:2]},
            [
                "a_0.jpg should find a_1.jpg, which is not there",
                "b_0.jpg should find b_1.jpg, which is not there",
            ],
        ),
        (
            {"database": DATABASE[2:]},
            ["a_0.jpg should find a_1.jpg, which is not there (and 1 more)"],
        ),
        (
            {"truth": TRUTH | {"b_0.jpg": {"b_1.jpg", "a_1.jpg"}}},
            ["b_0.jpg should find a_1.jpg, which is of another type"],
        ),
        (
            {"truth": TRUTH | {"a_0.jpg": set()}},
            ["a_0.jpg should also find a_1.jpg, of its type (and 1 more)"],
        ),
        (
            {"truth": TRUTH | {"b_0.jpg": set()}, "database": DATABASE[:2]},
            ["b_0.jpg has nothing to find: its type has no photograph in the database"],
        ),
    ],
)
def test_each_disagreement_is_one_line(changed, expected):
    assert found(**changed) == expected


def test_a_query_in_the_database_is_wrong():
    assert "a_0.jpg is both query and in the database" in found(database=(*DATABASE, "a_0.jpg"))
