"""EfficientNet-Lite trunks, under timm's names for its networks and their parts.

timm has them too, but importing it takes seconds and some 180 MB in every process that serves.
Weights fit tensor by tensor, and embeddings are equal. Must not know weights, pooling or releases.

Source: Tan and Le, EfficientNet, ICML 2019; Google's EfficientNet-Lite, 2020 (no squeeze and
excitation, ReLU6, first and last stage of one width and depth whatever the scale).
"""

import math
from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional

SCALES = {
    "timm/tf_efficientnet_lite0": (1.0, 1.0),
    "timm/tf_efficientnet_lite1": (1.0, 1.1),
    "timm/tf_efficientnet_lite2": (1.1, 1.2),
    "timm/tf_efficientnet_lite3": (1.2, 1.4),
    "timm/tf_efficientnet_lite4": (1.4, 1.8),
}
"""Name → by what channels and blocks of a stage are multiplied."""

STAGES = (
    # repeats, side of the filter, stride, expansion, channels
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, FEATURES = 32, 1280
EPSILON = 1e-3
"""Of batch norms, as in the published weights."""


class SameConv(nn.Conv2d):
    """A convolution whose output is its input's size over the stride, rounded up.

    Where padding is odd, the right and lower sides have more, as in TensorFlow.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch's name
        """Pad, then convolve."""
        pads: list[int] = []
        for size, side, stride in zip(
            reversed(input.shape[-2:]), reversed(self.kernel_size), reversed(self.stride),
            strict=True,
        ):  # fmt: skip
            total = max((math.ceil(size / stride) - 1) * stride + side - size, 0)
            pads += [total // 2, total - total // 2]
        padded = functional.pad(input, pads) if any(pads) else input
        return functional.conv2d(
            padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups
        )


class NormAct(nn.BatchNorm2d):
    """A batch norm and what follows it."""

    def __init__(self, channels: int, *, act: bool = True) -> None:
        super().__init__(channels, eps=EPSILON)
        self.act = nn.ReLU6(inplace=True) if act else nn.Identity()

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002 - torch's name
        """Normalise, then activate."""
        activated: torch.Tensor = self.act(super().forward(input))
        return activated


class Block(nn.Module):
    """An inverted residual: expand, filter each channel, project; of the first stage: no expansion.

    Args:
        given: Channels that come in.
        channels: That go out.
        side: Of the filter.
        stride: Likewise.
        expansion: By which channels are multiplied in between; 1: not at all.
    """

    def __init__(
        self, given: int, channels: int, side: int, stride: int, *, expansion: int
    ) -> None:
        super().__init__()
        wide = given * expansion
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        if expansion > 1:
            parts["conv_pw"] = _conv(given, wide, 1)
            parts["bn1"] = NormAct(wide)
        parts["conv_dw"] = _conv(wide, wide, side, stride, groups=wide)
        parts["bn2" if expansion > 1 else "bn1"] = NormAct(wide)
        parts["conv_pwl" if expansion > 1 else "conv_pw"] = _conv(wide, channels, 1)
        parts["bn3" if expansion > 1 else "bn2"] = NormAct(channels, act=False)
        for name, part in parts.items():
            self.add_module(name, part)
        self._skips = stride == 1 and given == channels

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Apply the parts in order, and add the input where it has the output's shape."""
        found = features
        for part in self.children():
            found = part(found)
        return found + features if self._skips else found


def lite_trunk(name: str) -> nn.Sequential:
    """Return a trunk with random weights, from float32[N, 3, H, W] to float32[N, 1280, h, w].

    Args:
        name: One of ``SCALES``.
    """
    width, depth = SCALES[name]
    stages: list[nn.Module] = []
    given = STEM
    for place, (repeats, side, stride, expansion, channels) in enumerate(STAGES):
        ends = place in {0, len(STAGES) - 1}
        count = repeats if ends else math.ceil(repeats * depth)
        out = _rounded(channels * width)
        blocks = []
        for block in range(count):
            step = stride if block == 0 else 1
            blocks.append(Block(given, out, side, step, expansion=expansion))
            given = out
        stages.append(nn.Sequential(*blocks))
    parts: OrderedDict[str, nn.Module] = OrderedDict(
        conv_stem=_conv(3, STEM, 3, 2),
        bn1=NormAct(STEM),
        blocks=nn.Sequential(*stages),
        conv_head=_conv(given, FEATURES, 1),
        bn2=NormAct(FEATURES),
    )
    return nn.Sequential(parts)


def _conv(given: int, channels: int, side: int, stride: int = 1, *, groups: int = 1) -> nn.Conv2d:
    if stride == 1:
        # The padding is even: torch's own is quicker.
        return nn.Conv2d(given, channels, side, padding=side // 2, groups=groups, bias=False)
    return SameConv(given, channels, side, stride, groups=groups, bias=False)


def _rounded(channels: float, multiple: int = 8) -> int:
    """Return the nearest multiple, but no less than nine tenths of what was asked."""
    nearest = max(multiple, int(channels + multiple / 2) // multiple * multiple)
    return nearest + multiple if nearest < 0.9 * channels else nearest
