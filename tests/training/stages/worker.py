"""Runs in a process of its own, to be killed or to train beside others.

Called as ``python -m tests.training.stages.worker FOLDER RUNS``, where RUNS is JSON, a list of
[OUT, KIND, CHANGES]: KIND is ``classify``, ``pairs`` or ``balanced`` and CHANGES are settings.
Each process writes the weights it ends with to ``OUT-rank-<n>.safetensors``.
"""

import json
import os
import sys
from pathlib import Path

from rich.console import Console
from safetensors.torch import save_file

from tests.training.stages import samples
from training.stages.classify import fit_classify
from training.stages.loop import Loop
from training.stages.retrieve import fit_retrieve

MAKE = {
    "classify": samples.classify_settings,
    "pairs": samples.retrieve_settings,
    "balanced": samples.balanced_settings,
}


def keeping_weights(train, out: str):
    """Return what trains and lets each process write the weights that it itself ends with."""

    def kept(loop):
        position = train(loop)
        tensors = {k: v.contiguous() for k, v in loop._model.state_dict().items()}
        save_file(tensors, f"{out}-rank-{os.environ.get('RANK', '0')}.safetensors")
        return position

    return kept


def main(folder: str, runs: str) -> None:
    base = Path(folder)
    data = samples.drawn_data(base)
    train = Loop.train
    for out, kind, changes in json.loads(runs):
        Loop.train = keeping_weights(train, out)
        settings = MAKE[kind](base / "cache", **changes)
        fit = fit_classify if kind == "classify" else fit_retrieve
        fit(data, samples.SPEC, settings, Path(out), Console(quiet=True), resume=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
