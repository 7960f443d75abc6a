import pytest

from training.data.duplicates import MISLABELLED, duplicates, to_leave_out

TRAIN_A = "train/a/a_0001.jpg"
TRAIN_A2 = "train/a/a_0002.jpg"
TRAIN_B = "train/b/b_0001.jpg"
FOUND_C = "test/database_image/c_0001.jpg"
FOUND_C2 = "test/database_image/c_0002.jpg"
ASKED_C = "test/query_info/query_image/c_0009.jpg"
ASKED_D = "validation/query_info/query_image/d_0001.jpg"
REMOVED = f"validation/query_info/query_image/{MISLABELLED}"


@pytest.mark.parametrize(
    ("same", "splits", "types", "queries", "left"),
    [
        ((TRAIN_A, TRAIN_A2), 0, 0, 0, []),
        ((TRAIN_A, TRAIN_B), 0, 1, 0, [TRAIN_A, TRAIN_B]),
        ((TRAIN_A, FOUND_C), 1, 1, 0, [FOUND_C, TRAIN_A]),
        ((FOUND_C, FOUND_C2), 0, 0, 0, []),
        ((FOUND_C, FOUND_C2, ASKED_C), 0, 0, 1, [FOUND_C, FOUND_C2]),
        ((TRAIN_A, ASKED_D), 1, 1, 0, [TRAIN_A]),
        # Another split's query makes no query of this split.
        ((FOUND_C, ASKED_D), 1, 1, 0, [FOUND_C]),
    ],
)
def test_finds_what_is_the_same_and_what_to_leave_out(same, splits, types, queries, left):
    digests = dict.fromkeys(same, "x") | {"train/z/z_0001.jpg": "y"}
    found = duplicates(digests)
    counts = tuple(map(len, (found.across_splits, found.across_types, found.of_queries)))
    assert counts == (splits, types, queries)
    assert (found.distinct, found.files) == (2, len(same) + 1)
    assert to_leave_out(found, digests) == left


def test_the_mislabelled_query_is_left_out_where_it_is():
    digests = {REMOVED: "x", TRAIN_A: "y"}
    assert to_leave_out(duplicates(digests), digests) == [REMOVED]
