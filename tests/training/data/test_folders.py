from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data.folders import every_image_as_query, split_folder, too_small
from training.data.sets import QuerySet
from training.errors import BadInput
from training.folder import Photo


def photo(name, number, group=None, *, firearm=True):
    label = f"{name}-{number}"
    return Photo(Path(f"{name}/{number:04d}.jpg"), name, firearm, label, group or label)


def plain(types, count=6):
    return [photo(f"t{kind:03d}", n) for kind in range(types) for n in range(count)]


@st.composite
def collections(draw):
    """Photographs of 4 to 12 types; near copies within and across types."""
    photos = plain(4, 5)
    for kind in range(draw(st.integers(0, 8))):
        groups = draw(st.lists(st.integers(0, 12), min_size=1, max_size=12))
        shared = draw(st.booleans())
        photos += [
            photo(f"u{kind}", n, f"shared{g}" if shared else f"u{kind}-g{g}")
            for n, g in enumerate(groups)
        ]
    return draw(st.permutations(photos))


def parts(data):
    return {
        "train": data.train,
        "validation": (*data.validation.queries, *data.validation.database),
        "test": (*data.test.queries, *data.test.database),
    }


@given(photos=collections(), seed=st.integers(0, 99))
def test_splits_share_no_types_and_no_near_copies(photos, seed):
    found = parts(split_folder(photos, seed=seed))
    for fact in ("name", "group", "path"):
        sets = [{getattr(photo, fact) for photo in part} for part in found.values()]
        assert sum(map(len, sets)) == len(set.union(*sets))
    assert len({photo.name for photo in found["train"]}) >= 2
    assert found["validation"] and found["test"]


@given(photos=collections(), seed=st.integers(0, 99))
def test_each_type_has_two_queries_whose_near_copies_are_not_in_the_database(photos, seed):
    data = split_folder(photos, seed=seed)
    for part in (data.validation, data.test):
        names = [query.name for query in part.queries]
        assert all(names.count(name) == 2 for name in names)
        groups = {query.group for query in part.queries}
        assert len(groups) == len(part.queries)
        assert not groups & {photo.group for photo in part.database}
        for query, relevant in zip(part.queries, part.relevant, strict=True):
            same = {n for n, photo in enumerate(part.database) if photo.name == query.name}
            assert relevant == same
            assert len({part.database[n].group for n in same}) >= 2


@given(photos=collections(), seed=st.integers(0, 99))
def test_the_same_photographs_are_split_the_same_way_in_any_order(photos, seed):
    expected = split_folder(sorted(photos, key=lambda photo: photo.path), seed=seed)
    assert split_folder(photos, seed=seed) == expected


@given(photos=collections(), seed=st.integers(0, 99))
def test_what_is_left_out_is_a_small_type_or_a_near_copy(photos, seed):
    data = split_folder(photos, seed=seed)
    used = {photo.path for part in parts(data).values() for photo in part}
    asked = {photo.group for part in (data.validation, data.test) for photo in part.queries}
    small = too_small(photos)
    for one in photos:
        if one.path not in used and one.name not in small and one.group not in asked:
            assert len({other.name for other in photos if other.group == one.group}) > 1


@pytest.mark.parametrize(
    ("types", "expected"), [(4, (2, 1, 1)), (33, (22, 3, 8)), (167, (108, 17, 42))]
)
def test_types_are_shared_out_as_in_the_paper(types, expected):
    found = parts(split_folder(plain(types), seed=1))
    assert tuple(len({photo.name for photo in part}) for part in found.values()) == expected


def test_classification_has_the_types_of_train_and_validation():
    data = split_folder(plain(8), seed=1)
    expected = {photo.path for part in ("train", "validation") for photo in parts(data)[part]}
    assert {photo.path for photo in data.classification} == expected


def test_other_seeds_split_otherwise():
    splits = {tuple(p.name for p in split_folder(plain(8), seed=seed).train) for seed in range(9)}
    assert len(splits) > 3


def test_a_group_under_two_types_stays_with_the_one_that_has_most_of_it():
    photos = [
        *plain(4),
        photo("t000", 8, "both"),
        photo("t000", 9, "both"),
        photo("t001", 9, "both"),
    ]
    for seed in range(5):
        found = [
            photo for part in parts(split_folder(photos, seed=seed)).values() for photo in part
        ]
        assert {photo.name for photo in found if photo.group == "both"} <= {"t000"}


def test_small_types_are_left_out_and_named():
    photos = [*plain(4), *(photo("few", n) for n in range(3))]
    photos += [photo("copies", n, "same") for n in range(9)]
    assert too_small(photos) == {"copies": 1, "few": 3}
    names = {photo.name for part in parts(split_folder(photos, seed=0)).values() for photo in part}
    assert names == {f"t{kind:03d}" for kind in range(4)}


def test_harmless_photographs_are_no_near_copies_of_what_is_measured():
    photos = plain(4)
    harmless = [photo("drill", n, one.group, firearm=False) for n, one in enumerate(photos)]
    data = split_folder(photos, seed=0, harmless=harmless)
    kept = {photo.group for photo in data.harmless}
    assert kept & {photo.group for photo in data.train}
    assert not kept & {photo.group for photo in (*data.test.database, *data.validation.queries)}


def test_too_few_types_and_figures_out_of_range_are_refused():
    with pytest.raises(BadInput, match="3 types have 4 different photographs or more"):
        split_folder(plain(3), seed=0)
    with pytest.raises(ValueError, match="4 queries"):
        split_folder(plain(4), seed=0, queries_per_type=4)
    with pytest.raises(ValueError, match="shares"):
        split_folder(plain(4), seed=0, shares=(0.5, 0.1, 0.1))


def test_every_image_is_asked_against_all_others():
    database = (photo("a", 0), photo("a", 1, "g"), photo("b", 0), photo("c", 0))
    queries = (photo("a", 2, "g"), photo("b", 1))
    found = every_image_as_query(QuerySet(queries, database, (frozenset({0, 1}), frozenset({2}))))
    assert found.database == (*database, *queries)
    # Of type c there is nothing else to find.
    assert found.queries == (*database[:3], *queries)
    assert found.relevant == ({1, 4}, {0}, {5}, {0}, {2})
    assert found.ignored == ({0}, {1, 4}, {2}, {1, 4}, {5})


@given(photos=collections(), seed=st.integers(0, 99))
def test_asking_every_image_agrees_with_a_loop_over_pairs(photos, seed):
    part = split_folder(photos, seed=seed).test
    found = every_image_as_query(part)
    assert len(found.queries) == len(part.queries) + len(part.database)
    for query, relevant, ignored in zip(found.queries, found.relevant, found.ignored, strict=True):
        for place, other in enumerate(found.database):
            assert (place in ignored) == (other.group == query.group)
            alike = other.name == query.name and other.group != query.group
            assert (place in relevant) == alike
