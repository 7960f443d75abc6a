"""The members of the group: started, killed, started again, and looked at while they run."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.moderator.member import Member

LOOK = 1.0
"""Seconds between two looks at each member."""

READ = "moderator_records_read_total"
POSITION = "moderator_position_offset{"


@dataclass(frozen=True, slots=True)
class Sample:
    """What a member was found to take; ``time`` since it was started, ``memory`` in bytes."""

    time: float
    memory: int
    files: int


@dataclass(eq=False)
class Life:
    """One process of a member, from its start to its end."""

    member: Member
    name: str
    begun: float
    samples: list[Sample] = field(default_factory=list)
    read: float = 0.0
    frozen: bool = False
    ended: str = ""
    """How it ended: killed, left or by itself; empty while it runs."""


class Crew:
    """All members, by name.

    Args:
        settings: Settings of every member.
        folder: Takes their logs.
        module: What they run, see ``Member``.
        environ: Their environment, see ``Member``.
    """

    def __init__(
        self,
        settings: Mapping[str, str],
        folder: Path,
        *,
        module: str = "moderator",
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._settings = dict(settings)
        self._folder = folder
        self._module = module
        self._environ = environ
        self._due: dict[str, float] = {}
        self._looking = threading.Thread(target=self._look, name="looking", daemon=True)
        self._closed = threading.Event()
        self.lives: list[Life] = []
        self.running: dict[str, Life] = {}
        self.faults: list[str] = []
        """What members did that no fault of the world should make them do, a line each."""
        self.drains: list[float] = []
        """Seconds that members took to leave."""

    def watch(self) -> None:
        """Look at all members from now on, again and again."""
        self._looking.start()

    def start(self, name: str) -> Life:
        """Start a member; it is not ready yet."""
        member = Member(
            self._settings, self._folder, name, module=self._module, environment=self._environ
        )
        life = Life(member, name, time.monotonic())
        self.lives.append(life)
        self.running[name] = life
        return life

    def start_later(self, name: str, seconds: float) -> None:
        """Have ``tend`` start a member after a while."""
        self._due[name] = time.monotonic() + seconds

    def tend(self) -> None:
        """Start what is due, and take note of members that ended by themselves."""
        for life in list(self.running.values()):
            if (code := life.member.process.poll()) is not None:
                said = life.member.log.read_text(errors="replace").strip().splitlines()[-1:]
                self.faults.append(f"{life.name} ended by itself, code {code}: {' '.join(said)}")
                self._over(life, "by itself")
                self.start_later(life.name, 1.0)
        for name, due in list(self._due.items()):
            if time.monotonic() >= due:
                del self._due[name]
                self.start(name)

    @property
    def whole(self) -> bool:
        """Whether nobody is yet to be started again."""
        return not self._due

    @property
    def all_ready(self) -> bool:
        """Whether every member that runs is ready."""
        return len(self.ready()) == len(self.running)

    def ready(self, *, without: str = "") -> list[Life]:
        """Return the members that are ready, save one, in the order of their names."""
        found = [life for name, life in sorted(self.running.items()) if name != without]
        return [life for life in found if not life.frozen and is_ready(life)]

    def kill(self, life: Life) -> None:
        """End a member at once."""
        life.member.kill()
        self._over(life, "killed")

    def leave(self, life: Life) -> None:
        """Have a member leave; anything but code 0 within 20 s is noted as a fault."""
        begin = time.monotonic()
        code = life.member.stop()
        seconds = time.monotonic() - begin
        self.drains.append(seconds)
        if code != 0:
            self.faults.append(f"{life.name} left with code {code}")
        if seconds > 20:
            self.faults.append(f"{life.name} took {seconds:.1f} s to leave")
        self._over(life, "left")

    def leave_all(self) -> None:
        """Have all members leave, one after the other."""
        self._due.clear()
        for life in list(self.running.values()):
            self.leave(life)

    def close(self) -> None:
        """End all members."""
        self._closed.set()
        if self._looking.is_alive():
            self._looking.join(10)
        for life in self.lives:
            life.member.close()

    def _over(self, life: Life, how: str) -> None:
        life.ended = how
        self.running.pop(life.name, None)
        life.member.close()

    def _look(self) -> None:
        while not self._closed.wait(LOOK):
            for life in list(self.running.values()):
                if not life.frozen:
                    _sample(life)


def is_ready(life: Life) -> bool:
    """Return whether a member says that it is ready."""
    return life.member.process.poll() is None and life.member.get("/readyz")[0] == 200


def owned(life: Life) -> frozenset[int]:
    """Return the partitions that a member says it reads."""
    lines = life.member.get("/metrics")[1].splitlines()
    return frozenset(
        int(line.split('partition="')[1].split('"')[0])
        for line in lines
        if line.startswith(POSITION)
    )


def until(crew: Crew, condition: Callable[[], object], seconds: float) -> bool:
    """Tend the crew until a condition holds; return whether it did within so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        crew.tend()
        time.sleep(0.05)
    return True


def _sample(life: Life) -> None:
    pid = life.member.process.pid
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    except OSError:
        return
    memory = [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:")]
    if memory:
        life.samples.append(Sample(time.monotonic() - life.begun, memory[0], files))
    life.read = max(life.read, life.member.metric(READ))
