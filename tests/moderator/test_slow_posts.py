"""A post of images that take long to decode, through a worker on the real Kafka."""

import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from moderator.compose import NamedImage, build_record
from tests.moderator.member import Member, Network
from tests.moderator.pictures import slow_jpeg

pytestmark = pytest.mark.timeout(300)

IMAGE = (("content-type", b"image/jpeg"),)
SLOW = 19


@pytest.fixture
def network(kafka, topics) -> Iterator[Network]:
    topics.create(kafka, partitions=1)
    network = Network(kafka, topics)
    yield network
    network.close()


class Probe:
    """Asks a member whether it lives, again and again."""

    def __init__(self, worker: Member) -> None:
        self.statuses: Counter[int] = Counter()
        self._worker = worker
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.2):
            self.statuses[self._worker.get("/livez")[0]] += 1


def test_a_post_of_slow_images_is_decided_once_and_stops_nobody(
    kafka, network, topics, drawn, tiny_release, tmp_path
) -> None:
    # Each takes some 25 s where it has the time.
    images = [NamedImage(str(n), slow_jpeg(1_500, salt=n), "image/jpeg") for n in range(SLOW)]
    images.append(NamedImage("last", drawn("revolver"), "image/jpeg"))
    slow = build_record(images, post_id="slow", form="json")
    given = {
        "release": str(tiny_release.path),
        "decode_timeout": "2",
        "post_decode_timeout": "6",
        "stall_timeout": "5",
    }
    worker = Member(topics.overrides(kafka) | given, tmp_path).await_ready()
    probe = Probe(worker)
    try:
        before = network.send(b"before", drawn("pistol"), IMAGE)
        long = network.post(slow)
        after = [network.send(b"after", drawn(name), IMAGE) for name in ("pistol", "shotgun")]
        found = network.decided(4)
        probe.close()
        # All of them together take longer than a stall may.
        assert set(probe.statuses) == {200}
        assert [found[each]["reason"] for each in (before, *after)] == ["match"] * 3
        judged = found[long]["images"]
        assert [each["cause"] for each in judged[:-1]] == ["timeout"] * SLOW
        # What stands behind the slow ones is judged all the same.
        assert judged[-1]["reason"] == found[long]["reason"] == "match"
        assert worker.stop() == 0
    finally:
        probe.close()
        worker.close()
