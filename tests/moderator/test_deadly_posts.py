"""A post that takes its decode process down, through a worker on the real Kafka."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.moderator.decoding.test_decoders import slow_image
from tests.moderator.member import Member, Network, until

pytestmark = pytest.mark.timeout(300)

IMAGE = (("content-type", b"image/jpeg"),)
BUSY = 0.5
"""Seconds of a processor that no other image of these tests takes."""


@pytest.fixture
def network(kafka, topics) -> Iterator[Network]:
    topics.create(kafka, partitions=1)
    network = Network(kafka, topics)
    yield network
    network.close()


def children(pid: int) -> list[int]:
    listed = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(each) for each in listed.stdout.split()]


def seconds(pid: int) -> float:
    """Return the processor time that a process has taken, 0 where it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    except (OSError, IndexError):
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Killer:
    """Ends every decode process of a worker that is long at an image, as a fault of its would."""

    def __init__(self, worker: Member) -> None:
        self.killed: list[int] = []
        self._worker = worker
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.05):
            for nursery in children(self._worker.process.pid):
                for pid in children(nursery):
                    if pid not in self.killed and seconds(pid) > BUSY:
                        self.killed.append(pid)
                        os.kill(pid, signal.SIGSEGV)


def test_a_post_that_kills_its_process_is_tried_once_alone_and_set_aside(
    kafka, network, topics, drawn, tiny_release, tmp_path
) -> None:
    given = {
        "release": str(tiny_release.path),
        "decode_timeout": "60",
        "post_decode_timeout": "60",
        "stall_timeout": "150",
        "max_wait": "1",
    }
    worker = Member(topics.overrides(kafka) | given, tmp_path).await_ready()
    killer = Killer(worker)
    try:
        before = network.send(b"a", drawn("revolver"), IMAGE)
        deadly = network.send(b"b", slow_image(1_900), IMAGE)
        after = [network.send(b"c", drawn(name), IMAGE) for name in ("pistol", "shotgun")]
        found = network.decided(4)
        assert [found[n]["reason"] for n in (before, *after)] == ["match"] * 3
        said = found[deadly]
        assert (said["decision"], said["reason"], said["cause"]) == (
            "flag",
            "undecodable",
            "crash",
        )
        assert len(killer.killed) == 2
        (dead,) = network.rows(topics.dead_letter)
        headers = dict(dead.headers)
        assert headers["__connect.errors.offset"] == b"1"
        assert headers["__connect.errors.exception.message"] == b"undecodable: crash"
        assert until(lambda: worker.ready, "readiness")
        assert worker.stop() == 0
    finally:
        killer.close()
        worker.close()
