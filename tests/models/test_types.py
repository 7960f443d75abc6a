import pytest

from models.errors import BadRelease
from models.types import UNKNOWN, Types

ENTRIES = {"b": ("pistol", "Type B"), "a": ("rifle", "Type A")}


def test_a_type_has_family_and_name() -> None:
    types = Types(ENTRIES)
    assert types.names == ("a", "b")
    assert (types.family("b"), types.display_name("b")) == ("pistol", "Type B")


def test_an_unknown_type_is_its_own_family_and_name() -> None:
    types = Types({})
    assert (types.family("x"), types.display_name("x")) == ("x", "x")


def test_adding_makes_new_types_and_replaces_what_has_the_same_name() -> None:
    types = Types(ENTRIES)
    more = types.with_added({"b": ("toy", "B"), "c": ("rifle", "C")})
    assert (types.family("b"), types.names) == ("pistol", ("a", "b"))
    assert (more.family("b"), more.names) == ("toy", ("a", "b", "c"))
    assert types.with_added({}) == types != more


def test_json_gives_the_same_types_and_what_is_unknown_is_ignored() -> None:
    raw = Types(ENTRIES).to_json()
    raw["later"] = 1
    raw["types"]["a"]["later"] = 2
    assert Types.from_json(raw) == Types(ENTRIES)
    assert hash(Types.from_json(raw)) == hash(Types(ENTRIES))
    assert len(Types.from_json(raw)) == 2


@pytest.mark.parametrize(
    "raw",
    [{}, {"types": []}, {"types": {"a": {}}}, {"types": {"a": {"family": "", "display_name": "A"}}},
     {"types": {"a": {"family": 3, "display_name": "A"}}}, {"types": {"a": None}}],
)  # fmt: skip
def test_bad_json_is_one_line(raw) -> None:
    with pytest.raises(BadRelease) as caught:
        Types.from_json(raw)
    assert "\n" not in str(caught.value)


MECHANISMS = {"b": "revolver"}


def test_a_type_may_have_a_mechanism() -> None:
    types = Types(ENTRIES, MECHANISMS)
    assert [types.mechanism(name) for name in ("b", "a", "x")] == ["revolver", None, None]
    assert types != Types(ENTRIES)
    assert Types.from_json(types.to_json()) == types
    assert "mechanism" not in types.to_json()["types"]["a"]
    more = types.with_added({"c": ("rifle", "C"), "b": ("toy", "B")})
    assert [more.mechanism(name) for name in ("b", "c", "a")] == ["revolver", UNKNOWN, None]
    # Where no type has one, none is missed.
    assert Types(ENTRIES).with_added({"c": ("rifle", "C")}).mechanism("c") is None


@pytest.mark.parametrize("mechanisms", [{"b": ""}, {"b": 3}, {"c": "revolver"}])
def test_a_mechanism_is_a_text_of_a_type_that_is_there(mechanisms) -> None:
    with pytest.raises(BadRelease, match="mechanism") as caught:
        Types(ENTRIES, mechanisms)
    assert "\n" not in str(caught.value)
