"""Make the pictures of a plan from files of photographs. Must not know networks or types."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.pixels import prepare
from models.spec import InputSpec
from training.embedding import read
from training.errors import BadInput
from training.folder import Photo
from training.stages.chance import chance
from training.stages.pixelstore import decode
from training.tuning.areas import Area, areas_of
from training.tuning.pastes import paste
from training.tuning.plan import BACKGROUND, VIEW, Sample
from training.tuning.views import Picture, background, view

DETAIL = 2
"""Longest side of a decoded photograph, over the network's input: room for crops."""

NAMED = 5
"""Unreadable photographs that an error names."""


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


def unreadable(photos: Sequence[Photo], spec: InputSpec, readers: int) -> dict[int, str]:
    """Return the places of photographs that cannot be read, and why."""

    def reason(photo: Photo) -> str:
        try:
            read(photo.path, spec)
        except Exception as error:
            # Pillow raises many kinds on damaged bytes.
            return " ".join(str(error).split()).replace(repr(str(photo.path)), "file")
        return ""

    with ThreadPoolExecutor(readers) as pool:
        return {n: why for n, why in enumerate(pool.map(reason, photos)) if why}


def refuse_unreadable(photos: Sequence[Photo], why: dict[int, str]) -> None:
    """Refuse photographs that cannot be read.

    Raises:
        BadInput: There are such.
    """
    if not why:
        return
    lines = [f"{photos[n].name}/{photos[n].path.name}: {reason}" for n, reason in why.items()]
    more = f" and {len(lines) - NAMED} more" if len(lines) > NAMED else ""
    raise BadInput(
        f"{len(lines)} photographs cannot be read: {'; '.join(lines[:NAMED])}{more}; "
        "mend or remove them, or give --skip-unreadable"
    )


def _opened(photo: Photo, spec: InputSpec) -> Picture:
    longest = DETAIL * max(spec.sizes[0])
    return Picture(Image.fromarray(decode(photo.path, longest)), areas_of(photo.boxes))
