"""What a Redis that is down or slow costs a worker, against one that is well, in one run.

One worker has more posts than it can decide, all of pictures never seen before, so that no hit
makes a healthy Redis look faster than it is. Redis is reached through a proxy, which is in turn
well, down, and slow; the order changes with each round. The rate in each is set against the rate
of the healthy part of the same round.

    python -m tests.benchmarks.redis_faults [--rounds 5] [--seconds 12] [--posts 8000]
"""

import argparse
import itertools
import statistics
import tempfile
import time
from pathlib import Path

from moderator.compose import NamedImage, build_record
from moderator.demo.drawings import draw, jpeg, names
from moderator.settings import STARTER
from tests.conftest import TopicNames
from tests.moderator.member import Member, Network
from tests.services.kafka import KafkaService
from tests.services.redis import RedisService
from tests.services.slow_proxy import SlowProxy

STATES = {"well": (False, 0.0), "down": (True, 0.0), "slow": (False, 0.5)}
"""Whether it is down, and by how many seconds each answer is late."""

SETTLE = 3.0
"""Seconds after a change that belong to no state: what was on its way, and the breaker's pause."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--release", type=Path, default=STARTER)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--posts", type=int, default=8000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kafka, redis = KafkaService(Path(folder)), RedisService(Path(folder))
        try:
            kafka.start()
            redis.start()
            rounds = measured(kafka, redis, arguments, Path(folder))
        finally:
            redis.kill()
            kafka.kill()
    for state in ("down", "slow"):
        ratios = [rates[state] / rates["well"] for rates in rounds]
        print(
            f"Redis {state}: {statistics.median(ratios):.2f} of the rate with a healthy one "
            f"(median of {len(ratios)} rounds, {min(ratios):.2f} to {max(ratios):.2f})"
        )


def measured(
    kafka: KafkaService, redis: RedisService, arguments: argparse.Namespace, folder: Path
) -> list[dict[str, float]]:
    """Return posts per second by state, of each round."""
    topics, proxy = TopicNames.unique(), SlowProxy(redis.port)
    topics.create(kafka)
    network = Network(kafka, topics)
    fill(network, arguments.posts)
    member = Member(
        {
            **topics.overrides(kafka),
            "release": str(arguments.release),
            "redis_url": f"redis://127.0.0.1:{proxy.port}/0",
            "max_batch": "8",
        },
        folder,
    )
    orders = itertools.cycle(itertools.permutations(STATES))
    try:
        while not network.committed():
            assert member.process.poll() is None, member.log.read_text()
        return [one_round(network, proxy, next(orders), arguments) for _ in range(arguments.rounds)]
    finally:
        member.close()
        network.close()
        proxy.close()


def fill(network: Network, count: int) -> None:
    """Post pictures of which no two have the same bytes."""
    drawings = [jpeg(draw(name, 0, "posted")) for name in names("firearm")]
    for n in range(count):
        # What stands behind the end of a picture is no part of it.
        data = drawings[n % len(drawings)] + n.to_bytes(8, "big")
        image = NamedImage("0", data, "image/jpeg")
        network.put(build_record([image], post_id=f"p{n}", form="binary"))
    network.flush()


def one_round(
    network: Network, proxy: SlowProxy, order: tuple[str, ...], arguments: argparse.Namespace
) -> dict[str, float]:
    """Return posts per second in each state."""
    rates = {}
    for state in order:
        proxy.down, proxy.delay = STATES[state]
        for seconds in (SETTLE, arguments.seconds):
            first, begin = network.committed(), time.perf_counter()
            while time.perf_counter() < begin + seconds:
                network.committed()
            last = network.committed()
            rates[state] = (last - first) / (time.perf_counter() - begin)
        assert last < arguments.posts, "all posts are decided; give it more"
    print("  " + ", ".join(f"{state} {rate:.1f} posts/s" for state, rate in rates.items()),
          flush=True)  # fmt: skip
    return rates


if __name__ == "__main__":
    main()
