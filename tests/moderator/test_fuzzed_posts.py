"""Damaged images as posts, through a whole member on the real Kafka: each is decided, once."""

from collections import Counter
from pathlib import Path

import pytest

from moderator.compose import NamedImage, build_record
from tests.fuzz.damage import damaged
from tests.moderator.member import Member, Network

SEED = 20_180_820
FILES = 300
GROWTH = 200 * 2**10
"""KiB by which the member's own memory may exceed what it had when it was ready; decode processes
have theirs."""


def high_water(pid: int) -> int:
    """Return the most memory that a process ever had, in KiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (line,) = [each for each in lines if each.startswith("VmHWM")]
    return int(line.split()[1])


@pytest.mark.timeout(600)
def test_damaged_images_are_each_decided_once_and_the_member_lives_on(
    kafka, topics, tiny_release, tmp_path
) -> None:
    topics.create(kafka)
    network = Network(kafka, topics)
    given = topics.overrides(kafka) | {"release": str(tiny_release.path), "cache_entries": "0"}
    member = Member(given, tmp_path, "0").await_ready()
    try:
        before = high_water(member.process.pid)
        for number in range(FILES):
            each = damaged(SEED, number)
            network.post(
                build_record(
                    [NamedImage("0", each.data, "image/jpeg")], post_id=each.name, form="binary"
                )
            )
        decisions = network.decided(FILES)
        assert network.ledger(FILES) == network.sources
        reasons = Counter(each["reason"] for each in decisions.values())
        lines = member.get("/metrics")[1].splitlines()
        deaths = [
            each for each in lines if each.startswith("moderator_decode_process_deaths_total")
        ]
        grown = high_water(member.process.pid) - before
        print(f"{dict(reasons)}; deaths: {deaths}; {grown / 1024:.0f} MiB more")
        # Damage that changes nothing one sees is judged; the rest is said to be no picture.
        assert reasons["undecodable"] > FILES / 10
        assert len(reasons) >= 2
        assert member.process.poll() is None
        assert grown < GROWTH
        assert member.stop() == 0
    finally:
        member.close()
        network.close()
