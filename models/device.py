"""Where a network runs: names of devices and numbers of threads. Knows nothing of networks."""

import torch

from models.errors import BadNetwork


def resolve_device(name: str) -> torch.device:
    """Return the device of a name, ready for float32 that is the same as on a CPU.

    On CUDA this turns TF32 off for the whole process: it would change embeddings in the third
    digit, and thresholds were set on exact ones.

    Args:
        name: ``auto`` (CUDA where there is one, else the CPU), ``cpu``, ``cuda`` or ``cuda:0`` …

    Raises:
        BadNetwork: There is no such device, or this PyTorch cannot use it.
    """
    wanted = ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name
    try:
        device = torch.device(wanted)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise BadNetwork(
            f"device {name!r} cannot be used ({reason}); choose auto, cpu, cuda or cuda:<number>"
        ) from None
    if device.type == "meta":
        raise BadNetwork("device 'meta' cannot be used; choose auto, cpu, cuda or cuda:<number>")
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
    return device


def set_threads(n: int) -> None:
    """Let each operation on the CPU use this many threads, at least 1, in the whole process.

    Raises:
        ValueError: n is below 1.
    """
    if n < 1:
        raise ValueError(f"{n} threads are too few; at least 1")
    torch.set_num_threads(n)
