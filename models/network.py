"""The retrieval network: a trunk, a pooling, an optional linear head, and embeddings of norm 1.

Knows nothing of files, indexes or where pixels come from.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from models.backbones import trunk
from models.errors import BadNetwork, BadRelease
from models.head import Head
from models.regions import Window, boxes, windows
from models.spec import NetworkSpec

GEM_FLOOR = 1e-6
"""Least activation that GeM takes: its power has no derivative at 0."""


class Pooling(nn.Module):
    """From a feature map float[N, C, h, w] to float[N, C].

    ``mac`` takes the maximum, ``spoc`` the mean, ``gem`` the generalised mean.

    Source: Tolias 2016 (MAC), Babenko and Lempitsky 2015 (SPoC), Radenović 2018 (GeM).
    """

    def __init__(self, kind: str, power: float) -> None:
        super().__init__()
        self._kind = kind
        self._power = power

    def forward(self, features: Tensor) -> Tensor:
        """Pool over the map."""
        if self._kind == "mac":
            return features.amax(dim=(2, 3))
        if self._kind == "spoc":
            return features.mean(dim=(2, 3))
        return self._powered(features).mean(dim=(2, 3)).pow(1 / self._power)

    def windows(self, features: Tensor, windows: Sequence[Window]) -> Tensor:
        """Pool over parts of the map, as ``forward`` would over each of them cut out.

        Args:
            features: float[N, C, h, w].
            windows: R parts of the map, each of one cell at least.

        Returns:
            float[N, R, C].
        """
        if not windows:
            return features.new_zeros((len(features), 0, features.shape[1]))
        # What is done to single cells is done once, not for every window that a cell is in.
        cells = self._powered(features) if self._kind == "gem" else features
        parts = (cells[:, :, w.top : w.bottom, w.left : w.right] for w in windows)
        if self._kind == "mac":
            return torch.stack([part.amax(dim=(2, 3)) for part in parts], dim=1)
        means = torch.stack([part.mean(dim=(2, 3)) for part in parts], dim=1)
        return means.pow(1 / self._power) if self._kind == "gem" else means

    def _powered(self, features: Tensor) -> Tensor:
        return features.clamp(min=GEM_FLOOR).pow(self._power)


class RetrievalNetwork(nn.Module):
    """Maps images to embeddings whose cosine says how alike two images are.

    It begins in training mode with random weights. ``trunk``, ``pooling`` and ``head`` (``None``
    without one; with a bias, so that a centred projection fits in) are its parts. That head is a
    projection; the classifier that a release may have is given by ``classify``.

    Args:
        spec: What it is made of.

    Raises:
        BadNetwork: The backbone is not known or cannot be cut.
    """

    _weight: Tensor | None
    _bias: Tensor | None

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__()
        self.spec = spec
        self.trunk, self.channels = trunk(spec.backbone)
        self.pooling = Pooling(spec.pooling, spec.gem_power)
        self.head = None if spec.dimension is None else nn.Linear(self.channels, spec.dimension)
        self.dimension = self.channels if spec.dimension is None else spec.dimension
        self._map_sizes: dict[tuple[int, int], tuple[int, int]] = {}
        # Pixels come as 0..255, so the input's figures are brought to that scale; they are the
        # specification's, not weights.
        mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (spec.input.mean, spec.input.std))
        self.register_buffer("_scale", 1 / (255 * std), persistent=False)
        self.register_buffer("_shift", -mean / std, persistent=False)
        # The classifier's, which is no part of the network: by its digest, embeddings compare.
        self.register_buffer("_weight", None, persistent=False)
        self.register_buffer("_bias", None, persistent=False)

    def classify(self, classifier: Head) -> None:
        """Give logits by this classifier as well, see ``describe_rows``.

        Raises:
            BadRelease: It reads features of another number of channels than the trunk gives.
        """
        if classifier.channels != self.channels:
            raise BadRelease(
                f"the head reads {classifier.channels} channels but the trunk gives "
                f"{self.channels}; they are of different releases"
            )
        self._weight = torch.from_numpy(classifier.weight).to(self.device)
        self._bias = torch.from_numpy(classifier.bias).to(self.device)

    @property
    def classes(self) -> int:
        """How many logits ``describe_rows`` gives; 0 without a classifier."""
        return 0 if self._weight is None else len(self._weight)

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(self.parameters()).device

    def forward(self, images: Tensor) -> Tensor:
        """Embed images.

        Args:
            images: float32[N, 3, H, W], normalised by the specification's mean and std.

        Returns:
            float32[N, D], L2-normalised; all zero where every feature is.
        """
        return self._projected(self._pooled(images, regions=False))

    def describe(self, images: Tensor) -> Tensor:
        """Embed images and their regions, from one pass through the trunk.

        Args:
            images: float32[N, 3, H, W], normalised by the specification's mean and std.

        Returns:
            float32[N, 1 + R, D], L2-normalised: the whole image as ``forward`` embeds it, then
            its regions in the order of ``models.regions.windows``.
        """
        return self._projected(self._pooled(images, regions=True))

    def rows(self, images: Tensor, *, regions: bool) -> Tensor:
        """Embed images and give their logits, from one pass; see ``describe_rows``."""
        pooled = self._pooled(images, regions=regions)
        rows = self._projected(pooled)
        if self._weight is not None:
            features = functional.normalize(pooled, dim=-1)
            rows = torch.cat([rows, functional.linear(features, self._weight, self._bias)], dim=-1)
        return rows if regions else rows.unsqueeze(1)

    def _pooled(self, images: Tensor, *, regions: bool) -> Tensor:
        """Return float[N, F] of the images, or float[N, 1 + R, F] with their regions."""
        features = self.trunk(images)
        whole: Tensor = self.pooling(features)
        if not regions:
            return whole
        rows, columns = features.shape[2:]
        cells = windows(rows, columns, self.spec.regions)
        return torch.cat([whole.unsqueeze(1), self.pooling.windows(features, cells)], dim=1)

    def _projected(self, pooled: Tensor) -> Tensor:
        projected = pooled if self.head is None else self.head(pooled)
        return functional.normalize(projected, dim=-1)

    def map_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the (rows, columns) of the feature map of images of a size, found by trying.

        Args:
            height: Of the images in pixels.
            width: Of the images in pixels.
        """
        if (height, width) not in self._map_sizes:
            # In training mode the blank image would change the statistics of batch norms.
            modes = {module: module.training for module in self.trunk.modules()}
            self.trunk.eval()
            try:
                with torch.inference_mode():
                    blank = torch.zeros(1, 3, height, width, device=self.device)
                    rows, columns = self.trunk(blank).shape[2:]
            finally:
                for module, training in modes.items():
                    module.training = training
            self._map_sizes[height, width] = rows, columns
        return self._map_sizes[height, width]

    def boxes(self, height: int, width: int) -> NDArray[np.float64]:
        """Return which parts of images of a size the regions show, see ``models.regions.boxes``."""
        return boxes(*self.map_size(height, width), self.spec.regions)

    def region_count(self, height: int, width: int) -> int:
        """Return how many regions images of a size have: R of ``describe``."""
        return len(self.boxes(height, width))

    def normalise(self, pixels: Tensor) -> Tensor:
        """Return uint8[N, H, W, 3] as float32[N, 3, H, W] normalised, channels last in memory."""
        images = pixels.to(self.device).permute(0, 3, 1, 2).float()
        return torch.addcmul(cast(Tensor, self._shift), images, cast(Tensor, self._scale))

    def embed(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed images as they come from ``models.pixels.prepare``; safe from several threads.

        An image's embedding does not depend on the others beyond rounding (1e-5).

        Args:
            pixels: uint8[N, H, W, 3], RGB.

        Returns:
            float32[N, D], contiguous, L2-normalised.

        Raises:
            ValueError: The pixels are of another kind, or the network is in training mode, in
                which batches would change its statistics.
            BadNetwork: An embedding is not finite: the weights are not sound.
        """
        self._check(pixels)
        if not len(pixels):
            return np.zeros((0, self.dimension), np.float32)
        return self._run(self, pixels)

    def describe_pixels(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed images and their regions as ``embed`` embeds images.

        Args:
            pixels: uint8[N, H, W, 3], RGB.

        Returns:
            float32[N, 1 + R, D], contiguous, L2-normalised; see ``describe``.

        Raises:
            ValueError, BadNetwork: See ``embed``.
        """
        self._check(pixels)
        if not len(pixels):
            rows = 1 + self.region_count(*pixels.shape[1:3])
            return np.zeros((0, rows, self.dimension), np.float32)
        return self._run(self.describe, pixels)

    def describe_rows(
        self, pixels: NDArray[np.uint8], *, regions: bool = True
    ) -> NDArray[np.float32]:
        """Embed images, and their regions, with the logits of the classifier beside.

        Args:
            pixels: uint8[N, H, W, 3], RGB.
            regions: Describe their regions as well.

        Returns:
            float32[N, 1 + R, D + C], contiguous: what ``describe_pixels`` gives, or what ``embed``
            does where R is 0, then C logits.

        Raises:
            ValueError, BadNetwork: See ``embed``.
        """
        self._check(pixels)
        if not len(pixels):
            count = 1 + (self.region_count(*pixels.shape[1:3]) if regions else 0)
            return np.zeros((0, count, self.dimension + self.classes), np.float32)
        return self._run(partial(self.rows, regions=regions), pixels)

    def _check(self, pixels: NDArray[np.uint8]) -> None:
        if self.training:
            raise ValueError("the network is in training mode; call eval() before embed()")
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[3] != 3:
            raise ValueError(f"pixels must be uint8[N, H, W, 3], not {pixels.dtype}{pixels.shape}")

    def _run(
        self, embed: Callable[[Tensor], Tensor], pixels: NDArray[np.uint8]
    ) -> NDArray[np.float32]:
        # PyTorch warns of arrays that are read-only, which are copied here.
        given = torch.from_numpy(np.require(pixels, requirements=["C", "W"]))
        with torch.inference_mode():
            embeddings = embed(self.normalise(given))
            rows: NDArray[np.float32] = embeddings.float().contiguous().cpu().numpy()
        if not np.isfinite(rows).all():
            raise BadNetwork(
                "the network gives embeddings that are not finite; use another release"
            )
        return rows


def round_weights(network: RetrievalNetwork) -> None:
    """Round matrices and filters to float16's precision, in place, as a release may store them."""
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim >= 2:
                parameter.copy_(parameter.half().to(parameter.dtype))


def released_tensors(network: RetrievalNetwork, *, half: bool) -> dict[str, Tensor]:
    """Return the tensors of a network as a release stores them, on the CPU, contiguous.

    Args:
        network: On any device.
        half: Matrices and filters in float16, see ``round_weights``; else all in float32.

    Raises:
        BadNetwork: A tensor is not finite, or does not fit into float16.
    """
    tensors = {}
    for name, tensor in network.state_dict().items():
        plain = tensor.detach().cpu()
        if plain.is_floating_point():
            plain = plain.to(torch.float16 if half and plain.ndim >= 2 else torch.float32)
            if not bool(torch.isfinite(plain).all()):
                raise BadNetwork(f"the network's {name} is not finite; train it anew")
        tensors[name] = plain.contiguous()
    return tensors
