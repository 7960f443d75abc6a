"""Which pictures are made of which photographs, in a fixed order. Must not know pixels or networks.

A plan is of all photographs, so that its maps serve whatever is held out; ``learners`` then tells
which of its samples a run may learn from.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.errors import BadInput
from training.folder import Photo
from training.stages.chance import chance
from training.tuning.settings import TuneSettings

VIEW, BACKGROUND, PASTE = "view", "background", "paste"


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture to make.

    Args:
        kind: ``view`` (number 0: the photograph as it is served), ``background`` (a part of a
            photograph beside its firearms) or ``paste`` (a firearm in a harmless photograph).
        photo: Place of the photograph; of a paste, of the firearm's.
        number: Tells samples of one kind and photograph apart.
        scene: Of a paste: place of the harmless photograph.
    """

    kind: str
    photo: int
    number: int
    scene: int | None = None

    @property
    def photos(self) -> tuple[int, ...]:
        """Places of all photographs that are seen in it."""
        return (self.photo,) if self.scene is None else (self.photo, self.scene)


def make_plan(photos: Sequence[Photo], settings: TuneSettings) -> tuple[Sample, ...]:
    """Return the samples: all views 0, all views 1 …, backgrounds, then pastes.

    Pastes are tries: a firearm that cannot be cut out gives none.

    Args:
        photos: Of firearms and without.
        settings: How many there are to be of each kind.
    """
    firearms = [n for n, photo in enumerate(photos) if photo.firearm]
    scenes = [n for n, photo in enumerate(photos) if not photo.firearm]
    boxed = [n for n in firearms if photos[n].boxes]
    plan = [Sample(VIEW, n, view) for view in range(settings.views) for n in range(len(photos))]
    plan += [Sample(BACKGROUND, n, k) for k in range(settings.backgrounds) for n in boxed]
    if firearms and scenes:
        draws = chance(settings.seed, "pastes")
        pairs = zip(
            draws.integers(len(firearms), size=settings.pastes).tolist(),
            draws.integers(len(scenes), size=settings.pastes).tolist(),
            strict=True,
        )
        plan += [Sample(PASTE, firearms[a], k, scenes[b]) for k, (a, b) in enumerate(pairs)]
    return tuple(plan)


def plan_digest(photos: Sequence[Photo], plan: Sequence[Sample], seed: int) -> str:
    """Return the hex SHA-256 of all that the pictures of a plan depend on, beside code and size."""
    digest = hashlib.sha256(f"{seed}\n".encode())
    for line in _lines(photos, plan):
        digest.update(line.encode())
    return digest.hexdigest()


def held_out(photos: Sequence[Photo], settings: TuneSettings) -> NDArray[np.bool_]:
    """Return which photographs a run may not see: of sources held out, and near copies of those.

    Args:
        photos: All that were given.
        settings: ``hold_out`` names sources; ``hold_out_harmless`` those whose harmless
            photographs alone are held out.

    Returns:
        bool[N].

    Raises:
        BadInput: No photograph is of a source that is named.
    """
    _check_sources(photos, settings)
    out = np.array(
        [
            photo.source in settings.hold_out
            or (not photo.firearm and photo.source in settings.hold_out_harmless)
            for photo in photos
        ],
        bool,
    )
    groups = {photo.group for photo, left in zip(photos, out, strict=True) if left}
    copies = np.array([photo.group in groups for photo in photos], bool)
    left: NDArray[np.bool_] = out | copies
    return left


def learners(plan: Sequence[Sample], out: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which samples show nothing of what is held out.

    Args:
        plan: Of the same photographs as ``out``.
        out: bool[N], see ``held_out``.

    Returns:
        bool[S].
    """
    return np.array([not any(out[n] for n in sample.photos) for sample in plan], bool)


def _lines(photos: Sequence[Photo], plan: Sequence[Sample]) -> Iterator[str]:
    for photo in photos:
        boxes = ";".join(f"{b.x} {b.y} {b.width} {b.height}" for b in photo.boxes)
        yield f"{photo.digest} {photo.firearm:d} {boxes}\n"
    for sample in plan:
        yield f"{sample.kind} {sample.photo} {sample.number} {sample.scene}\n"


def _check_sources(photos: Sequence[Photo], settings: TuneSettings) -> None:
    known = {photo.source for photo in photos}
    harmless = {photo.source for photo in photos if not photo.firearm}
    for option, names, there in (
        ("--hold-out", settings.hold_out, known),
        ("--hold-out-harmless", settings.hold_out_harmless, harmless),
    ):
        for name in names:
            if name not in there:
                raise BadInput(
                    f"{option} {name} is no source of the photographs; give a value of the "
                    "column source_repo of --groups"
                )
