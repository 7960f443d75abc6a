"""Which sources are held out in turn; nothing that is tested was learnt."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.study.examples import photo
from training.errors import BadInput
from training.study import sources
from training.study.sources import folds
from training.tuning.plan import held_out
from training.tuning.settings import TuneSettings


def photos_of(firearms, harmless):
    """Return as many photographs of each source as the tables say."""
    made = [("glock", True, source) for source, n in firearms.items() for _ in range(n)]
    made += [("tool", False, source) for source, n in harmless.items() for _ in range(n)]
    return [photo(name, k, firearm=f, source=s) for k, (name, f, s) in enumerate(made)]


GUNS = {"a": 5, "b": 9, "c": 7, "d": 4, "e": 1}


def test_each_large_source_is_held_out_the_largest_first():
    found = folds(photos_of(GUNS, dict.fromkeys("vwxy", 2)), least=4)
    assert [fold.source for fold in found] == ["b", "c", "a", "d"]
    assert [fold.together for fold in found] == [("b",), ("c",), ("a",), ("d",)]


def test_photographs_without_a_source_are_in_no_fold():
    photos = photos_of({"a": 5, "b": 5, None: 9}, {"v": 2, "w": 2, None: 8})
    found = folds(photos, least=5, parts=2)
    assert [fold.source for fold in found] == ["a", "b"]
    for fold in found:
        assert all(photos[place].source for place in sources.tested(photos, fold))


def test_harmless_sources_are_dealt_evenly_and_each_to_one_part():
    counts = {"s": 50, "t": 30, "u": 25, "v": 20, "w": 10, "x": 6, "y": 5, "z": 4}
    found = folds(photos_of(GUNS, counts), least=4, parts=3)
    dealt = [fold.harmless for fold in found]
    # Largest first, each to the part that has fewest: 50; 30 + 10 + 6 + 4; 25 + 20 + 5.
    assert dealt[:3] == [("s",), ("t", "w", "x", "z"), ("u", "v", "y")]
    # A fourth fold takes the first part again.
    assert dealt[3] == dealt[0]


@given(
    counts=st.lists(st.integers(1, 60), min_size=4, max_size=20),
    parts=st.integers(1, 4),
)
def test_no_part_is_fuller_than_another_by_more_than_its_last_source(counts, parts):
    harmless = {f"h{place:02}": count for place, count in enumerate(counts)}
    guns = {f"g{place}": 2 for place in range(max(2, parts))}
    dealt = [fold.harmless for fold in folds(photos_of(guns, harmless), least=2, parts=parts)]
    assert sorted(name for part in dealt[:parts] for name in part) == sorted(harmless)
    sizes = [sum(harmless[name] for name in part) for part in dealt[:parts]]
    for part, size in zip(dealt, sizes, strict=False):
        # When its smallest source came, it was the emptiest of all.
        assert size - min(harmless[name] for name in part) <= min(sizes)


def test_sources_that_descend_from_one_another_are_held_out_together():
    photos = photos_of(GUNS, dict.fromkeys("vwxy", 2))
    by_source = {
        fold.source: fold
        for fold in folds(photos, least=4, related=[("a", "e", "b"), ("b", "d"), ("y", "x")])
    }
    assert by_source["a"].together == ("a", "b", "e")
    assert by_source["b"].together == ("b", "a", "d", "e")
    assert by_source["c"].together == ("c",)
    # Those beside the source are learnt by nobody, but tested in folds of their own only.
    asked = {photos[place].source for place in sources.tested(photos, by_source["b"])}
    assert asked == {"b", *by_source["b"].harmless}


def test_the_firearms_of_the_source_and_harmless_ones_of_the_part_are_tested():
    photos = photos_of({"a": 3, "b": 3}, {"a": 2, "b": 2, "v": 2, "w": 2})
    fold = folds(photos, least=3)[0]
    harmless = {"a", *fold.harmless}
    expected = []
    for place, each in enumerate(photos):
        if each.firearm and each.source == "a":
            expected.append(place)
        if not each.firearm and each.source in harmless:
            expected.append(place)
    assert sources.tested(photos, fold) == expected


@pytest.mark.parametrize(
    ("firearms", "harmless", "said"),
    [
        ({"a": 9, "b": 2}, "vwxy", "1 sources have 3 firearms or more.*--groups"),
        ({None: 99}, "vwxy", "0 sources have 3 firearms or more.*--groups"),
        ({"a": 9, "b": 9}, "vwx", "come from 3 sources; 4 are needed"),
        ({"a": 9, "b": 9}, "", "come from 0 sources; 4 are needed"),
    ],
)
def test_too_few_sources_are_told_in_one_line(firearms, harmless, said):
    with pytest.raises(BadInput, match=said) as found:
        folds(photos_of(firearms, dict.fromkeys(harmless, 2)), least=3)
    assert "\n" not in str(found.value)


def test_a_related_source_that_is_none_is_named():
    photos = photos_of(GUNS, dict.fromkeys("vwxy", 2))
    with pytest.raises(BadInput, match="--related z is no source of the photographs"):
        folds(photos, least=4, related=[("a", "y"), ("b", "z")])


SOURCES = st.sampled_from(["a", "b", "c", "d", "e", None])
ROWS = st.lists(
    st.tuples(st.booleans(), SOURCES, st.integers(0, 40)), min_size=12, max_size=60
)  # whether a firearm, its source, its group of near copies


@given(
    rows=ROWS,
    parts=st.integers(1, 3),
    related=st.lists(st.lists(st.sampled_from("abcde"), max_size=3), max_size=2),
)
def test_nothing_that_is_tested_was_learnt(rows, parts, related):
    # Each source is there with both, so that there are folds.
    rows = [*rows, *((firearm, source, 50) for source in "abcde" for firearm in (True, False))]
    photos = [
        photo("glock" if firearm else "tool", place, firearm=firearm, source=source,
              group=f"near {group}")
        for place, (firearm, source, group) in enumerate(rows)
    ]  # fmt: skip
    for fold in folds(photos, least=1, parts=parts, related=related):
        settings = TuneSettings(hold_out=fold.together, hold_out_harmless=fold.harmless)
        learnt = np.flatnonzero(~held_out(photos, settings)).tolist()
        asked = sources.tested(photos, fold)
        assert any(photos[place].firearm for place in asked)
        assert any(not photos[place].firearm for place in asked)
        assert not set(asked) & set(learnt)
        # Nor near copies of it, nor firearms of the sources held out with it.
        assert not {photos[p].group for p in asked} & {photos[p].group for p in learnt}
        assert not {photos[p].source for p in learnt} & set(fold.together)
