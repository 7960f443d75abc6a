"""One run: start everything, break it by the plan while posts flow, let it end, and count."""

import math
import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from moderator.compose import PostRecord
from tests.chaos.aim import Aim
from tests.chaos.broker import ChaosBroker
from tests.chaos.crew import Crew, Life, owned, until
from tests.chaos.disk import small_disk
from tests.chaos.faults import Faults, World
from tests.chaos.ledger import Count, counted, dead_letter_source, decisions, posted, source
from tests.chaos.markers import aborted_after
from tests.chaos.plan import Fault
from tests.chaos.poster import Poster
from tests.chaos.report import KillReport, LifeReport, Report
from tests.chaos.watch import Watch, ends_of
from tests.conftest import TopicNames
from tests.services.redis import RedisService

SESSION = 6.0
TRANSACTION = 5.0
"""Seconds; the shortest session that a broker lets members have, and less."""

WARM = 15.0
"""Seconds of a life that are not counted towards drift of memory."""

LOOKS = 12
"""Looks at a member's memory that the report shows."""

COUNTED = 60.0
"""Seconds after that which a life must have to be counted."""

PATIENCE = 180.0
"""Seconds until what does not happen is taken never to happen."""

STUCK = 45.0
"""Seconds after a fault until a partition that has not gone on is taken to be stuck."""

SLOWEST = 2.0
"""Posts a second that flow at least."""

GUESS = 12.0
"""Seconds that a fault takes with its recovery, until it is known."""

DISK = 1024
"""Megabytes of the small disk."""


@dataclass(frozen=True)
class Order:
    """What is to be run.

    Attributes:
        seed: Gives the plan and the order of posts.
        posts: How many.
        members: How many, beside those that join later.
        partitions: Of every topic.
        faults: The plan.
        release: What members serve.
        network: Says in words what that is.
        records: What is posted, again and again.
        settings: Further settings of the members.
        pace: Most posts a second.
        cleanup: Seconds between the broker's looks for transactions that are out of time.
    """

    seed: int
    posts: int
    members: int
    partitions: int
    faults: Sequence[Fault]
    release: Path
    network: str
    records: Sequence[PostRecord]
    settings: Mapping[str, str]
    pace: float
    cleanup: float


def run(order: Order, folder: Path, say: Callable[[str], None], kept: Path | None = None) -> Report:
    """Run an order.

    Args:
        order: What to run.
        folder: Takes all logs and data; is left as it is.
        say: Is told what happens.
        kept: Takes a copy of all logs, whatever happens.
    """
    with ExitStack() as stack:
        disk = stack.enter_context(small_disk(folder / "disk", DISK))
        broker_folder = folder / "disk" / "broker"
        broker_folder.mkdir()
        if kept is not None:
            stack.callback(_keep, (folder, broker_folder), kept)
        broker = ChaosBroker(broker_folder, folder / "controller", cleanup=order.cleanup)
        broker.proxy.start()
        stack.callback(broker.proxy.close)
        stack.callback(broker.close)
        broker.start()
        redis = RedisService(folder)
        stack.callback(redis.kill)
        redis.start()
        topics = TopicNames.unique()
        topics.create(broker, partitions=order.partitions)
        temporary = folder / "disk" / "tmp"
        temporary.mkdir()
        crew = Crew(
            _settings(order, topics, broker, redis), folder, environ={"TMPDIR": str(temporary)}
        )
        stack.callback(crew.close)
        watch = Watch(broker.admin, topics.group, topics.posts, order.partitions)
        stack.callback(watch.close)
        aim = Aim(broker.admin, broker.proxy, topics.group)
        stack.callback(aim.close)
        world = World(broker, redis, disk, crew, watch, aim, steady="m0")
        poster = Poster(
            broker.bootstrap_servers,
            topics.posts,
            order.records,
            total=order.posts,
            seed=order.seed,
        )
        stack.callback(poster.close)
        return _Run(order, world, topics, poster, say).run()


