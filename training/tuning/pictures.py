"""Make the pictures of a plan from files of photographs. Must not know networks or types."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console

from models.pixels import prepare
from models.spec import InputSpec
from training.embedding import read
from training.folder import Photo
from training.leftout import reason, unreadable
from training.stages.chance import chance
from training.stages.pixelstore import decode
from training.tuning.areas import Area, areas_of
from training.tuning.pastes import paste
from training.tuning.plan import BACKGROUND, VIEW, Sample
from training.tuning.views import Picture, background, view

DETAIL = 2
"""Longest side of a decoded photograph, over the network's input: room for crops."""


@dataclass(frozen=True, eq=False)
class Made:
    """Pixels uint8[h, w, 3] of a sample, and where its firearms are as far as that is known."""

    pixels: NDArray[np.uint8]
    firearms: tuple[Area, ...]


def make(
    sample: Sample, place: int, photos: Sequence[Photo], spec: InputSpec, seed: int
) -> Made | None:
    """Make a sample's picture; None where it cannot be made of these photographs.

    Args:
        sample: Of a plan.
        place: In the plan; decides its chance together with ``seed``.
        photos: Of the plan.
        spec: Of one size.
        seed: Of the run.

    Raises:
        Exception: Of whatever kind Pillow raises on damaged bytes.
    """
    photo = photos[sample.photo]
    if sample.kind == VIEW and sample.number == 0:
        return Made(read(photo.path, spec), areas_of(photo.boxes))
    own = chance(seed, sample.kind, place)
    picture = _opened(photo, spec)
    if sample.kind == VIEW:
        found: Picture | None = view(picture, own, firearm=photo.firearm)
    elif sample.kind == BACKGROUND:
        found = background(picture, own)
    else:
        scene = _opened(photos[sample.scene or 0], spec)
        found = paste(picture, scene.image, own)
    return None if found is None else Made(prepare(found.image, spec), found.firearms)


def looked_at(
    photos: Sequence[Photo], spec: InputSpec, readers: int, console: Console, *, skip: bool
) -> frozenset[int]:
    """Return the places of photographs that cannot be read, and say which they are.

    Raises:
        BadInput: There are such, and they are not to be skipped.
    """

    def why(photo: Photo) -> str:
        try:
            read(photo.path, spec)
        except Exception as error:
            # Pillow raises many kinds on damaged bytes.
            return f"{photo.name}/{photo.path.name}: {reason(error, photo.path)}"
        return ""

    with ThreadPoolExecutor(readers) as pool:
        bad = {n: said for n, said in enumerate(pool.map(why, photos)) if said}
    unreadable(list(bad.values()), len(photos), console, skip=skip)
    return frozenset(bad)


def _opened(photo: Photo, spec: InputSpec) -> Picture:
    longest = DETAIL * max(spec.sizes[0])
    return Picture(Image.fromarray(decode(photo.path, longest)), areas_of(photo.boxes))
