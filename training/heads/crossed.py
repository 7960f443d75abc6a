"""Heads of folds, and what each says of the photographs that it did not learn from. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.head import Head, HeadClass
from training.folder import Photo
from training.heads.fit import fit, weights
from training.heads.folds import Fold

ABSENT = -100.0
"""Bias of a class of which a fold has no photograph: nothing is ever called so."""

BLOCK = 256
"""Photographs that are judged at once."""

Half = NDArray[np.float16]
Rows = NDArray[np.float32]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Lesson:
    """Photographs that heads learn from and are tested on.

    Args:
        photos: N of them, with their sources.
        pooled: Of each float16[1 + R, F], not normalised, the whole picture first.
        classes: Of heads: types of firearms, then kinds of harmless things.
        labels: int64[N], the class of each.
        whole: float32[N, F], of whole pictures, of norm 1.
    """

    photos: tuple[Photo, ...]
    pooled: tuple[Half, ...]
    classes: tuple[HeadClass, ...]
    labels: NDArray[np.int64]
    whole: Rows

    @classmethod
    def of(cls, photos: Sequence[Photo], pooled: Sequence[Half]) -> "Lesson":
        """Name the classes of photographs, in alphabetical order."""
        firearms = sorted({photo.name for photo in photos if photo.firearm})
        kinds = sorted({photo.name for photo in photos if not photo.firearm})
        classes = (
            *(HeadClass(name, "firearm") for name in firearms),
            *(HeadClass(name, "lookalike") for name in kinds),
        )
        places = {(each.name, each.kind == "firearm"): n for n, each in enumerate(classes)}
        labels = np.array([places[photo.name, photo.firearm] for photo in photos], np.int64)
        rows = np.stack([its[0] for its in pooled]).astype(np.float32)
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        return cls(tuple(photos), tuple(pooled), classes, labels, rows)

    def learn(self, where: NDArray[np.bool_], strength: float, evenness: float) -> Head:
        """Fit a head to some of the photographs; see ``training.heads.fit``."""
        present, labels = np.unique(self.labels[where], return_inverse=True)
        sources = [self.photos[place].source for place in np.flatnonzero(where).tolist()]
        matrix, bias = fit(self.whole[where], labels, weights(labels, sources, evenness), strength)
        every = np.zeros((len(self.classes), matrix.shape[1]), np.float32)
        shift = np.full(len(self.classes), ABSENT, np.float32)
        every[present], shift[present] = matrix, bias
        return Head(every, shift, self.classes)

    def judge(self, head: Head, places: Sequence[int]) -> list[Rows]:
        """Return of photographs float32[1 + R, C], the logits of each and its regions."""
        found: list[Rows] = []
        for begin in range(0, len(places), BLOCK):
            part = [self.pooled[place] for place in places[begin : begin + BLOCK]]
            logits = head.logits(np.concatenate(part).astype(np.float32))
            found += np.split(logits, np.cumsum([len(rows) for rows in part])[:-1])
        return found


def crossed(
    lesson: Lesson,
    folds: Iterable[Fold],
    strength: float,
    evenness: float,
    done: Callable[[int], None] = lambda _: None,
) -> dict[int, Rows]:
    """Return what heads say of photographs that they did not learn from.

    Args:
        lesson: All photographs.
        folds: Of a large source only firearms are judged, as the parts judge all that is harmless.
        strength: See ``training.heads.fit.fit``.
        evenness: See ``training.heads.fit.weights``.
        done: Told 1 after each fold.

    Returns:
        Place of a photograph → float32[1 + R, C], its logits and those of its regions.
    """
    found: dict[int, Rows] = {}
    firearm = np.array([photo.firearm for photo in lesson.photos], np.bool_)
    for fold in folds:
        head = lesson.learn(fold.learn, strength, evenness)
        asked = np.flatnonzero(fold.test & (firearm | (not fold.large))).tolist()
        found.update(zip(asked, lesson.judge(head, asked), strict=True))
        done(1)
    return found


def mean_loss(lesson: Lesson, logits: dict[int, Rows]) -> float:
    """Return the mean of -log P(class) of judged firearms whose type is a class that was learnt.

    Each photograph counts the same; what is judged harmless is left out, as flags choose there.
    """
    places = [n for n in sorted(logits) if lesson.photos[n].firearm]
    rows = np.stack([logits[n][0] for n in places]).astype(np.float64)
    own = rows[np.arange(len(places)), lesson.labels[places]]
    top = rows.max(axis=1)
    losses = top + np.log(np.exp(rows - top[:, None]).sum(axis=1)) - own
    return float(losses[own > ABSENT / 2].mean())
