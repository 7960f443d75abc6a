"""Two processes of ``torchrun`` train what one would, and end with the same weights."""

import json
import os
import signal
import socket
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from tests.conftest import REPOSITORY
from tests.training.stages import samples
from training.stages.checkpoint import load_checkpoint
from training.stages.classify import fit_classify
from training.stages.retrieve import fit_retrieve

ONE_STEP = {
    "epochs": 1, "optimiser": "sgd", "schedule": "constant", "lr": 1.0, "momentum": 0.0,
    "weight_decay": 0.0, "precision": "float32", "harmless_per_batch": 0,
}  # fmt: skip

FITS = {
    "classify": (fit_classify, samples.classify_settings),
    "pairs": (fit_retrieve, samples.retrieve_settings),
    "balanced": (fit_retrieve, samples.balanced_settings),
}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def torchrun(folder, runs):
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2",
               "--master-addr", "127.0.0.1", "--master-port", str(free_port()),
               "-m", "tests.training.stages.worker"]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    process = subprocess.Popen([*command, str(folder), json.dumps(runs)], cwd=REPOSITORY,
                               env=environment, stderr=subprocess.PIPE, text=True,
                               start_new_session=True)  # fmt: skip
    try:
        error = process.communicate(timeout=150)[1]
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, error


def one_step(kind):
    """Return the changes that make a run one step of plain descent at rate 1."""
    sizes = {"batch": 100} if kind != "balanced" else {"batches_per_epoch": 1}
    return {**ONE_STEP, **sizes}


@pytest.fixture(scope="module")
def together(tmp_path_factory, data, stages_folder):
    """Runs of two processes: one step of each kind, and a whole one."""
    base = tmp_path_factory.mktemp("together")
    runs = [[str(base / kind), kind, one_step(kind)] for kind in FITS]
    runs.append([str(base / "whole"), "balanced", {"freeze_norms": False, "accumulate": 2}])
    torchrun(stages_folder, runs)
    return base


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["classify", "pairs", "balanced"])
def test_two_processes_have_the_gradient_of_one(
    kind, together, tmp_path, data, stages_folder, console
):
    """At rate 1, weights change by their gradients; at rate 0 they stay."""
    fit, make = FITS[kind]
    for name, lr in (("one", 1.0), ("still", 0.0)):
        settings = make(stages_folder / "cache", **{**one_step(kind), "lr": lr})
        fit(data, samples.SPEC, settings, tmp_path / name, console)

    before, one = weights(tmp_path / "still"), weights(tmp_path / "one")
    two = weights(together / kind)
    assert one.keys() == two.keys()
    gradients = {name: before[name] - one[name] for name in before if name.startswith("model/")}
    assert max(float(g.abs().max()) for g in gradients.values()) > 1e-3
    for name in gradients:
        assert torch.allclose(one[name], two[name], rtol=0, atol=1e-5), name


@pytest.mark.slow
def test_both_processes_end_with_the_same_weights(together):
    first, second = (load_file(f"{together}/whole-rank-{n}.safetensors") for n in (0, 1))
    assert first.keys() == second.keys()
    assert all(first[name].equal(second[name]) for name in first)
    result = json.loads((together / "whole" / "result.json").read_text())
    assert result["processes"] == 2
    assert len((together / "whole" / "progress.jsonl").read_text().splitlines()) == 4


def weights(out):
    return load_checkpoint(out / "last")[0]
