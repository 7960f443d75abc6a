"""The network in a process of its own: what it embeds, and that its deaths lose nothing.

The process is killed and signalled from outside, as it happens.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.errors import BadRelease
from models.policy import HeadRule, Kernel, Policy
from models.release import Release, write_release
from models.spec import InputSpec
from moderator import embedder_process
from moderator.embedder import Frame, InProcessEmbedder
from moderator.embedder_process import MAX_RESTARTS, ProcessEmbedder, Serving
from moderator.errors import Unavailable
from moderator.slots import SlotArena
from tests.models.samples import SPEC, head, network, written

pytestmark = pytest.mark.slow

SIDE = 64
HEADED = Policy(3.0, head=HeadRule(1.0, Kernel(40.0, 20.0)))
FRAMES = [Frame(slot, 0, SIDE, SIDE) for slot in range(4)]


def serving_of(release: Release) -> Serving:
    return Serving(release.path, release.rows_digest, "cpu", 1, 4)


@pytest.fixture
def arena() -> Iterator[SlotArena]:
    arena = SlotArena(len(FRAMES), SIDE * SIDE * 3)
    noise = np.random.default_rng(0)
    for frame in FRAMES:
        view = arena.frame(frame.slot, 0, SIDE, SIDE)
        view[...] = noise.integers(0, 256, view.shape, np.uint8)
    yield arena
    arena.close()


@pytest.fixture
def regional_release(tmp_path) -> Release:
    regional = replace(SPEC, input=InputSpec(((SIDE, SIDE),)), regions=((2, 1),))
    return written(tmp_path / "regional", network=network(regional))


@contextmanager
def process_of(release: Release, arena: SlotArena) -> Iterator[ProcessEmbedder]:
    embedder = ProcessEmbedder(serving_of(release), arena)
    try:
        yield embedder
    finally:
        embedder.close()


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "what was waited for did not come about"
        time.sleep(0.005)


def ended(pid: int | None) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def expected(release: Release, arena: SlotArena) -> np.ndarray:
    embedder = InProcessEmbedder(release.load_network(), arena, threads=1, chunk=4)
    try:
        return embedder.submit(FRAMES).result(60)
    finally:
        embedder.close()


def copied(release: Release, folder: Path) -> Path:
    return Path(shutil.copytree(release.path, folder / "copy"))


# --- regions


def test_it_gives_the_regions_that_the_network_gives_here(regional_release, arena) -> None:
    serving = replace(serving_of(regional_release), regions=True)
    loaded = regional_release.load_network()
    here = InProcessEmbedder(loaded, arena, threads=1, chunk=4, regions=True)
    there = ProcessEmbedder(serving, arena)
    try:
        assert here.boxes.keys() == there.boxes.keys() == {(SIDE, SIDE)}
        assert np.array_equal(here.boxes[SIDE, SIDE], there.boxes[SIDE, SIDE])
        rows = there.submit(FRAMES).result(60)
        assert rows.shape[0] == len(FRAMES) * (1 + len(here.boxes[SIDE, SIDE])) > len(FRAMES)
        assert np.allclose(rows, here.submit(FRAMES).result(60), atol=1e-5)
        whole = rows.reshape(len(FRAMES), -1, rows.shape[1])[:, 0]
        for embedder in (here, there):
            bare = embedder.submit(FRAMES, regions=False).result(60)
            assert bare.shape == whole.shape
            assert np.allclose(bare, whole, atol=1e-5)
    finally:
        here.close()
        there.close()


# --- deaths


def test_a_death_with_work_pending_loses_none_of_it(tiny_release, arena) -> None:
    with process_of(tiny_release, arena) as embedder:
        assert np.allclose(
            embedder.submit(FRAMES).result(60), expected(tiny_release, arena), atol=1e-5
        )
        pid = embedder.pid
        # Stopped, it takes no request before it dies.
        os.kill(pid, signal.SIGSTOP)
        pending = [embedder.submit([frame]) for frame in FRAMES]
        os.kill(pid, signal.SIGKILL)
        rows = np.concatenate([future.result(120) for future in pending])
        assert np.allclose(rows, expected(tiny_release, arena), atol=1e-5)
        assert embedder.pid != pid
        again = embedder.pid
    until(lambda: ended(again))


def test_too_many_deaths_fail_everything_and_then_at_once(tiny_release, arena) -> None:
    with process_of(tiny_release, arena) as embedder:
        killed: set[int | None] = set()
        os.kill(embedder.pid, signal.SIGSTOP)
        pending = [embedder.submit(FRAMES) for _ in range(3)]
        while not all(future.done() for future in pending):
            if embedder.pid not in killed:
                killed.add(embedder.pid)
                os.kill(embedder.pid, signal.SIGKILL)
            time.sleep(0.005)
        assert len(killed) == MAX_RESTARTS + 1
        for future in pending:
            with pytest.raises(Unavailable, match="died 4 times in a row"):
                future.result(0)
        with pytest.raises(Unavailable):
            embedder.submit(FRAMES)


def test_a_restart_that_is_not_possible_fails_everything(tiny_release, arena, monkeypatch) -> None:
    with process_of(tiny_release, arena) as embedder:
        os.kill(embedder.pid, signal.SIGSTOP)
        pending = [embedder.submit(FRAMES) for _ in range(3)]
        # What the system gives where it has no room for another process.
        limited = "multiprocessing.util.spawnv_passfds"
        monkeypatch.setattr(limited, lambda *_: (_ for _ in ()).throw(OSError(12, "no memory")))
        os.kill(embedder.pid, signal.SIGKILL)
        for future in pending:
            with pytest.raises(Unavailable, match="no memory"):
                future.result(60)
        with pytest.raises(Unavailable):
            embedder.submit(FRAMES)


def test_a_release_that_is_gone_at_a_restart_fails_everything(tiny_release, arena, tmp_path):
    folder = copied(tiny_release, tmp_path)
    with process_of(replace(tiny_release, path=folder), arena) as embedder:
        shutil.rmtree(folder)
        os.kill(embedder.pid, signal.SIGSTOP)
        pending = embedder.submit(FRAMES)
        os.kill(embedder.pid, signal.SIGKILL)
        with pytest.raises(Unavailable, match="not a release") as caught:
            pending.result(120)
        assert "\n" not in str(caught.value)


def test_another_network_at_a_restart_is_refused(tiny_release, arena, tmp_path) -> None:
    folder = copied(tiny_release, tmp_path)
    with process_of(replace(tiny_release, path=folder), arena) as embedder:
        shutil.rmtree(folder)
        other(tiny_release, folder)
        os.kill(embedder.pid, signal.SIGSTOP)
        pending = embedder.submit(FRAMES)
        os.kill(embedder.pid, signal.SIGKILL)
        with pytest.raises(Unavailable, match="another network"):
            pending.result(120)


def other(release: Release, folder: Path) -> Release:
    """Write a release that differs from another one in its network."""
    network = release.load_network(fold=False)
    for parameter in network.parameters():
        parameter.data.mul_(1.01)
        break
    return write_release(
        folder,
        network=network,
        prototypes=release.prototypes,
        types=release.types,
        policy=release.policy,
        report={},
        created="2026-01-01",
        git_commit=None,
        dataset_digest=None,
    )


# --- the beginning and the end


@pytest.mark.parametrize("how", ["absent", "damaged", "another"])
def test_a_bad_release_is_one_line_of_the_constructor(tiny_release, arena, tmp_path, how) -> None:
    folder = copied(tiny_release, tmp_path)
    if how != "damaged":
        shutil.rmtree(folder)
    else:
        raw = bytearray((folder / "weights.safetensors").read_bytes())
        raw[-9] ^= 1
        (folder / "weights.safetensors").write_bytes(raw)
    if how == "another":
        other(tiny_release, folder)
    with pytest.raises(BadRelease) as caught:
        ProcessEmbedder(serving_of(replace(tiny_release, path=folder)), arena)
    assert "\n" not in str(caught.value)
    assert str(folder) in str(caught.value)


def test_a_process_that_ends_as_it_begins_is_unavailable(tiny_release, arena, monkeypatch) -> None:
    start = ProcessEmbedder._start

    def killed(self):
        process, connection = start(self)
        process.kill()
        return process, connection

    monkeypatch.setattr(ProcessEmbedder, "_start", killed)
    with pytest.raises(Unavailable, match="ended with -9 as it began"):
        ProcessEmbedder(serving_of(tiny_release), arena)


def test_a_failure_of_one_batch_is_that_batchs_alone(tiny_release, arena) -> None:
    with process_of(tiny_release, arena) as embedder:
        pid = embedder.pid
        with pytest.raises(Unavailable, match="slot 99"):
            embedder.submit([Frame(99, 0, SIDE, SIDE)]).result(60)
        assert embedder.submit(FRAMES).result(60).shape[0] == len(FRAMES)
        assert embedder.pid == pid


def test_closing_cancels_what_is_pending(tiny_release, arena) -> None:
    with process_of(tiny_release, arena) as embedder:
        pid = embedder.pid
        os.kill(pid, signal.SIGSTOP)
        pending = embedder.submit(FRAMES)
        embedder.close()
        assert pending.cancelled()
        with pytest.raises(Unavailable, match="closed"):
            embedder.submit(FRAMES)
        assert ended(pid)


# --- signals


MEMBER = """
import os, signal, sys
from pathlib import Path
from moderator import embedder_process
from moderator.embedder import Frame
from moderator.embedder_process import ProcessEmbedder, Serving
from moderator.slots import SlotArena

