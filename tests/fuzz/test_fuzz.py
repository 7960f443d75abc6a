"""Damaged files: made alike from a seed, and none costs more than itself."""

import pytest

from moderator.decoding.decode import CAUSES
from moderator.decoding.formats import sniff
from tests.fuzz.damage import damaged
from tests.fuzz.parts import join, split
from tests.fuzz.run import default_folder, run
from tests.fuzz.sources import KINDS, sources
from tests.moderator.pictures import decoded


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_taken_apart_and_joined_is_the_same(kind) -> None:
    for source in sources(kind):
        assert sniff(source) == kind
        decoded(source)
        parts = split(kind, source)
        assert join(kind, parts) == source
        assert kind == "TIFF" or len(parts) > 1


def test_a_file_is_made_alike_from_its_seed_and_number() -> None:
    files = [damaged(3, number) for number in range(60)]
    assert files == [damaged(3, number) for number in range(60)]
    assert len({file.data for file in files}) > 50
    assert files[7].data != damaged(4, 7).data
    assert {file.kind for file in files} == set(KINDS)


@pytest.mark.slow
def test_no_damaged_file_costs_more_than_itself() -> None:
    tally = run(1, range(500), folder=default_folder())
    print(*tally.lines(), sep="\n")
    assert not tally.faults
    assert tally.files == 500
    assert set(tally.outcomes) <= {"decoded", *CAUSES}
    # Damage that decodes never, or always, would try nothing but a first check.
    assert tally.outcomes["decoded"] > 50
    assert tally.outcomes["corrupt"] > 50
    assert tally.slowest < 5
