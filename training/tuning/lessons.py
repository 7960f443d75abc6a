"""What is learnt from in which order: rows of the maps, their labels and their weights.

Must not know torch or networks.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.errors import BadInput
from training.folder import Photo
from training.stages.chance import chance
from training.tuning.areas import Area
from training.tuning.labels import Classes, window_labels
from training.tuning.mapstore import Maps, MapStore, Places
from training.tuning.plan import PASTE, VIEW, Sample

Sides = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Lesson:
    """A batch.

    Args:
        maps: float16[N, h, w, c].
        classes: int64[N], what each sample is called.
        firearm: bool[N], whether it shows a firearm.
        windows: int8[N, R], see ``window_labels``; without the whole picture.
    """

    maps: Maps
    classes: Places
    firearm: Sides
    windows: NDArray[np.int8]


class Lessons:
    """All that a run learns from.

    Args:
        store: Maps of the plan.
        plan: Of the photographs.
        photos: All of them.
        learners: bool[S], which samples of the plan may be seen.
        classes: What the classifier tells apart.
        windows: R parts of a picture.
        seed: Of the run.

    Raises:
        BadInput: Nothing is left to learn from, with or without firearms.
    """

    def __init__(
        self,
        store: MapStore,
        plan: Sequence[Sample],
        photos: Sequence[Photo],
        learners: Sides,
        *,
        classes: Classes,
        windows: Sequence[Area],
        seed: int,
    ) -> None:
        self._store, self._seed = store, seed
        self.rows: Places = np.flatnonzero(learners[store.places])
        self.samples = [plan[place] for place in store.places[self.rows].tolist()]
        self._firearm = np.array([shows(sample, photos) for sample in self.samples], bool)
        if self._firearm.all() or not self._firearm.any():
            raise BadInput(
                "pictures with firearms and without are needed to learn from; hold out less"
            )
        self._classes = np.array([classes.of(photos, s) for s in self.samples], np.int64)
        self._labels = self._label(windows)
        sources = [photos[sample.photo].source for sample in self.samples]
        self.weights = source_weights(sources, self._firearm)

    def __len__(self) -> int:
        return len(self.rows)

    def draw(self, epoch: int, batch: int) -> list[Places]:
        """Return the batches of an epoch, as places among the samples that are learnt from.

        Sources are balanced by drawing, so that a sample may come twice or never.
        """
        steps = max(1, len(self) // batch)
        drawn = chance(self._seed, "draw", epoch)
        places = drawn.choice(len(self), steps * batch, p=self.weights)
        return list(places.reshape(steps, batch))

    def lesson(self, places: Places, mirrored: Sides) -> Lesson:
        """Return a batch.

        Args:
            places: int64[N], as ``draw`` gives them.
            mirrored: bool[N], whose maps have left and right swapped.
        """
        maps = self._store.get(self.rows[places])
        maps[mirrored] = maps[mirrored, :, ::-1]
        windows = self._labels[mirrored.astype(int), places]
        return Lesson(maps, self._classes[places], self._firearm[places], windows)

    def _label(self, windows: Sequence[Area]) -> NDArray[np.int8]:
        """Return int8[2, N, R]: of samples as they are, and mirrored."""
        labels = np.empty((2, len(self), len(windows)), np.int8)
        for n, row in enumerate(self.rows.tolist()):
            areas, firearm = self._store.firearms[row], bool(self._firearm[n])
            labels[0, n] = window_labels(windows, areas, firearm=firearm)
            areas = tuple(area.mirrored() for area in areas)
            labels[1, n] = window_labels(windows, areas, firearm=firearm)
        return labels


def shows(sample: Sample, photos: Sequence[Photo]) -> bool:
    """Return whether a sample shows a firearm."""
    return sample.kind == PASTE or (sample.kind == VIEW and photos[sample.photo].firearm)


def source_weights(sources: Sequence[str | None], firearm: Sides) -> NDArray[np.float64]:
    """Return how likely each sample is drawn: both halves alike, within them by source.

    A source of n samples is drawn as often as √n says, so that no large one drowns the others.

    Args:
        sources: Of the samples; those of none make one source.
        firearm: bool[N]; both kinds are there.

    Returns:
        float64[N], sum 1.
    """
    keys = list(zip(firearm.tolist(), sources, strict=True))
    counts = Counter(keys)
    weights = np.array([counts[key] ** -0.5 for key in keys], np.float64)
    for half in (firearm, ~firearm):
        weights[half] /= 2 * weights[half].sum()
    return weights
