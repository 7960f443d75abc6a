"""The most memory that a member takes: the largest pictures of every format, on the real Kafka."""

import os
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from models.release import load_release
from moderator.compose import NamedImage, PostRecord, build_record
from moderator.footprint import most_memory
from moderator.settings import STARTER, load_settings
from tests.moderator.decoding.test_bombs import LARGE
from tests.moderator.member import Member, Network

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

IMAGE = (("content-type", b"image/jpeg"),)
GIVEN = {"decode_processes": "2", "decode_timeout": "10", "post_decode_timeout": "60"}


@pytest.fixture
def network(kafka, topics) -> Iterator[Network]:
    topics.create(kafka, partitions=1)
    network = Network(kafka, topics)
    yield network
    network.close()


class Meter:
    """Takes the memory of a member and all its processes, again and again."""

    def __init__(self, worker: Member) -> None:
        self.most = 0
        self._session = worker.process.pid
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.05):
            self.most = max(self.most, sum(map(proportional, members_of(self._session))))


def members_of(session: int) -> list[int]:
    """Return the processes of a session."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.getsid(int(folder.name)) == session:
                found.append(int(folder.name))
    return found


def proportional(pid: int) -> int:
    """Return the bytes of a process, what it shares divided by those that share it."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def worst_posts() -> Iterator[PostRecord]:
    """Posts of ten pictures, each as large as its format may be, no two alike."""
    pictures = [(name, make()) for name, make in LARGE.items()]
    for salt in (1, 2):
        images = []
        for name, data in pictures:
            # Formats take what stands behind them; AVIF wants it in a box.
            extra = struct.pack(">I4s", 8 + salt, b"free") if name.startswith("AVIF") else b""
            images.append(NamedImage(f"{name} {salt}", data + extra + bytes(salt), "image/jpeg"))
        yield build_record(images, post_id=f"worst-{salt}", form="json")


def test_a_member_stays_within_the_memory_that_its_settings_say(
    kafka, network, topics, drawn, tmp_path
) -> None:
    overrides = topics.overrides(kafka) | GIVEN
    posts = list(worst_posts())
    worker = Member(overrides, tmp_path).await_ready()
    meter = Meter(worker)
    try:
        worst = [network.post(post) for post in posts]
        after = network.send(b"after", drawn("revolver"), IMAGE)
        found = network.decided(3)
        meter.close()
        assert found[after]["reason"] in {"match", "no-match", "near-miss", "lookalike"}
        # A busy machine may not have the time for every one of them, but has the memory.
        causes = {each.get("cause") for name in worst for each in found[name]["images"]}
        assert causes <= {None, "timeout"}
        print(Counter(each["reason"] for name in worst for each in found[name]["images"]))
        assert worker.get("/livez")[0] == 200
        assert worker.stop() == 0
    finally:
        meter.close()
        worker.close()
    settings = load_settings({**GIVEN, "embed_threads": "1"}, environ={})
    bound = most_memory(settings, load_release(STARTER).spec.input)
    print(f"a member took {meter.most / 2**20:.0f} MiB of {bound / 2**20:.0f} MiB")
    assert settings.limits.decode_memory < meter.most < bound
