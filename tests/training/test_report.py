import numpy as np
import pytest

from training.report import SIDES, Judged, flag_figures, side_figures, type_figures, with_sides


def judged(rows):
    names, sources, firearm, nearest, scores = zip(*rows, strict=True)
    return Judged(
        names, sources, np.array(firearm), np.array(nearest, np.float64), np.array(scores)
    )


def test_flags_are_counted_by_source_type_and_kind():
    found = flag_figures(
        judged(
            [
                ("glock", "north", True, 0.9, 0.9),
                ("glock", "south", True, 0.75, 0.75),
                ("revolver", "north", True, 0.65, 0.65),
                ("revolver", None, True, 0.9, -1.0),
                ("drill", "east", False, 0.85, 0.85),
                ("drill", "east", False, 0.9, -1.0),
                ("room", "west", False, 0.68, 0.68),
                ("room", "west", False, 0.2, 0.2),
            ]
        ),
        threshold=0.7,
        near_miss=0.05,
    )
    assert (found["firearms"], found["harmless"]) == (4, 4)
    assert found["at_threshold"] == {
        "recall": 0.5,
        "false_flags": 0.25,
        "recall_with_near_misses": 0.75,
        "false_flags_with_near_misses": 0.5,
    }
    # One in twenty of four is none: the threshold lies above the drill.
    assert found["recall_at_false_flags"]["0.05"] == 0.25
    by_source = found["firearms_flagged_by_source"]
    assert by_source["north"] == {"photographs": 2, "flagged": 1, "share": 0.5}
    assert by_source["(unknown source)"]["flagged"] == 0
    assert found["firearms_flagged_by_type"]["glock"]["share"] == 1
    assert found["harmless_flagged_by_kind"]["drill"]["flagged"] == 1
    assert found["harmless_flagged_by_kind"]["room"]["photographs"] == 2
    assert set(found["harmless_flagged_by_source"]) == {"east", "west"}


def test_flags_of_firearms_alone_have_no_false_ones():
    found = flag_figures(judged([("glock", None, True, 0.9, 0.9)]), 0.5, 0.1)
    assert found["at_threshold"]["recall"] == 1
    assert found["at_threshold"]["false_flags"] is None
    assert found["recall_at_false_flags"] == {}


def test_types_are_told_by_the_nearest_prototype():
    similarities = np.array(
        [
            [0.9, 0.1, 0.2, 0.3],
            [0.1, 0.9, 0.2, 0.3],
            [0.9, 0.8, 0.1, 0.2],
            [0.1, 0.2, 0.3, 0.9],
            [0.5, 0.5, 0.5, 0.5],
        ],
        np.float32,
    )
    found = type_figures(
        similarities,
        ["glock", "m1911", "m1911", "glock", "rare"],
        ["glock", "m1911", "ak", "coarse_handgun"],
        {"glock": "pistol", "m1911": "pistol", "ak": "rifle", "coarse_handgun": "handgun"},
        coarse=["coarse_handgun"],
    )
    assert found["queries"] == 4
    assert found["types_without_prototypes"] == {"rare": 1}
    assert found["recall_at_1"] == 0.5
    assert found["recall_at_5"] == 1
    assert found["family_at_1"] == 0.75
    # Right at ranks 1, 1, 2 and 4: 1, 1, (0 + 1/2) / 2 and (0 + 1/4) / 2.
    assert found["mean_average_precision"] == pytest.approx((1 + 1 + 0.25 + 0.125) / 4, abs=1e-4)


def test_a_family_that_is_not_known_is_not_asked_for():
    similarities = np.array([[0.9, 0.1], [0.9, 0.1]], np.float32)
    names = ["one", "other"]
    assert type_figures(similarities, names, names, {})["family_at_1"] is None
    found = type_figures(similarities, names, names, {"other": "pistol"})
    assert (found["recall_at_1"], found["family_at_1"]) == (0.5, 0)


def test_coarse_firearms_are_no_queries():
    found = type_figures(
        np.ones((1, 1), np.float32), ["coarse_a"], ["coarse_a"], {}, coarse=["coarse_a"]
    )
    assert found["queries"] == 0
    assert found["recall_at_1"] is None
    assert found["mean_average_precision"] is None


def test_the_note_of_the_sides_stands_once_in_its_newest_words():
    old = "recall_at_false_flags is on these; at_threshold is what this release does."
    assert with_sides(["first", old, "last"]) == [SIDES, "first", "last"]
    assert with_sides(with_sides([])) == [SIDES]


def test_a_side_is_counted_by_name_and_source():
    assert side_figures(["a", "b", "a"], ["s", None, "s"]) == {
        "photographs": 3,
        "by_name": {"a": 2, "b": 1},
        "by_source": {"(unknown source)": 1, "s": 2},
    }
