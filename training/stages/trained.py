"""Networks that were trained, or released, read from their directories. Knows no training."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from models.spec import NetworkSpec
from training.errors import BadInput
from training.stages.run import NETWORK, WEIGHTS

if TYPE_CHECKING:
    from models.network import RetrievalNetwork


def load_trained(folder: Path) -> "RetrievalNetwork":
    """Return the network of a run (its best one) or of a release, in evaluation mode on the CPU.

    Args:
        folder: Of the run, of its ``best/``, or of the release.

    Raises:
        BadInput: There is no network in it, or it is damaged.
        BadNetwork: The network is not described as it should be, or the weights cannot be read.
    """
    from models.network import RetrievalNetwork
    from models.weights import read_tensors

    network = RetrievalNetwork(read_spec(folder))
    weights = _place(folder) / WEIGHTS
    # A release may hold matrices in 16 bits.
    tensors = {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in read_tensors(weights).items()
    }
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise BadInput(f"{weights} does not fit its network ({reason[:200]})") from None
    return network.eval()


def stored_half(folder: Path) -> bool:
    """Whether the network of a run or a release is stored with its matrices in 16 bits.

    Raises:
        BadInput: There is no network in it.
        BadNetwork: The weights cannot be read.
    """
    from models.weights import read_tensors

    tensors = read_tensors(_place(folder) / WEIGHTS).values()
    return any(tensor.is_floating_point() and tensor.dtype.itemsize == 2 for tensor in tensors)


def read_spec(folder: Path) -> NetworkSpec:
    """Return what the network of a directory is made of; see ``load_trained``.

    Raises:
        BadInput: There is no network in it, or its description cannot be read.
        BadNetwork: The network is not described as it should be.
    """
    file = _place(folder) / NETWORK
    try:
        raw = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BadInput(f"{file} cannot be read ({error}); train it anew") from None
    return NetworkSpec.from_json(raw)


def _place(folder: Path) -> Path:
    for place in (folder / "best", folder):
        if (place / WEIGHTS).is_file():
            return place
    raise BadInput(f"{folder} holds no trained network; give a run's directory or a release")
