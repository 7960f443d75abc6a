import pytest
from pydantic import ValidationError

from moderator.caching.seal import MAC_BYTES, Seal
from moderator.settings import Cache

SECRET = "a secret of all members"


def test_what_was_sealed_is_opened_under_its_name_alone() -> None:
    seal = Seal(SECRET)
    value = seal.sealed("moderator:embedding:a", b"entry")
    assert len(value) == 5 + MAC_BYTES == 5 + seal.size
    assert seal.opened("moderator:embedding:a", value) == b"entry"
    assert seal.opened("moderator:embedding:b", value) is None
    assert Seal(SECRET + "!").opened("moderator:embedding:a", value) is None


@pytest.mark.parametrize("value", [b"", b"entry", b"x" * 200])
def test_what_was_not_sealed_is_not_opened(value) -> None:
    assert Seal(SECRET).opened("name", value) is None


def test_a_bit_that_changed_breaks_the_seal() -> None:
    seal = Seal(SECRET)
    value = bytearray(seal.sealed("name", b"entry"))
    for at in range(len(value)):
        value[at] ^= 1
        assert seal.opened("name", bytes(value)) is None
        value[at] ^= 1


def test_without_a_secret_entries_stay_as_they_are() -> None:
    seal = Seal(None)
    assert (seal.size, seal.sealed("n", b"e"), seal.opened("n", b"e")) == (0, b"e", b"e")


def test_a_secret_is_long_enough_wherever_it_comes_from(tmp_path) -> None:
    short = tmp_path / "secret"
    short.write_text("x\n")
    for given in ({"redis_secret": "x"}, {"redis_secret_file": short}):
        with pytest.raises(ValidationError, match="16 characters"):
            Cache(redis_url="redis://localhost", **given)
