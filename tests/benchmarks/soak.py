"""One member, hundreds of thousands of posts, no restart: what grows, and what must not.

Posts small drawings at the member's own pace, so that memory, file descriptors, threads and
queues are those of a member that is always busy. What it is like after the warm-up, a fifth of
all posts, is held against what it is like at the end.

    python -m tests.benchmarks.soak [--posts 200000] [--set NAME=VALUE]

Exit code 1 where memory drifts by more than 2 %, where descriptors, threads or queues grow, where
a post is lost or doubled, or where SIGTERM at the end, under load, is not answered with exit 0.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.feed import Tally, pictures, post, small_release
from tests.benchmarks.processes import rss_bytes, tree
from tests.conftest import TopicNames
from tests.moderator.member import Member, Network
from tests.services.kafka import KafkaService

PARTITIONS = 4
AHEAD = 2000
"""Posts that may wait undecided in the topic."""

SAMPLES = 100
"""Looks at the member over the whole run."""

WARM_UP = 0.2
LAST = 0.2
MOST_DRIFT = 0.02
QUEUES = (
    "moderator_queue_records",
    "moderator_batches_in_flight",
    'moderator_queue_batches{stage="prepare"}',
    'moderator_queue_batches{stage="embed"}',
    'moderator_queue_batches{stage="judge"}',
    'moderator_queue_batches{stage="publish"}',
)


@dataclass(frozen=True)
class Sample:
    """The member at one moment: counts, and resident bytes of all its processes.

    ``anonymous`` are those of them that are no file's: what a leak would add to.
    """

    posts: int
    seconds: float
    rss: int
    anonymous: int
    descriptors: int
    threads: int
    queues: tuple[float, ...]


def main() -> int:
    """Run, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--posts", type=int, default=200_000)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    arguments = parser.parse_args()
    extra = dict(each.split("=", 1) for each in arguments.set)
    with tempfile.TemporaryDirectory() as folder:
        kafka = KafkaService(Path(folder))
        kafka.start()
        try:
            return soak(kafka, Path(folder), arguments.posts, extra)
        finally:
            kafka.kill()


def soak(kafka: KafkaService, folder: Path, posts: int, extra: dict[str, str]) -> int:
    """Have one member decide so many posts; return 1 where something grew or went wrong."""
    topics = TopicNames.unique()
    topics.create(kafka, partitions=PARTITIONS)
    given = topics.overrides(kafka) | {
        "release": str(small_release(folder)),
        "session_timeout": "30",
        **extra,
    }
    network, tally = Network(kafka, topics), Tally(kafka, topics)
    member = Member(given, folder)
    try:
        member.await_ready()
        samples = feed(network, tally, member, posts)
        faults = [*report(samples), *undecided(tally, posts), *stopped(network, member, posts)]
    finally:
        member.close()
        tally.close()
        network.close()
    for fault in faults:
        print(f"FAIL {fault}")
    return 1 if faults else 0


def feed(network: Network, tally: Tally, member: Member, posts: int) -> list[Sample]:
    """Post at the member's pace until all is decided; return what it was like meanwhile."""
    shown, sent, samples, begin = pictures(100), 0, [], time.monotonic()
    step = max(1, posts // SAMPLES)
    while tally.total < posts:
        assert member.process.poll() is None, member.log.read_text()
        for number in range(sent, min(posts, tally.total + AHEAD)):
            network.put(post(shown, number))
            sent = number + 1
        if sent == posts:
            network.flush()
        tally.look()
        if tally.total >= step * (len(samples) + 1):
            samples.append(sampled(member, tally.total, time.monotonic() - begin))
            show(samples[-1])
    return samples


def sampled(member: Member, posts: int, seconds: float) -> Sample:
    """Look at the member."""
    pid = member.process.pid
    return Sample(
        posts,
        seconds,
        rss_bytes(pid),
        rss_bytes(pid, "RssAnon"),
        sum(len(list(Path(f"/proc/{each}/fd").iterdir())) for each in tree(pid)),
        sum(len(list(Path(f"/proc/{each}/task").iterdir())) for each in tree(pid)),
        tuple(member.metric(name) for name in QUEUES),
    )


def show(sample: Sample) -> None:
    """Print a line of what was seen."""
    print(
        f"{sample.posts:8d} posts {sample.posts / sample.seconds:6.0f} posts/s "
        f"RSS {sample.rss / 1e6:7.1f} MB, {sample.descriptors} descriptors, "
        f"{sample.threads} threads, queues {' '.join(f'{n:.0f}' for n in sample.queues)}",
        flush=True,
    )


def report(samples: Sequence[Sample]) -> list[str]:
    """Hold the end against what it was like after the warm-up; return what is wrong."""
    warm = samples[int(len(samples) * WARM_UP) :]
    part = max(1, int(len(samples) * LAST))
    early, late = warm[:part], warm[-part:]

    def change(name: str) -> tuple[float, float]:
        return tuple(statistics.median(getattr(s, name) for s in part) for part in (early, late))

    rss, anonymous = change("rss"), change("anonymous")
    descriptors, threads = change("descriptors"), change("threads")
    queues = tuple(statistics.mean(sum(s.queues) for s in part) for part in (early, late))
    drift, growth = rss[1] / rss[0] - 1, anonymous[1] / anonymous[0] - 1
    print(
        f"\n{samples[-1].posts} posts in {samples[-1].seconds:.0f} s "
        f"({samples[-1].posts / samples[-1].seconds:.0f} posts/s); after warm-up → at the end: "
        f"RSS {rss[0] / 1e6:.1f} → {rss[1] / 1e6:.1f} MB ({drift:+.2%}), anonymous "
        f"{anonymous[0] / 1e6:.1f} → {anonymous[1] / 1e6:.1f} MB ({growth:+.2%}), descriptors "
        f"{descriptors[0]:.0f} → {descriptors[1]:.0f}, threads {threads[0]:.0f} → "
        f"{threads[1]:.0f}, records and batches queued {queues[0]:.0f} → {queues[1]:.0f}"
    )
    faults = {
        f"memory drifts by {drift:+.2%}": drift > MOST_DRIFT,
        f"anonymous memory drifts by {growth:+.2%}": growth > MOST_DRIFT,
        "file descriptors grow": descriptors[1] > descriptors[0],
        "threads grow": threads[1] > threads[0],
        "queues grow": queues[1] > 1.5 * queues[0] + 32,
    }
    return [text for text, wrong in faults.items() if wrong]


def undecided(tally: Tally, posts: int) -> list[str]:
    """Return what is wrong with the decisions."""
    tally.look(2)
    print(f"{tally.total} decisions of {posts} posts, {tally.doubled} doubled")
    return [] if (tally.total, tally.doubled) == (posts, 0) else ["posts were lost or doubled"]


def stopped(network: Network, member: Member, posts: int) -> list[str]:
    """Stop the member under load; return what is wrong with how it ends."""
    shown = pictures(10)
    for number in range(posts, posts + AHEAD):
        network.put(post(shown, number))
    network.flush()
    begin = time.monotonic()
    code = member.stop()
    seconds = time.monotonic() - begin
    print(f"SIGTERM under load: exit code {code} after {seconds:.1f} s")
    return [] if code == 0 and seconds < 20 else ["SIGTERM was not answered in time with exit 0"]


if __name__ == "__main__":
    sys.exit(main())
