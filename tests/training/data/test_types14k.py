from collections import Counter

import pytest

from models.types import Types
from training.data.types14k import TABLE, find_type, firearm14k_facts, firearm14k_types
from training.naming import named, read_types

FAMILIES = {
    "air gun",
    "flare gun",
    "grenade launcher",
    "machine gun",
    "musket",
    "pistol",
    "revolver",
    "rifle",
    "shotgun",
    "submachine gun",
}


def test_all_types_have_the_published_counts():
    facts = firearm14k_facts().values()
    assert Counter(one.split for one in facts) == {"train": 107, "validation": 20, "test": 40}
    numbers = Counter()
    for one in facts:
        numbers[one.split] += one.photographs
    assert numbers == {"train": 9628, "validation": 1478, "test": 3649}
    assert (min(f.photographs for f in facts), max(f.photographs for f in facts)) == (9, 250)


def test_families_are_a_small_set_that_agrees_with_the_names():
    facts = firearm14k_facts()
    assert {one.family for one in facts.values()} == FAMILIES
    words = ("pistol", "revolver", "submachine gun", "shotgun", "musket")
    exceptions = {
        "Crosman+C-TT+pistol": "air gun",
        "M8+Flare+Pistol": "flare gun",
        "Colt+Dragon+1848+Pocket+Pistol": "revolver",
    }
    for name, one in facts.items():
        for word in words:
            if name.lower().replace("+", " ").endswith(word):
                assert one.family == exceptions.get(name, word), name


def test_names_for_people_are_distinct_and_clean():
    facts = firearm14k_facts().values()
    assert len({one.display_name for one in facts}) == 167
    for text in [text for one in facts for text in (one.display_name, *one.aliases)]:
        assert "+" not in text and "_" not in text and text == " ".join(text.split())


def test_every_name_finds_its_own_type_only():
    for name, one in firearm14k_facts().items():
        for text in (name, one.display_name, *one.aliases):
            assert find_type(text) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ak-47", "AK+47"),
        ("Kar98k", "Karabiner+98+kurz+rifle"),
        ("h&k hk33", "Heckler+Koch+HK33+rifle"),
        ("M1014", "Benelli+M4+Super+90"),
        ("sturmgewehr 44", "StG+44+rifle"),
        ("banana", None),
        ("", None),
    ],
)
def test_finds_types_by_other_names(text, name):
    assert find_type(text) == name


def test_the_table_serves_as_a_table_of_types():
    types = firearm14k_types()
    assert read_types(TABLE) == types
    assert isinstance(types, Types) and len(types) == 167
    labels = named(["AK+47", "Home+made"], types)
    assert (labels.family("AK+47"), labels.display_name("AK+47")) == ("rifle", "AK-47 rifle")
    assert labels.display_name("Home+made") == "Home made"


def test_the_facts_cannot_be_changed_by_who_reads_them():
    with pytest.raises(TypeError):
        firearm14k_facts()["AK+47"] = None
