"""Prototypes of drawings, the demo's overlay on the release. Knows nothing of decisions."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.pixels import prepare
from models.release import Release
from models.spec import InputSpec
from moderator.demo.drawings import draw, names
from moderator.demo.posts import DRAWN_TYPES, readable
from moderator.overlay import encode_prototype

PER_FIREARM = 30
"""Indexed drawings of each firearm: as many as the starter's policy looks at, of which each has a
part in how surely a drawing is one."""

PER_LOOKALIKE = 8
"""Indexed drawings of each look-alike."""

BATCH = 16
"""Drawings of one forward pass."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A drawing that is to be indexed."""

    name: str
    seed: int
    kind: Literal["firearm", "lookalike"]

    @property
    def prototype_id(self) -> str:
        """Its id among the prototypes."""
        return f"demo/{self.name}/{self.seed}"


def indexed() -> list[Drawn]:
    """Return the drawings that are indexed."""
    firearms = [Drawn(name, n, "firearm") for name in names("firearm") for n in range(PER_FIREARM)]
    others = [
        Drawn(name, n, "lookalike") for name in names("lookalike") for n in range(PER_LOOKALIKE)
    ]
    return firearms + others


def prototype_records(release: Release) -> Iterator[tuple[bytes, bytes]]:
    """Embed the indexed drawings with a release's network.

    Yields:
        Key and value of a record of the prototypes topic, for each.
    """
    network = release.load_network("cpu")
    drawings = indexed()
    for begin in range(0, len(drawings), BATCH):
        part = drawings[begin : begin + BATCH]
        embeddings: NDArray[np.float32] = network.embed(_pixels(part, release.spec.input))
        for drawing, embedding in zip(part, embeddings, strict=True):
            yield encode_prototype(
                drawing.prototype_id,
                release.network_digest,
                f"{DRAWN_TYPES}{drawing.name}",
                drawing.kind,
                embedding,
                family="drawing",
                display_name=readable(drawing.name),
            )


def _pixels(drawings: list[Drawn], spec: InputSpec) -> NDArray[np.uint8]:
    """Return drawings as the network takes them; all are square, so they share one size."""
    pictures = (draw(drawing.name, drawing.seed, "indexed") for drawing in drawings)
    return np.stack([prepare(picture, spec) for picture in pictures])