def _settings(
    order: Order, topics: TopicNames, broker: ChaosBroker, redis: RedisService
) -> dict[str, str]:
    return {
        **topics.overrides(broker),
        "bootstrap_servers": broker.proxied_bootstrap_servers,
        "redis_url": redis.url,
        "release": str(order.release),
        "session_timeout": f"{SESSION:g}",
        "transaction_timeout": f"{TRANSACTION:g}",
        "start_timeout": "0",
        "max_batch": "16",
        "max_types": "1",
        "max_evidence": "1",
        **order.settings,
    }


def _keep(folders: Sequence[Path], kept: Path) -> None:
    """Copy logs to where they stay."""
    kept.mkdir(parents=True, exist_ok=True)
    for path in (path for folder in folders for path in folder.glob("*.log")):
        (kept / path.name).write_bytes(path.read_bytes())


class _Run:
    """A run whose world stands; used once."""

    def __init__(
        self,
        order: Order,
        world: World,
        topics: TopicNames,
        poster: Poster,
        say: Callable[[str], None],
    ) -> None:
        self._order = order
        self._world = world
        self._topics = topics
        self._poster = poster
        self._say = say
        self._faults = Faults(world)
        self._left = len(order.faults)
        self._spent: list[float] = []
        self._stuck: list[str] = []
        self._begun = time.monotonic()

    def run(self) -> Report:
        """Do everything, then count."""
        self._start()
        for number, fault in enumerate(self._order.faults, 1):
            self._do(number, fault)
        self._finish()
        return self._report(time.monotonic() - self._begun)

    def _start(self) -> None:
        world = self._world
        for n in range(self._order.members):
            world.crew.start(f"m{n}")
        started = until(
            world.crew, lambda: len(world.crew.ready()) == self._order.members, PATIENCE
        )
        if not started:
            raise RuntimeError(f"members not ready within {PATIENCE:g} s: {world.crew.faults}")
        world.crew.watch()
        world.watch.start()
        self._poster.pace = self._pace
        self._begun = time.monotonic()
        self._poster.start()
        until(world.crew, lambda: sum(world.watch.committed.values()) > 0, PATIENCE)

    def _pace(self) -> float:
        """Return posts a second such that the last posts come with the last faults."""
        if not self._left:
            return self._order.pace
        each = statistics.mean([GUESS] * 5 + self._spent[-20:])
        wanted = self._poster.left / (each * (self._left + 0.5))
        return min(self._order.pace, max(SLOWEST, wanted))

    def _do(self, number: int, fault: Fault) -> None:
        world, begin = self._world, time.monotonic()
        until(world.crew, lambda: False, fault.pause)
        self._faults.do(fault)
        if not fault.overlapped and not until(world.crew, self._settled, STUCK):
            self._stuck += [f"after {fault.kind}: {line}" for line in self._looked_at()]
        self._left -= 1
        self._spent.append(time.monotonic() - begin)
        self._say(
            f"{number}/{len(self._order.faults)} {fault.kind} after "
            f"{time.monotonic() - self._begun:.0f} s: {self._poster.posted} posted, "
            f"{sum(world.watch.committed.values())} decided, "
            f"{len(world.crew.running)} members"
        )

    def _looked_at(self) -> list[str]:
        """Say of every partition that stands still who has it, and how far that one has read."""
        world, lines = self._world, []
        for n in world.watch.stuck(STUCK):
            series = f'{{partition="{n}",topic="{self._topics.posts}"}}'
            owners = [
                f"{life.name} at {life.member.metric('moderator_position_offset' + series):.0f}"
                for life in list(world.crew.running.values())
                if n in owned(life)
            ]
            lines.append(
                f"partition {n} stood still for {STUCK:g} s, committed {world.watch.committed[n]} "
                f"of {world.watch.ends[n]}, read by {', '.join(owners) or 'nobody'}"
            )
        return lines

    def _settled(self) -> bool:
        return self._world.watch.recovered and self._world.watch.flowing

    def _finish(self) -> None:
        """Let the rest flow, until everything is decided; then have all members leave."""
        world = self._world
        most = PATIENCE + self._poster.left / max(1.0, self._order.pace / 4)
        until(world.crew, lambda: self._poster.done, most)
        ends = self._ends()
        until(world.crew, lambda: world.watch.complete(ends) and world.watch.recovered, PATIENCE)
        until(world.crew, lambda: world.crew.whole and world.crew.all_ready, PATIENCE)
        world.crew.leave_all()

    def _ends(self) -> dict[int, int]:
        """Return the end of every partition of the posts topic."""
        return ends_of(self._world.broker.bootstrap_servers, self._topics.posts)

    def _report(self, seconds: float) -> Report:
        order, world, faults = self._order, self._world, self._faults
        ends = self._ends()
        counts, uncommitted = self._counts(ends)
        found = world.broker.markers(self._topics.decisions)
        kills = [
            KillReport(
                kill.name,
                kill.aimed,
                kill.producer is not None and aborted_after(found, kill.producer, kill.moment),
                len(kill.recovery.partitions),
                kill.recovery.seconds,
                kill.recovery.disturbed,
            )
            for kill in faults.kills
        ]
        posts = sum(ends.values())
        return Report(
            seed=order.seed,
            network=order.network,
            members=order.members,
            partitions=order.partitions,
            posts=posts,
            seconds=seconds,
            faults=dict(sorted(Counter(each.kind for each in order.faults).items())),
            skipped=faults.skipped,
            kills=kills,
            rebalances=world.broker.generations(self._topics.group),
            read_again=max(0, round(sum(life.read for life in world.crew.lives)) - posts),
            uncommitted=uncommitted,
            session=SESSION,
            transaction=TRANSACTION,
            cleanup=order.cleanup,
            counts=counts,
            incomplete=[n for n, end in ends.items() if world.watch.committed[n] != end],
            stuck=self._stuck,
            standstill=world.watch.standstill,
            broker_down=faults.down,
            drains=world.crew.drains,
            member_faults=world.crew.faults,
            lives=[each for life in world.crew.lives if (each := lived(life))],
            aborted=sum(not marker.committed for marker in found),
        )

    def _counts(self, ends: Mapping[int, int]) -> tuple[dict[str, Count], int]:
        """Count what the topics hold, and decisions that are not committed."""
        broker, topics = self._world.broker, self._topics
        wanted = posted(topics.posts, ends)
        found = decisions(broker.read(topics.decisions, expect=len(wanted)))
        flags = {source(each) for each in found if each["decision"] == "flag"}
        unjudged = {source(each) for each in found if each["cause"]}
        flagged = decisions(broker.read(topics.flagged, expect=len(flags)))
        dead = broker.read(topics.dead_letter, expect=len(unjudged))
        everything = broker.read(topics.decisions, expect=len(found), committed=False)
        return {
            "decisions": counted(wanted, map(source, found)),
            "flagged": counted(flags, map(source, flagged)),
            "dead letters": counted(unjudged, map(dead_letter_source, dead)),
        }, len(everything) - len(found)


def lived(life: Life) -> LifeReport | None:
    """Return how a member's memory and open files went; None where it lived too shortly."""
    samples = [each for each in life.samples if each.time > WARM]
    if not samples or samples[-1].time - samples[0].time < COUNTED:
        return None
    third = math.ceil(len(samples) / 3)
    # A cache that fills grows in the first third, what leaks grows in the last one as well.
    middle, last = samples[-2 * third : -third] or samples, samples[-third:]
    before, after = (statistics.median(s.memory for s in part) for part in (middle, last))
    files = [statistics.median(s.files for s in part) for part in (middle, last)]
    places = [round(n * (len(samples) - 1) / (LOOKS - 1)) for n in range(LOOKS)]
    return LifeReport(
        life.name,
        samples[-1].time,
        after / 1e6,
        after / before - 1,
        round(files[1] - files[0]),
        tuple(round(samples[place].memory / 1e6, 1) for place in places),
    )