def main():
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: None)
    start = ProcessEmbedder._start
    def announced(self):
        process, connection = start(self)
        # The worst moment: its interpreter has not even begun.
        os.killpg(0, signal.SIGTERM)
        os.killpg(0, signal.SIGINT)
        return process, connection
    ProcessEmbedder._start = announced
    arena = SlotArena(1, 64 * 64 * 3)
    embedder = ProcessEmbedder(Serving(Path(sys.argv[1]), sys.argv[2], "cpu", 1, 4), arena)
    pid = embedder.pid
    for each in (signal.SIGINT, signal.SIGTERM):
        os.killpg(0, each)
    rows = embedder.submit([Frame(0, 0, 64, 64)]).result(60)
    print(len(rows), pid == embedder.pid)
    embedder.close()

if __name__ == "__main__":
    main()
"""


def test_signals_to_the_whole_group_do_not_end_it(tiny_release, tmp_path) -> None:
    script = tmp_path / "member.py"
    script.write_text(MEMBER)
    member = subprocess.run(
        [sys.executable, script, tiny_release.path, tiny_release.network_digest],
        env={**os.environ, "PYTHONPATH": str(Path(embedder_process.__file__).parents[1])},
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=120,
    )
    assert (member.stdout, member.returncode) == ("1 True\n", 0), member.stderr


# --- with a head


@pytest.fixture
def headed_release(tmp_path) -> Release:
    spec = replace(SPEC, input=InputSpec(((SIDE, SIDE),)), regions=((2, 1),))
    return written(tmp_path / "headed", network=network(spec), head=head(), policy=HEADED)


def test_both_embedders_give_the_same_rows_with_logits(headed_release, arena) -> None:
    serving = replace(serving_of(headed_release), regions=True)
    net = headed_release.load_network()
    inside = InProcessEmbedder(net, arena, threads=1, chunk=4, regions=True)
    apart = ProcessEmbedder(serving, arena)
    try:
        for regions in (True, False):
            one, other = (e.submit(FRAMES, regions=regions).result(120) for e in (inside, apart))
            count = 1 + len(apart.boxes[SIDE, SIDE]) if regions else 1
            assert one.shape == other.shape == (count * len(FRAMES), 16 + 4)
            assert np.abs(one - other).max() < 1e-5
            assert np.ptp(one[:, 16]) > 0
    finally:
        apart.close()
        inside.close()


def test_a_release_that_now_holds_another_head_is_refused(headed_release, arena) -> None:
    serving = replace(serving_of(headed_release), rows_digest=headed_release.network_digest)
    with pytest.raises(BadRelease, match="another network or head") as caught:
        ProcessEmbedder(serving, arena)
    assert "\n" not in str(caught.value)
