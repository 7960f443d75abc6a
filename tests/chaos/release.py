"""A release whose network costs next to nothing, and small pictures that it knows or does not.

The network is untrained: the same picture still gives the same embedding, so the pictures that
are its prototypes match and others do not.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from PIL import Image

from moderator.compose import NamedImage, PostRecord, build_record

SIDE = 32
KNOWN = 8
UNKNOWN = 40
BROKEN = 2


@dataclass(frozen=True)
class Pictures:
    """Pictures as PNG files: prototypes, others, and bytes that are no picture."""

    known: Sequence[bytes]
    unknown: Sequence[bytes]
    broken: Sequence[bytes]

    def records(self) -> list[PostRecord]:
        """Return a post of each."""
        return [
            build_record(
                [NamedImage("0", data, "image/png")], post_id="of the poster", form="binary"
            )
            for data in (*self.known, *self.unknown, *self.broken)
        ]


def pictures(seed: int = 0) -> Pictures:
    """Return pictures of coarse noise, all of them different."""
    chance = np.random.default_rng(seed)
    coarse = chance.integers(0, 256, (KNOWN + UNKNOWN, 4, 4, 3), np.uint8)
    made = [_png(each.repeat(SIDE // 4, 0).repeat(SIDE // 4, 1)) for each in coarse]
    broken = [b"no picture %d" % n for n in range(BROKEN)]
    return Pictures(made[:KNOWN], made[KNOWN:], broken)


def cheap_release(folder: Path, shown: Pictures) -> Path:
    """Write the release into a folder that does not exist, and return where it is."""
    import torch

    from models.network import RetrievalNetwork
    from models.policy import Policy
    from models.prototypes import Prototypes
    from models.release import write_release
    from models.spec import InputSpec, NetworkSpec
    from models.types import Types

    with torch.random.fork_rng():
        torch.manual_seed(0)
        spec = NetworkSpec("squeezenet1_1", "spoc", 3.0, None, InputSpec(((SIDE, SIDE),)))
        network = RetrievalNetwork(spec).eval()
    rows = _embeddings(network, shown.known)
    nearest = float((_embeddings(network, shown.unknown) @ rows.T).max())
    written = write_release(
        folder,
        network=network,
        prototypes=Prototypes(
            rows,
            tuple(f"noise/{n}" for n in range(KNOWN)),
            tuple(f"type{n % 2}" for n in range(KNOWN)),
            ("firearm",) * KNOWN,
        ),
        types=Types({f"type{n}": ("pistol", f"Type {n}") for n in range(2)}),
        policy=Policy((1 + nearest) / 2, {}),
        report={"notes": ["an untrained network, for tests"]},
        created=datetime(2024, 1, 1, tzinfo=UTC).isoformat(),
        git_commit=None,
        dataset_digest=None,
    )
    return Path(written.path)


def _png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def _embeddings(network, files: Sequence[bytes]) -> np.ndarray:
    """Return float32[N, D] of files, decoded as posts are."""
    from models.pixels import prepare

    spec = network.spec.input
    images = [Image.open(io.BytesIO(data)).convert("RGB") for data in files]
    return network.embed(np.stack([prepare(image, spec) for image in images]))
