"""What a larger network says of photographs: embeddings for a smaller one to learn.

They are kept in the cache of pictures, as a run that goes on needs them again. Must not know what
is learnt from them.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from training.errors import BadInput
from training.folder import Photo
from training.stages.pixelstore import default_cache
from training.stages.settings import DistilSettings
from training.stages.space import check_space
from training.stages.start import RANDOM, starting_network
from training.workfolder import work_folder

if TYPE_CHECKING:
    from models.network import RetrievalNetwork

LITE = "efficientnet-lite"
LITE_FIGURE = (0.5, 0.5, 0.5)
"""Mean and deviation of the input with which the weights ``efficientnet-lite`` were trained."""

Rows = NDArray[np.float32]


SHRINK = 0.25
"""Power of the variance along a direction that it is divided by: 0.5 would whiten, 0 leave it.

A linear head on untouched features of SqueezeNet then learns so much of it that its mAP, every
photograph asked, is 75.9 on the mean of the validation types of splits 0, 2 and 3 (47.4 on the test
types of split 0); 73.6 (44.1) where nothing is taken off and no direction counts less."""

FLOOR = 1e-6
"""Least variance along a direction, as a share of the largest."""


def taught(
    photos: Sequence[Photo], others: Sequence[Photo], settings: DistilSettings, dimension: int
) -> tuple[Rows, Rows]:
    """Return what the teacher says of photographs, in as many dimensions as the learner has.

    Args:
        photos: That are learnt from; some are of firearms.
        others: That are not; they say nothing of how the rows of any are made.
        settings: Name the teacher, and the folder that its embeddings are kept in.
        dimension: D, of the learner.

    Returns:
        float32[N, D] of ``photos`` and float32[M, D] of ``others``, L2-normalised: the teacher's
        embeddings, on the D directions along which those of the firearms that are learnt from
        differ most; see ``projected``.

    Raises:
        BadInput: A photograph cannot be read, or there are fewer firearms than dimensions.
        ModelError: There is no such teacher.
    """
    rows = _embedded((*photos, *others), settings)
    firearms = rows[: len(photos)][[photo.firearm for photo in photos]]
    if min(firearms.shape) < dimension:
        raise BadInput(
            f"a teacher of {rows.shape[1]} dimensions and {len(firearms)} firearms cannot "
            f"teach {dimension}; give a lower --dimension"
        )
    found = projected(rows, firearms, dimension)
    return found[: len(photos)], found[len(photos) :]


def check_teacher(settings: DistilSettings) -> None:
    """Make the teacher, so that one that cannot be made is found before photographs are decoded.

    Raises:
        BadInput: There is no such network.
        ModelError: Likewise.
    """
    import torch

    # The learner's chance must not depend on it.
    with torch.random.fork_rng(devices=[]):
        _network(settings)


def projected(rows: Rows, firearms: Rows, dimension: int) -> Rows:
    """Return rows on the directions along which firearms differ most, L2-normalised anew.

    What all firearms have in common is taken off, and directions along which they differ much
    count less than they did.

    Args:
        rows: float32[N, C].
        firearms: float32[M, C], which say what is taken off and what counts how much.
        dimension: D, at most M and C.

    Returns:
        float32[N, D].
    """
    known = firearms.astype(np.float64)
    mean = known.mean(axis=0)
    variances, directions = np.linalg.eigh((known - mean).T @ (known - mean) / len(known))
    first = slice(-1, -dimension - 1, -1)
    # Below the floor is only rounding, which must not be made large.
    scale = variances[first].clip(FLOOR * max(variances[-1], FLOOR)) ** -SHRINK
    kept = (rows - mean) @ directions[:, first] * scale
    unit = kept / np.linalg.norm(kept, axis=1, keepdims=True).clip(1e-12)
    found: Rows = unit.astype(np.float32)
    return found


def _embedded(photos: Sequence[Photo], settings: DistilSettings) -> Rows:
    """Return what is kept of the teacher; it is asked only of photographs that it has not seen."""
    import torch

    cache = Path(settings.cache) if settings.cache else default_cache()
    file = cache / f"teacher-{_digest(settings)}.npz"
    known = _kept(file)
    new = list({p.digest: p for p in photos if p.digest not in known}.values())
    if new:
        check_space(cache, 0, "--cache")
        # Whether the teacher is asked at all must make no difference to the learner's chance.
        with torch.random.fork_rng(devices=[]):
            rows = _ask(_network(settings), new, settings.precision)
        known.update(zip((photo.digest for photo in new), rows, strict=True))
        _keep(file, known)
    found: Rows = np.stack([known[photo.digest] for photo in photos])
    return found


def _kept(file: Path) -> dict[str, Rows]:
    if not file.is_file():
        return {}
    with np.load(file, allow_pickle=False) as kept:
        return dict(zip(kept["digests"].tolist(), kept["rows"], strict=True))


def _keep(file: Path, known: Mapping[str, Rows]) -> None:
    with work_folder(file.parent, ".teacher-") as folder:
        beside = folder / file.name
        np.savez(beside, digests=np.array(list(known)), rows=np.stack(list(known.values())))
        beside.replace(file)


def _digest(settings: DistilSettings) -> str:
    asked = {k: v for k, v in settings.to_json().items() if k.startswith("teacher")}
    if settings.teacher_weights == RANDOM:
        asked["seed"] = settings.seed
    asked["precision"] = settings.precision
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:20]


def _network(settings: DistilSettings) -> "RetrievalNetwork":
    import torch

    from models.device import resolve_device
    from models.spec import IMAGENET_MEAN, IMAGENET_STD, InputSpec, NetworkSpec
    from training.stages.chance import number
    from training.stages.trained import load_trained

    if Path(settings.teacher_weights).is_dir():
        network = load_trained(Path(settings.teacher_weights))
    else:
        lite = settings.teacher_weights == LITE
        figures = (LITE_FIGURE, LITE_FIGURE) if lite else (IMAGENET_MEAN, IMAGENET_STD)
        size = settings.teacher_size
        given = InputSpec(((size, size),), *figures)
        spec = NetworkSpec(settings.teacher, settings.teacher_pooling, 3.0, None, given)
        torch.manual_seed(number(settings.seed, "teacher"))
        network = starting_network(spec, settings.teacher_weights)
    return network.eval().to(resolve_device(settings.device))


def _ask(network: "RetrievalNetwork", photos: Sequence[Photo], precision: str) -> Rows:
    from training.embedding import embed
    from training.stages.vectors import autocast

    with autocast(network.device, precision):
        found = embed(network, [photo.path for photo in photos], network.spec.input)
    for place, why in found.unreadable.items():
        raise BadInput(
            f"{photos[place].name}/{photos[place].path.name} cannot be read: {why}; mend or "
            "remove it"
        )
    return found.rows.astype(np.float32)
