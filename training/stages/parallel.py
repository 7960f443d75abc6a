"""Processes that train one network together, as ``torchrun`` starts them. Knows no networks.

Each has a share of every batch's rows. Sums over processes are the same on all of them, so that
all keep the same weights.
"""

import atexit
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed

from training.errors import BadInput


@dataclass(frozen=True)
class World:
    """Which process this is, of how many, and where it computes."""

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes and speaks."""
        return self.rank == 0

    @property
    def share(self) -> tuple[int, int]:
        """Rank and size."""
        return self.rank, self.size

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over the processes."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        distributed.all_reduce(flat)
        begin = 0
        for tensor in tensors:
            part = flat[begin : begin + tensor.numel()]
            tensor.copy_(part.reshape(tensor.shape))
            begin += tensor.numel()

    def agree(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its mean over the processes."""
        if self.size == 1:
            return
        self.add_up(tensors)
        for tensor in tensors:
            tensor.div_(self.size)

    def same_for_all(self, value: float) -> float:
        """Return the first process's value on all of them."""
        if self.size == 1:
            return value
        told = torch.tensor([value], dtype=torch.float64, device=self.device)
        distributed.broadcast(told, 0)
        return float(told)

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.size > 1:
            distributed.barrier()


@contextmanager
def world(device: str) -> Iterator[World]:
    """Join the other processes that ``torchrun`` started, if it did.

    Args:
        device: ``auto`` and ``cuda`` are the GPU of this process's local number.

    Raises:
        BadInput: There is no such device.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield World(0, 1, _device(device))
        return
    target = _device(device, int(os.environ.get("LOCAL_RANK", "0")))
    if not distributed.is_initialized():
        if target.type == "cuda":
            torch.cuda.set_device(target)
        distributed.init_process_group("nccl" if target.type == "cuda" else "gloo")
        # Not after each run: what one process leaves early cannot be joined again by another.
        atexit.register(distributed.destroy_process_group)
    yield World(distributed.get_rank(), count, target)


def _device(name: str, local: int | None = None) -> torch.device:
    from models.device import resolve_device
    from models.errors import BadNetwork

    if local is not None and name in ("auto", "cuda") and torch.cuda.is_available():
        name = f"cuda:{local}"
    try:
        return resolve_device(name)
    except BadNetwork as error:
        raise BadInput(f"--{error}") from None
