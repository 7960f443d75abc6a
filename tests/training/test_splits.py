from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.errors import BadInput
from training.folder import Photo
from training.splits import split


def photo(name="glock", *, firearm=True, group="", source=None, number=0):
    digest = f"{name}-{number}"
    return Photo(Path(digest), name, firearm, digest, group or digest, source)


def test_sources_go_where_they_are_told():
    photos = [photo(source=source, number=n) for n, source in enumerate("aabbcc")]
    sides = split(photos, threshold_sources=["b"], test_sources=["c"])
    assert (sides.prototypes, sides.threshold, sides.test) == ((0, 1), (2, 3), (4, 5))
    assert sides.dropped == 0


def test_near_copies_stay_with_the_prototypes_then_with_the_threshold():
    photos = [
        photo(source="a", group="x", number=0),
        photo(source="b", group="x", number=1),
        photo(source="b", group="y", number=2),
        photo(source="c", group="x", number=3),
        photo(source="c", group="y", number=4),
        photo(source="c", group="z", number=5),
    ]
    sides = split(photos, threshold_sources=["b"], test_sources=["c"])
    assert (sides.prototypes, sides.threshold, sides.test) == ((0,), (2,), (5,))
    assert sides.dropped == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold_sources": ["nowhere"]}, "no photograph is of the source 'nowhere'"),
        ({"threshold_sources": ["a"], "test_sources": ["a"]}, "cannot both"),
        ({"threshold_sources": ["a", "b"]}, "no firearm is left to be a prototype"),
        ({"threshold_sources": ["h"]}, "no firearm is left to set the threshold"),
    ],
)
def test_sources_that_cannot_be_so_held_out_are_named(options, message):
    photos = [
        photo(source="a", number=0),
        photo(source="b", number=1),
        photo("room", firearm=False, source="h"),
    ]
    with pytest.raises(BadInput, match=message):
        split(photos, **options)


def test_without_sources_a_share_of_each_type_is_held_out():
    photos = [photo("glock", number=n) for n in range(8)] + [
        photo("revolver", number=n) for n in range(3)
    ]
    photos += [photo("room", firearm=False)]
    sides = split(photos, share=0.25)
    assert sum(n < 8 for n in sides.threshold) == 2
    assert sum(8 <= n < 11 for n in sides.threshold) == 1
    assert 11 in sides.prototypes
    assert sides == split(photos, share=0.25)
    assert sides != split(photos, share=0.25, seed=1)


def test_a_type_with_one_photograph_cannot_be_split():
    photos = [photo("glock", number=n) for n in range(4)] + [photo("derringer")]
    with pytest.raises(BadInput, match="type 'derringer' has one photograph"):
        split(photos)


def test_sources_are_chosen_by_chance_for_firearms_and_the_rest():
    photos = [
        photo(source=f"f{n // 10}", number=n) for n in range(100)
    ] + [
        photo("room", firearm=False, source=f"h{n // 10}", number=n) for n in range(100)
    ]  # fmt: skip
    sides = split(photos, share=0.25)
    held = [photos[n] for n in sides.threshold]
    assert 20 <= sum(each.firearm for each in held) <= 50
    assert 20 <= sum(not each.firearm for each in held) <= 50


photos_of = st.lists(
    st.builds(
        photo,
        st.sampled_from(["glock", "revolver"]),
        firearm=st.booleans(),
        group=st.sampled_from(["", "", "x", "y", "z"]),
        source=st.sampled_from([None, "a", "b", "c", "d", "e"]),
        number=st.integers(0, 10**6),
    ),
    min_size=4,
    max_size=60,
)


@settings(max_examples=200, deadline=None)
@given(photos_of, st.integers(0, 5), st.sets(st.sampled_from(["a", "b"]), max_size=1))
def test_no_group_and_no_source_is_on_two_sides(photos, seed, test_sources):
    known = {each.source for each in photos}
    try:
        sides = split(photos, test_sources=test_sources & known, seed=seed)
    except BadInput:
        return
    parts = [sides.prototypes, sides.threshold, sides.test]
    assert len({n for part in parts for n in part}) == sum(map(len, parts))
    assert sum(map(len, parts)) + sides.dropped == len(photos)
    for first in range(3):
        for second in range(first):
            for value in ("group", "source"):
                ones, others = (
                    {getattr(photos[n], value) for n in parts[side]} for side in (first, second)
                )
                assert not (ones & others) - {None}
