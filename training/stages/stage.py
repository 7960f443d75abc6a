"""What a stage adds to the loop: what it learns from, what it minimises, what it is judged by."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from training.folder import Photo
from training.stages.batch import Batch

Embed = Callable[[Sequence[Photo]], NDArray[np.float32]]
"""Photographs → float32[N, D], normalised or not as the stage compares them."""


class Stage(Protocol):
    """One of the two stages, with its photographs.

    ``name`` is the stage's, ``judged_by`` the figure whose largest value is the best,
    ``normalised`` says whether its vectors have norm 1, and ``light`` whether it can be made
    without reading photographs.
    """

    name: str
    judged_by: str
    light: bool
    normalised: bool

    @property
    def photos(self) -> Sequence[Photo]:
        """What batches' places are of."""
        ...

    @property
    def scenes(self) -> Sequence[Photo]:
        """Photographs without firearms, for insets."""
        ...

    @property
    def measured(self) -> Sequence[Photo]:
        """Photographs that ``figures`` embeds."""
        ...

    @property
    def head(self) -> nn.Module:
        """What learns beside the network and is never released."""
        ...

    def begin(self, embed: Embed) -> None:
        """Make the network ready for its first step; a run that goes on does not do it again."""
        ...

    def batches(self, epoch: int) -> list[Batch]:
        """Return the batches of an epoch, from 0; as many in each."""
        ...

    def loss(self, vectors: Tensor, batch: Batch) -> Tensor:
        """Return float[] of float32[N, D], in the order of the batch's places."""
        ...

    def figures(self, embed: Embed) -> Mapping[str, float]:
        """Return how good the network is now, on photographs it does not learn from."""
        ...
