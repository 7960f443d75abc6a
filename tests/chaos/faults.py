"""Do what the plan says: to members, broker, Redis, network and disk. Judges nothing."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos.aim import Aim
from tests.chaos.broker import ChaosBroker
from tests.chaos.crew import Crew, Life, is_ready, owned, until
from tests.chaos.disk import Disk
from tests.chaos.plan import Fault
from tests.chaos.watch import Recovery, Watch
from tests.services.redis import RedisService

LATENCY = 0.15
"""Seconds that a slow network takes, each way."""

PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Kill:
    """A member that was killed; ``moment`` in seconds since 1970."""

    name: str
    moment: float
    aimed: bool
    held: bool
    producer: int | None
    recovery: Recovery


@dataclass(eq=False)
class World:
    """Everything that can be broken; ``steady`` names the member that is never killed."""

    broker: ChaosBroker
    redis: RedisService
    disk: Disk | None
    crew: Crew
    watch: Watch
    aim: Aim
    steady: str


class Faults:
    """Breaks the world, a fault at a time, and keeps what came of it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._extras: list[str] = []
        self._joined = 0
        self.kills: list[Kill] = []
        self.down: list[float] = []
        """Seconds that each restart of the broker took."""
        self.skipped: list[str] = []
        self._acts: dict[str, Callable[[Fault], None]] = {
            "kill": self._kill,
            "freeze": self._freeze,
            "broker-kill": lambda fault: self._restart(fault, self._world.broker.kill),
            "broker-stop": lambda fault: self._restart(fault, self._world.broker.stop),
            "join": self._join,
            "leave": self._leave,
            "redis-kill": self._redis_kill,
            "redis-freeze": self._redis_freeze,
            "slow": self._slow,
            "stall": self._stall,
            "cut": self._cut,
            "disk-full": self._disk_full,
        }

    def do(self, fault: Fault) -> None:
        """Do one, from its beginning to its end."""
        self._world.watch.disturbed()
        self._acts[fault.kind](fault)
        if fault.kind != "kill":
            self._world.watch.disturbed()

    def _victim(self, fault: Fault) -> Life | None:
        """Choose a member that is ready; another one is left at work."""
        crew, steady = self._world.crew, self._world.steady
        found: list[Life] = []

        def chosen() -> bool:
            found[:] = crew.ready(without=steady)
            others = len(crew.ready()) > 1
            found[:] = [life for life in found if owned(life)]
            return bool(found) and others

        if not until(crew, chosen, PATIENCE):
            self.skipped.append(f"{fault.kind}: no member was ready within {PATIENCE:g} s")
            return None
        return found[int(fault.draw * len(found))]

    def _kill(self, fault: Fault) -> None:
        world = self._world
        victim = self._victim(fault)
        if victim is None:
            return
        partitions = owned(victim)
        held = fault.aimed and world.aim.hold(victim)
        producer = world.aim.producer(victim)
        moment = time.time()
        world.crew.kill(victim)
        recovery = world.watch.killed(partitions)
        self.kills.append(Kill(victim.name, moment, fault.aimed, held, producer, recovery))
        world.crew.start_later(victim.name, fault.seconds)

    def _freeze(self, fault: Fault) -> None:
        """Hold a member still beyond its session, half of the time with a transaction open."""
        world = self._world
        victim = self._victim(fault)
        if victim is None:
            return
        pid = victim.member.process.pid
        victim.frozen = True
        if fault.draw >= 0.5 or not world.aim.hold(victim):
            os.kill(pid, signal.SIGSTOP)
        self._wait(fault.seconds)
        os.kill(pid, signal.SIGCONT)
        victim.frozen = False

    def _restart(self, fault: Fault, end: Callable[[], None]) -> None:
        begin = time.monotonic()
        end()
        self._wait(fault.seconds)
        self._world.broker.start()
        self.down.append(time.monotonic() - begin)

    def _join(self, fault: Fault) -> None:
        crew = self._world.crew
        name = f"x{self._joined}"
        self._joined += 1
        self._extras.append(name)
        crew.start(name)
        took = until(crew, lambda: name in crew.running and owned(crew.running[name]), PATIENCE)
        if not took:
            self.skipped.append(f"join: {name} had no partition within {PATIENCE:g} s")

    def _leave(self, fault: Fault) -> None:
        """Have the member that joined last leave; it may have been killed meanwhile."""
        crew, name = self._world.crew, self._extras.pop()
        there = until(crew, lambda: name in crew.running and is_ready(crew.running[name]), PATIENCE)
        if there:
            crew.leave(crew.running[name])
        else:
            self.skipped.append(f"leave: {name} was not ready within {PATIENCE:g} s")

    def _redis_kill(self, fault: Fault) -> None:
        self._world.redis.kill()
        self._wait(fault.seconds)
        self._world.redis.start()

    def _redis_freeze(self, fault: Fault) -> None:
        self._world.redis.freeze()
        self._wait(fault.seconds)
        self._world.redis.thaw()

    def _slow(self, fault: Fault) -> None:
        proxy = self._world.broker.proxy
        proxy.delay(out=LATENCY, back=LATENCY)
        self._wait(fault.seconds)
        proxy.delay()

    def _stall(self, fault: Fault) -> None:
        proxy = self._world.broker.proxy
        proxy.stall()
        self._wait(fault.seconds)
        proxy.flow()

    def _cut(self, fault: Fault) -> None:
        proxy = self._world.broker.proxy
        proxy.cut()
        self._wait(fault.seconds)
        proxy.flow()

    def _disk_full(self, fault: Fault) -> None:
        """Fill the disk, and, as an operator would, make room and start the broker anew."""
        world = self._world
        if world.disk is None:
            self.skipped.append("disk-full: this user may not mount a small disk")
            return
        begin = time.monotonic()
        world.disk.fill()
        self._wait(fault.seconds)
        world.disk.free()
        world.broker.kill()
        world.broker.start()
        self.down.append(time.monotonic() - begin)

    def _wait(self, seconds: float) -> None:
        until(self._world.crew, lambda: False, seconds)
