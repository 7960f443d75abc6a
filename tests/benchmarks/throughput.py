"""How near a worker comes to the rate that its own work allows, on a real Kafka.

The work of an image is its decoding, its forward pass and its search, each measured alone, in CPU
seconds, before and after every run of the worker. What the machine has for it are its cores less
what the broker takes. The ratio of the rate reached to the rate allowed is what the plumbing
leaves: reading, hand-overs, matching, JSON, transactions.

    python -m tests.benchmarks.throughput --images FOLDER [--rounds 3] [--posts 2000]
"""

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.release import Release, load_release
from moderator.compose import NamedImage, build_record, media_type
from moderator.decoding.decode import decode
from moderator.settings import STARTER, load_settings
from tests.benchmarks.processes import cpu_seconds, pss_bytes
from tests.conftest import TopicNames
from tests.moderator.member import Member, Network
from tests.services.kafka import KafkaService

ALONE = 200
"""Images on which each step is measured alone."""

CHUNK = 8
"""Images of a forward pass, as the worker runs it on a CPU."""


@dataclass(frozen=True)
class Work:
    """CPU seconds an image, each step alone; ``forward_rate`` is in images/s on all cores."""

    decode: float
    forward: float
    search: float
    forward_rate: float

    @property
    def total(self) -> float:
        """CPU seconds of an image in all."""
        return self.decode + self.forward + self.search


@dataclass(frozen=True)
class Run:
    """One run of the worker: images per second, cores the broker took, peak memory in bytes."""

    rate: float
    broker_cores: float
    worker_cores: float
    peak_pss: int


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, required=True, help="folder of photographs")
    parser.add_argument("--release", type=Path, default=STARTER)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--posts", type=int, default=2000)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    arguments = parser.parse_args()
    paths = sorted(path for path in arguments.images.rglob("*.jpg"))
    random.Random(0).shuffle(paths)
    photographs = [path.read_bytes() for path in paths[: arguments.posts]]
    release = load_release(arguments.release)
    cores = len(os.sched_getaffinity(0))
    extra = dict(each.split("=", 1) for each in arguments.set)
    print(f"{len(photographs)} photographs, {cores} cores, release {release.id}")
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        kafka = KafkaService(Path(folder))
        kafka.start()
        try:
            for _ in range(arguments.rounds):
                before = measure(release, photographs[:ALONE], cores)
                run = work(kafka, arguments.release, photographs, Path(folder), extra)
                after = measure(release, photographs[:ALONE], cores)
                ratios.append(report(before, run, after, cores))
        finally:
            kafka.kill()
    print(
        f"rate reached / rate allowed: median {statistics.median(ratios):.2f}, "
        f"{min(ratios):.2f} to {max(ratios):.2f} in {len(ratios)} rounds"
    )


def report(before: Work, run: Run, after: Work, cores: int) -> float:
    """Print one round and return its ratio."""
    work = statistics.mean([before.total, after.total])
    allowed = (cores - run.broker_cores) / work
    forward = statistics.mean([before.forward_rate, after.forward_rate])
    print(
        f"  worker {run.rate:.1f} images/s with {run.worker_cores:.2f} cores, broker "
        f"{run.broker_cores:.2f} cores, {run.peak_pss / 1e6:.0f} MB; an image alone: "
        f"decode {before.decode * 1e3:.2f}, forward {before.forward * 1e3:.2f}, search "
        f"{before.search * 1e3:.2f} ms before, {after.total * 1e3:.2f} ms in all after; "
        f"allowed {allowed:.1f} images/s, bare forward {forward:.1f} images/s; "
        f"ratio {run.rate / allowed:.2f}",
        flush=True,
    )
    return run.rate / allowed


def measure(release: Release, photographs: Sequence[bytes], cores: int) -> Work:
    """Measure each step alone."""
    from models.device import set_threads

    set_threads(1)
    network = release.load_network("cpu")
    spec = release.spec.input
    begin = time.process_time()
    frames = [decode(data, spec, max_pixels=10**8, max_frames=1).frames[0] for data in photographs]
    decoded = time.process_time()
    chunks: list[list[np.ndarray]] = []
    for shape in {frame.shape for frame in frames}:
        same = [frame for frame in frames if frame.shape == shape]
        chunks += [same[n : n + CHUNK] for n in range(0, len(same), CHUNK)]
    network.embed(np.stack(chunks[0]))
    started = time.process_time()
    rows = np.concatenate([network.embed(np.stack(chunk)) for chunk in chunks])
    embedded = time.process_time()
    for n in range(0, len(rows), CHUNK):
        release.index.query(rows[n : n + CHUNK], release.policy.neighbours)
    searched = time.process_time()
    count = len(photographs)
    set_threads(cores)
    wall = time.perf_counter()
    for chunk in chunks:
        network.embed(np.stack(chunk))
    forward_rate = count / (time.perf_counter() - wall)
    set_threads(1)
    return Work(
        (decoded - begin) / count,
        (embedded - started) / count,
        (searched - embedded) / count,
        forward_rate,
    )


def work(
    kafka: KafkaService,
    release: Path,
    photographs: Sequence[bytes],
    folder: Path,
    extra: dict[str, str],
) -> Run:
    """Fill a topic, let a worker loose on it, and time the middle of its work."""
    topics = TopicNames.unique()
    topics.create(kafka, partitions=4)
    network = Network(kafka, topics)
    settings = load_settings({}, environ={})
    for n, data in enumerate(photographs):
        image = NamedImage("0", data, media_type(Path("a.jpg")))
        network.put(build_record([image], post_id=f"p{n}", form="binary"))
    network.flush()
    given = topics.overrides(kafka) | {
        "release": str(release),
        "cache_entries": "0",
        "decode_processes": str(settings.pipeline.decode_processes),
        "embed_threads": str(settings.pipeline.embed_threads),
        "session_timeout": "30",
        **extra,
    }
    member = Member(given, folder)
    try:
        return timed(kafka, network, member, len(photographs))
    finally:
        member.close()
        network.close()


def timed(kafka: KafkaService, network: Network, member: Member, count: int) -> Run:
    """Time from a tenth of the decisions to the last."""
    peak = 0
    while network.committed() < count // 10:
        assert member.process.poll() is None, member.log.read_text()
    first, begin = network.committed(), time.perf_counter()
    broker, worker = cpu_seconds(kafka.pid), cpu_seconds(member.process.pid)
    while network.committed() < count:
        peak = max(peak, pss_bytes(member.process.pid))
        time.sleep(0.5)
    last, end = network.committed(), time.perf_counter()
    seconds = end - begin
    return Run(
        rate=(last - first) / seconds,
        broker_cores=(cpu_seconds(kafka.pid) - broker) / seconds,
        worker_cores=(cpu_seconds(member.process.pid) - worker) / seconds,
        peak_pss=peak,
    )


if __name__ == "__main__":
    main()
