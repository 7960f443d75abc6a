import json

import pytest

from models.types import Types
from training.errors import BadInput
from training.naming import STARTER, known_families, named, read_types


def test_names_come_from_the_table_and_else_from_the_folder(tmp_path):
    table = tmp_path / "types.json"
    entry = {"family": "pistol", "display_name": "Glock pistol"}
    table.write_text(json.dumps({"types": {"glock": entry, "unused": entry}}))
    types = named(["glock", "Desert+Eagle_mk"], read_types(table))
    assert named(["glock"], read_types(None)).display_name("glock") == "glock"
    assert types.names == ("Desert+Eagle_mk", "glock")
    assert types.display_name("glock") == "Glock pistol"
    assert types.family("glock") == "pistol"
    assert types.display_name("Desert+Eagle_mk") == "Desert Eagle mk"
    assert types.family("Desert+Eagle_mk") == "firearm"


def test_types_of_firearm_14k_have_their_labels_without_a_table():
    types = named(["AK+47", "ak_47", "m1014", "Home+made"], read_types(None))
    assert types.names == ("AK+47", "Home+made", "ak_47", "m1014")
    for name in ("AK+47", "ak_47"):
        assert (types.family(name), types.display_name(name)) == ("rifle", "AK-47 rifle")
    assert types.family("m1014") == "shotgun"
    assert (types.family("Home+made"), types.display_name("Home+made")) == ("firearm", "Home made")


def test_a_family_that_no_table_names_is_not_known():
    types = named(["AK+47", "Home+made"], read_types(None))
    assert known_families(types) == {"AK+47": "rifle"}


def test_the_users_table_goes_before_firearm_14k():
    own = Types({"AK+47": ("toy", "Wooden AK")})
    assert named(["AK+47"], own).display_name("AK+47") == "Wooden AK"


@pytest.mark.parametrize("text", ["", "[]", '{"types": {"glock": {}}}', '{"types": {"a": 1}}'])
def test_a_table_that_is_none_is_named(tmp_path, text):
    table = tmp_path / "types.json"
    table.write_text(text)
    with pytest.raises(BadInput, match=r"types\.json cannot be read as a table"):
        read_types(table)


def test_the_starters_table_says_where_a_model_is_unknown():
    names = json.loads(STARTER.read_text())["types"]
    types = named(names, read_types(STARTER))
    assert len(names) == 44
    for name in names:
        assert ("unknown" in types.display_name(name)) == name.startswith("coarse_")
        assert types.family(name) not in ("", name)
        assert (types.mechanism(name) is None) == name.startswith("coarse_")
