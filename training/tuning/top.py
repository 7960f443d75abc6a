"""What learns: the upper part of a trunk, pooling over windows, the head, and a classifier.

It shares the weights of the network that it is made of, so that this network is the result. Must
not know files, samples or losses.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.network import GEM_FLOOR, RetrievalNetwork
from models.regions import Window
from training.tuning.depthwise import widen_depthwise


class Top(nn.Module):
    """From maps of the frozen part to embeddings and what a classifier makes of them.

    Batch norms keep their statistics: ``train()`` concerns the dropout alone. Depthwise filters of
    the trunk's part compute in float32 on a CPU from then on, see ``training.tuning.depthwise``.

    Args:
        network: In evaluation mode, with a head; its trunk above the cut and its head learn.
        upper: The trunk above the cut.
        windows: Of the trunk's map, each of one cell at least, the whole map first.
        cells: Rows and columns of the trunk's map.
        classes: Of the classifier.
        scale: By which cosines are multiplied.
        dropout: Share of pooled features that the head does not see.
    """

    def __init__(
        self,
        network: RetrievalNetwork,
        upper: nn.Module,
        windows: Sequence[Window],
        cells: tuple[int, int],
        *,
        classes: int,
        scale: float,
        dropout: float,
    ) -> None:
        super().__init__()
        if network.head is None:
            raise ValueError("the network needs a head")
        self.upper = upper
        widen_depthwise(upper)
        self.head = network.head
        self.classes = nn.Parameter(torch.randn(classes, network.dimension))
        self.bias = nn.Parameter(torch.zeros(classes))
        self._dropout = nn.Dropout(dropout)
        self._scale = scale
        self._spec = network.spec
        self._windows = tuple(windows)
        self._pooling = network.pooling
        self.register_buffer("_means", _means(windows, cells), persistent=False)

    def train(self, mode: bool = True) -> "Top":
        """Bring the dropout into training mode; all else stays in evaluation mode."""
        super().train(False)
        self._dropout.train(mode)
        return self

    def forward(self, maps: Tensor) -> Tensor:
        """Embed windows.

        Args:
            maps: float[N, h, w, c] of the frozen part.

        Returns:
            float32[N, R, D], L2-normalised; R windows, the whole picture first.
        """
        # The memory's order is channels last already.
        features = self.upper(maps.permute(0, 3, 1, 2))
        pooled = self._pooled(features)
        return functional.normalize(self.head(self._dropout(pooled)).float(), dim=-1)

    def log_probabilities(self, embeddings: Tensor) -> Tensor:
        """Return float32[..., K] of float32[..., D]."""
        with torch.autocast(embeddings.device.type, enabled=False):
            cosines = embeddings @ functional.normalize(self.classes, dim=-1).T
            return (self._scale * cosines + self.bias).log_softmax(-1)

    def _pooled(self, features: Tensor) -> Tensor:
        """Return float[N, R, C] as the network's pooling would give it.

        Windows' means are one matrix product: a slice for each window would cost a pass over all
        cells for each in the backward pass.
        """
        if self._spec.pooling == "mac":
            return self._pooling.windows(features, self._windows)
        cells = features.permute(0, 2, 3, 1).flatten(1, 2)
        power = self._spec.gem_power if self._spec.pooling == "gem" else 1.0
        if self._spec.pooling == "gem":
            cells = cells.clamp(min=GEM_FLOOR).pow(power)
        means = torch.matmul(self.get_buffer("_means").to(cells.dtype), cells)
        return means.float().pow(1 / power) if power != 1 else means.float()


def _means(windows: Sequence[Window], cells: tuple[int, int]) -> Tensor:
    """Return float32[R, rows·columns], by which cells are multiplied to give windows' means."""
    masks = torch.zeros(len(windows), *cells)
    for mask, window in zip(masks, windows, strict=True):
        mask[window.top : window.bottom, window.left : window.right] = 1
    flat = masks.flatten(1)
    return flat / flat.sum(1, keepdim=True)
