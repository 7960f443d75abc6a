"""The network that a run begins with. Must not know images or how it will be trained."""

from pathlib import Path

from models.network import RetrievalNetwork
from models.spec import NetworkSpec
from training.errors import BadInput
from training.stages.trained import load_trained

RANDOM = "random"


def starting_network(spec: NetworkSpec, init: str) -> RetrievalNetwork:
    """Return the network of a specification with the weights that a run begins with.

    Args:
        spec: What it is made of.
        init: ``random``; a directory of a run or release, whose trunk must be the same, and whose
            head is taken where it has the same shape; else a source of
            ``models.weights.load_backbone_weights``.

    Raises:
        BadInput: The run's backbone is another one.
        BadNetwork: There are no such weights.
    """
    from models.weights import load_backbone_weights

    network = RetrievalNetwork(spec)
    if init == RANDOM:
        return network
    if not Path(init).is_dir():
        load_backbone_weights(network.trunk, spec.backbone, init)
        return network
    trained = load_trained(Path(init))
    if trained.spec.backbone != spec.backbone:
        raise BadInput(
            f"the network of {init} is {trained.spec.backbone}, not {spec.backbone}; "
            "give the same --backbone"
        )
    network.trunk.load_state_dict(trained.trunk.state_dict())
    if network.head is not None and trained.spec.dimension == spec.dimension:
        network.head.load_state_dict(trained.head.state_dict())  # type: ignore[union-attr]
    return network
