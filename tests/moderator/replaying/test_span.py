"""The two ends of a range, as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderator.errors import BadSettings
from moderator.replaying.span import Moment, Offsets, parse_edge, partitions_of

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("text", "edge"),
    [
        ("earliest", "earliest"),
        ("latest", "latest"),
        ("-2h", Moment(round((NOW - 7200) * 1000))),
        ("-90s", Moment(round((NOW - 90) * 1000))),
        ("-7d", Moment(round((NOW - 7 * 86_400) * 1000))),
        ("2026-05-01T12:00Z", Moment(1_777_636_800_000)),
        ("2026-05-01T12:00", Moment(1_777_636_800_000)),
        ("2026-05-01T14:00+02:00", Moment(1_777_636_800_000)),
        ("2026-05-01", Moment(1_777_593_600_000)),
        ("0:1200", Offsets({0: 1200})),
        ("0:1200,11:0", Offsets({0: 1200, 11: 0})),
    ],
)
def test_what_people_write(text, edge) -> None:
    assert parse_edge(text, "--from", NOW) == edge


@given(st.dictionaries(st.integers(0, 10**8), st.integers(0, 10**17), min_size=1, max_size=5))
def test_offsets_are_read_as_they_were_meant(offsets) -> None:
    text = ",".join(f"{partition}:{offset}" for partition, offset in offsets.items())
    assert parse_edge(text, "--from", NOW) == Offsets(offsets)


@pytest.mark.parametrize("text", ["", "-2", "2h", "0:1,0:2", "0:-1", "yesterday", "100", "-2w"])
def test_what_is_no_place(text) -> None:
    with pytest.raises(BadSettings, match="is no place"):
        parse_edge(text, "--to", NOW)


def test_offsets_leave_other_partitions_out() -> None:
    there = frozenset({0, 1, 2})
    assert partitions_of("earliest", "latest", there) == [0, 1, 2]
    assert partitions_of(Offsets({1: 5, 2: 0}), "latest", there) == [1, 2]
    assert partitions_of(Offsets({1: 5, 2: 0}), Offsets({2: 9}), there) == [2]
    with pytest.raises(BadSettings, match="no partition 3"):
        partitions_of(Offsets({3: 0}), "latest", there)
    with pytest.raises(BadSettings, match="together"):
        partitions_of(Offsets({1: 0}), Offsets({2: 9}), there)
