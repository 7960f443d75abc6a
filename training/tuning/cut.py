"""Cut a trunk in two: parts that stay as they are, and parts that learn. Knows no images or files.

Parts are those that ``training.stages.optimiser.parts`` lists, so that a cut of n leaves as much
as it is as ``--freeze n`` does elsewhere.
"""

import hashlib
from dataclasses import dataclass

import torch
from torch import nn

from training.errors import BadInput
from training.stages.optimiser import parts

PROBED = 2
"""Random images by which the two halves are compared with the whole."""


@dataclass(frozen=True, eq=False)
class Halves:
    """The two halves of a trunk, whose weights are the trunk's own.

    ``lower`` maps float[N, 3, H, W] to float[N, c, h, w], which ``upper`` takes on.
    """

    lower: nn.Sequential
    upper: nn.Sequential


def halves(trunk: nn.Module, cut: int, size: tuple[int, int]) -> Halves:
    """Cut a trunk above its ``cut`` lowest parts.

    Args:
        trunk: In evaluation mode.
        cut: At least 1.
        size: (height, width) of images in pixels by which the cut is tried.

    Raises:
        BadInput: There are not as many parts, or the trunk is more than its parts in a row.
    """
    found = parts(trunk)
    if cut > len(found):
        raise BadInput(f"--cut {cut} is more than the trunk's {len(found)} parts; give a lower one")
    result = Halves(nn.Sequential(*found[:cut]), nn.Sequential(*found[cut:]))
    images = torch.randn(PROBED, 3, *size, generator=torch.Generator().manual_seed(0))
    try:
        with torch.inference_mode():
            whole, again = trunk(images), result.upper(result.lower(images))
        same = whole.shape == again.shape and torch.allclose(whole, again, rtol=1e-3, atol=1e-4)
    except (RuntimeError, TypeError, ValueError):
        same = False
    if not same:
        raise BadInput(
            "the trunk is more than its parts one after another and cannot be cut; "
            "use a backbone such as mobilenet_v2 or timm/tf_efficientnet_lite2"
        )
    return result


def weights_digest(lower: nn.Module) -> str:
    """Return the hex SHA-256 of all weights and statistics of a module."""
    digest = hashlib.sha256()
    for name, tensor in sorted(lower.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
