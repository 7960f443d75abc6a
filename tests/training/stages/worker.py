"""Runs in a process of its own, to be killed or to train beside others.

Called as ``python -m tests.training.stages.worker FOLDER RUNS``, where RUNS is JSON, a list of
[OUT, KIND, CHANGES]: KIND is one of ``KINDS`` and CHANGES are settings.
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
from training.stages.distil import fit_distil
from training.stages.loop import Loop
from training.stages.retrieve import fit_retrieve

KINDS = {
    "classify": (fit_classify, samples.classify_settings, samples.SPEC),
    "pairs": (fit_retrieve, samples.retrieve_settings, samples.SPEC),
    "faithful": (fit_retrieve, samples.retrieve_settings, samples.SPEC),
    "balanced": (fit_retrieve, samples.balanced_settings, samples.SPEC),
    "distil": (fit_distil, samples.distil_settings, samples.HEADED),
}
"""What trains, makes its settings, and names its network."""


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
        fit, make, spec = KINDS[kind]
        settings = make(base / "cache", **changes)
        fit(data, spec, settings, Path(out), Console(quiet=True), resume=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
