"""What torch keeps for the whole process, set for a run and brought back after it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.utils import deterministic

from training.stages.settings import Settings


@contextmanager
def process(settings: Settings) -> Iterator[None]:
    """Use the settings' threads and, if they ask for it, only deterministic algorithms."""
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    fill = deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    if settings.threads:
        torch.set_num_threads(settings.threads)
    if settings.deterministic:
        # Read when CUDA's matrix products are first used.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
        # Nothing here reads memory before it writes it.
        deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        # The run seeds torch at every step; the caller's chance stays as it was.
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict)
        deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]
