"""Send damaged files through the real decode pool and count what becomes of them.

Not a test itself; `make fuzz` and the tests call it.
"""

import os
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from threading import Event, Thread

from models.spec import InputSpec
from moderator.concerns.limits import Limits
from moderator.decoding.decode import Undecodable
from moderator.decoding.decoder import Budget
from moderator.decoding.decoders import DECODE_DEATHS, Decoded, DecodeLimits, DecodePool
from moderator.slots import SlotArena
from tests.fuzz.damage import Damaged, damaged
from tests.moderator.pictures import encoded, picture

SPEC = InputSpec(sizes=((224, 224), (168, 304), (304, 168)))
PATIENCE = 60.0
"""Seconds after which a file counts as one that never gets a decision."""

MAX_SECONDS = 5.0
"""Seconds that a file may take."""

NOTED = ("crash", "timeout", "memory")
"""Outcomes whose files are kept to look into."""

DEATHS = ("crash", "timeout", "memory", "idle")


@dataclass
class Tally:
    """What became of the files; ``peak`` is bytes of a decode process, ``slowest`` seconds."""

    outcomes: Counter[str] = field(default_factory=Counter)
    deaths: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest: float = 0.0
    slowest_file: str = ""
    peak: int = 0
    seconds: float = 0.0

    @property
    def files(self) -> int:
        return self.outcomes.total()

    def lines(self) -> list[str]:
        """Return the tally in words."""
        return [
            f"{self.files} files in {self.seconds:.0f} s, {self.files / self.seconds:.0f} a second",
            f"outcomes: {dict(self.outcomes.most_common())}",
            f"decode processes that died: {dict(self.deaths)}",
            f"slowest: {self.slowest:.2f} s ({self.slowest_file})",
            f"most memory of a decode process: {self.peak / 2**20:.0f} MiB",
            *(f"FAULT: {fault}" for fault in self.faults),
        ]


def limits() -> DecodeLimits:
    """Return the limits that a member has where nothing else is set."""
    ours = Limits()
    return DecodeLimits(
        ours.max_image_pixels, ours.max_frames, ours.decode_timeout, ours.decode_memory
    )


def run(
    seed: int, numbers: Iterable[int], *, processes: int = 2, folder: Path | None = None
) -> Tally:
    """Decode the damaged files of a seed.

    Args:
        seed: What files are made from.
        numbers: Which of them.
        processes: Decode processes, and files in their hands at once.
        folder: Where files are kept that cost a process or are at fault; None: nowhere.
    """
    tally, begin = Tally(), time.monotonic()
    before = {cause: DECODE_DEATHS.labels(cause)._value.get() for cause in DEATHS}
    arena = SlotArena.for_frames(2 * processes, SPEC, limits().max_frames)
    pool = DecodePool(arena, SPEC, processes=processes, limits=limits())
    try:
        _settle(pool, processes)
        with _watched(pool, tally):
            _feed(pool, tally, (damaged(seed, number) for number in numbers), processes, folder)
        _check(pool, arena, tally)
    finally:
        pool.close()
        arena.close()
    tally.seconds = time.monotonic() - begin
    tally.deaths = Counter(
        {c: int(DECODE_DEATHS.labels(c)._value.get() - n) for c, n in before.items()}
    )
    if tally.peak > limits().memory:
        tally.faults.append(f"a decode process took {tally.peak} bytes")
    return tally


def _settle(pool: DecodePool, processes: int) -> None:
    end = time.monotonic() + PATIENCE
    while len(pool.pids) < processes and time.monotonic() < end:
        time.sleep(0.01)


def _budgets() -> Iterator[Budget]:
    """Yield a budget for each file, the same one for as many as a post may have."""
    ours = Limits()
    while True:
        yield from repeat(Budget(ours.post_decode_timeout), ours.max_images_per_post)


def _feed(
    pool: DecodePool, tally: Tally, files: Iterator[Damaged], depth: int, folder: Path | None
) -> None:
    """Keep every process busy with one file, so that a file's time is its own."""
    under_way: dict[Future[Decoded], tuple[Damaged, float]] = {}
    budgets = _budgets()
    queue = deque(maxlen=depth)  # made ahead, so that making a file is nobody's time
    while True:
        while len(queue) < depth and (file := next(files, None)) is not None:
            queue.append(file)
        while queue and len(under_way) < depth:
            file = queue.popleft()
            future = pool.submit(file.data, budgets=[next(budgets)])
            under_way[future] = (file, time.monotonic())
        if not under_way:
            return
        done, _ = wait(under_way, PATIENCE, FIRST_COMPLETED)
        if not done:
            tally.faults += [f"no decision: {file.name}" for file, _ in under_way.values()]
            return
        for future in done:
            file, begun = under_way.pop(future)
            _count(pool, tally, future, file, time.monotonic() - begun, folder)


def _count(
    pool: DecodePool,
    tally: Tally,
    future: Future[Decoded],
    file: Damaged,
    seconds: float,
    folder: Path | None,
) -> None:
    try:
        pool.release(future.result().slot)
        outcome = "decoded"
    except Undecodable as error:
        outcome = error.cause
    tally.outcomes[outcome] += 1
    if seconds > tally.slowest:
        tally.slowest, tally.slowest_file = seconds, file.name
    if seconds > MAX_SECONDS:
        tally.faults.append(f"{file.name} took {seconds:.1f} s ({outcome})")
    if folder is not None and (outcome in NOTED or seconds > MAX_SECONDS):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{outcome}-{file.name}").write_bytes(file.data)


def _check(pool: DecodePool, arena: SlotArena, tally: Tally) -> None:
    """See that the pool is as good as new: all slots back, and a sound file decoded."""
    try:
        pool.release(pool.submit(encoded(picture(), "PNG")).result(PATIENCE).slot)
    except (Undecodable, TimeoutError) as error:
        tally.faults.append(f"a sound file afterwards: {error}")
    if arena.free != arena.slots:
        tally.faults.append(f"{arena.slots - arena.free} slots did not come back")


@contextmanager
def _watched(pool: DecodePool, tally: Tally) -> Iterator[None]:
    """Note the most memory that any decode process has had."""
    stop = Event()

    def watch() -> None:
        while not stop.wait(0.05):
            for pid in pool.pids:
                tally.peak = max(tally.peak, _most_memory(pid))

    thread = Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _most_memory(pid: int) -> int:
    """Return the most bytes a process has had resident; 0 if it has just gone."""
    with suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024
    return 0


def default_folder() -> Path:
    """Return where files are kept."""
    return Path(os.environ.get("TEST_CACHE_FOLDER", ".cache")) / "fuzz"
