"""A run that is killed at any step and goes on gives the weights of one that never stopped."""

import json
import os
import random
import signal
import struct
import subprocess
import sys
import time

import pytest

from tests.conftest import REPOSITORY
from tests.training.stages.worker import KINDS
from training.stages.checkpoint import FILE, load_checkpoint

CHANGES = {
    "classify": {"faithful": True},
    "pairs": {"accumulate": 2, "patience": 3},
    "faithful": {"faithful": True},
    "balanced": {"freeze": 2, "clip": 1.0},
    "distil": {"head_lr_factor": 5.0},
}
KILLS = {"classify": 1, "pairs": 2, "faithful": 1, "balanced": 1, "distil": 1}


def start(folder, out, kind, changes):
    command = [sys.executable, "-m", "tests.training.stages.worker"]
    runs = json.dumps([[str(out), kind, changes]])
    return subprocess.Popen(
        [*command, str(folder), runs],
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def position(out):
    """Return epoch and step of the checkpoint, read at once as the run may replace the file."""
    try:
        content = (out / "last" / FILE).read_bytes()
    except FileNotFoundError:
        return (0, -1)
    header = json.loads(content[8 : 8 + struct.unpack("<Q", content[:8])[0]])
    state = json.loads(header["__metadata__"]["state"])
    return (state["epoch"], state["step"])


def kill_after(process, out, when, delay):
    """Kill a run a moment after its checkpoint has come so far; returns where it stood."""
    end = time.monotonic() + 60
    while position(out) < when and process.poll() is None and time.monotonic() < end:
        time.sleep(0.002)
    time.sleep(delay)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    return process.returncode


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(CHANGES))
def test_killed_runs_end_with_the_same_weights(kind, tmp_path, data, stages_folder, console):
    fit, make, spec = KINDS[kind]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    changes = {**CHANGES[kind], "epochs": 4}
    settings = make(stages_folder / "cache", **changes)
    expected = fit(data, spec, settings, whole, console)

    seed = random.SystemRandom().randrange(2**32)
    print(f"kills drawn from seed {seed}")
    lot = random.Random(seed)
    places = sorted(
        (lot.randrange(settings.epochs - 1), lot.randrange(6)) for _ in range(KILLS[kind])
    )
    killed = 0
    for place in places:
        process = start(stages_folder, broken, kind, changes)
        killed += kill_after(process, broken, place, lot.uniform(0, 0.06)) == -signal.SIGKILL
    assert killed, "every run ended before it was killed"
    result = fit(data, spec, settings, broken, console, resume=True)

    assert "going on after" in console.file.getvalue()
    assert untimed(result) == untimed(expected)
    assert untimed(json.loads((broken / "result.json").read_text())) == untimed(expected)
    for name in ("best/weights.safetensors", "best/network.json"):
        assert (broken / name).read_bytes() == (whole / name).read_bytes(), name
    ours, theirs = load_checkpoint(broken / "last"), load_checkpoint(whole / "last")
    assert ours[0].keys() == theirs[0].keys()
    assert all(ours[0][name].equal(theirs[0][name]) for name in theirs[0])
    assert figures(broken) == figures(whole)


def untimed(figures):
    return {k: v for k, v in figures.items() if "second" not in k}


def figures(out):
    return [untimed(json.loads(line)) for line in (out / "progress.jsonl").read_text().splitlines()]
