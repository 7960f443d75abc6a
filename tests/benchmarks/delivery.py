"""What exactly-once costs: throughput in transactions against at-least-once, round by round.

Each round fills a topic and lets one member after the other loose on it, of the same settings but
for ``delivery``, in an order that alternates. A round's ratio is what exactly-once reaches of
at-least-once, by time and by CPU seconds, which the machine's other work disturbs less.

    python -m tests.benchmarks.delivery [--images FOLDER --release DIR] [--rounds 5] [--posts 3000]

Without --images the posts are small drawings, judged by a network that is as quick as one can be:
the hardest case, since the less a post costs the more a transaction weighs.
"""

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from moderator.settings import STARTER
from tests.benchmarks.feed import Tally, pictures, post, small_release
from tests.benchmarks.processes import cpu_seconds
from tests.conftest import TopicNames
from tests.moderator.member import Member, Network
from tests.services.kafka import KafkaService

DELIVERIES = ("exactly-once", "at-least-once")
PARTITIONS = 4


@dataclass(frozen=True)
class Run:
    """One member's run: posts a second, and CPU seconds of member and broker a post."""

    rate: float
    cpu: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, help="folder of photographs")
    parser.add_argument("--release", type=Path, default=STARTER, help="with --images")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--posts", type=int, default=3000)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    arguments = parser.parse_args()
    extra = dict(each.split("=", 1) for each in arguments.set)
    with tempfile.TemporaryDirectory() as folder:
        release = arguments.release if arguments.images else small_release(Path(folder))
        shown = photographs(arguments.images) if arguments.images else pictures(200)
        kafka = KafkaService(Path(folder))
        kafka.start()
        try:
            bench = Bench(kafka, release, shown, arguments.posts, Path(folder), extra)
            bench.compare(arguments.rounds)
        finally:
            kafka.kill()


def photographs(folder: Path, most: int = 600) -> list[bytes]:
    """Return photographs of a folder, some thousand drawn at random, always the same."""
    paths = sorted(folder.rglob("*.jpg"))
    random.Random(0).shuffle(paths)
    return [path.read_bytes() for path in paths[:most]]


class Bench:
    """Members on one broker, each with topics of its own."""

    def __init__(
        self,
        kafka: KafkaService,
        release: Path,
        shown: Sequence[bytes],
        posts: int,
        folder: Path,
        extra: dict[str, str],
    ) -> None:
        self._kafka = kafka
        self._release = release
        self._shown = shown
        self._posts = posts
        self._folder = folder
        self._extra = extra

    def compare(self, rounds: int) -> None:
        """Run both deliveries so often and print what exactly-once costs."""
        rates, costs = [], []
        for number in range(rounds):
            order = DELIVERIES if number % 2 else DELIVERIES[::-1]
            runs = {delivery: self._run(delivery) for delivery in order}
            once, least = runs["exactly-once"], runs["at-least-once"]
            rates.append(once.rate / least.rate)
            costs.append(once.cpu / least.cpu)
            print(
                f"  exactly-once {once.rate:.0f} posts/s, {once.cpu * 1e3:.2f} ms CPU a post; "
                f"at-least-once {least.rate:.0f} posts/s, {least.cpu * 1e3:.2f} ms; "
                f"ratio of rates {rates[-1]:.3f}, of CPU {costs[-1]:.3f}",
                flush=True,
            )
        print(
            f"exactly-once / at-least-once: rate median {statistics.median(rates):.3f} "
            f"({min(rates):.3f} to {max(rates):.3f}), CPU median {statistics.median(costs):.3f} "
            f"({min(costs):.3f} to {max(costs):.3f}) in {rounds} rounds of {self._posts} posts"
        )

    def _run(self, delivery: str) -> Run:
        topics = TopicNames.unique()
        topics.create(self._kafka, partitions=PARTITIONS)
        network = Network(self._kafka, topics)
        for number in range(self._posts):
            network.put(post(self._shown, number))
        network.flush()
        given = topics.overrides(self._kafka) | {
            "release": str(self._release),
            "cache_entries": "0",
            "session_timeout": "30",
            "delivery": delivery,
            **self._extra,
        }
        member = Member(given, self._folder)
        tally = Tally(self._kafka, topics)
        try:
            return self._timed(member, tally)
        finally:
            tally.close()
            network.close()
            member.close()

    def _timed(self, member: Member, tally: Tally) -> Run:
        """Time from a tenth of the decisions to the last."""
        while tally.look() < self._posts // 10:
            assert member.process.poll() is None, member.log.read_text()
        first, begin, before = tally.total, time.perf_counter(), self._cpu(member)
        while tally.look() < self._posts:
            assert member.process.poll() is None, member.log.read_text()
        done, seconds = tally.total - first, time.perf_counter() - begin
        assert tally.doubled == 0, "a post was decided twice though nothing failed"
        return Run(done / seconds, (self._cpu(member) - before) / done)

    def _cpu(self, member: Member) -> float:
        return cpu_seconds(member.process.pid) + cpu_seconds(self._kafka.pid)


if __name__ == "__main__":
    main()
