"""All figures of one network on one split, from the embeddings of its photographs. Plain JSON.

Must not know networks, files of results, or pictures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from training.data.folders import every_image_as_query
from training.data.sets import QuerySet, RetrievalData
from training.folder import Photo
from training.ranking.distances import distance_histograms
from training.ranking.flags import flag_metrics
from training.ranking.neighbours import rank_with_neighbours
from training.ranking.openset import LOOKALIKES, breakdown, calibration, halves, nearest
from training.ranking.quality import WHOLE, by_type, confusions, quality, reduced
from training.ranking.rank import Ranked, Rows, rank
from training.threshold import Floats

RATE = "0.01"
"""The rate of false flags that tables by source and kind are made at."""


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Embeddings float32[N, D], L2-normalised, and the row of each photograph by its digest."""

    rows: Rows
    places: Mapping[str, int]

    def of(self, photos: Sequence[Photo]) -> Rows:
        """Return float32[N, D] of photographs.

        Raises:
            KeyError: One was not embedded.
        """
        found: Rows = self.rows[[self.places[photo.digest] for photo in photos]]
        return found


def measure(
    data: RetrievalData,
    embeddings: Embeddings,
    lookalikes: Sequence[str] = LOOKALIKES,
    *,
    neighbours: int = 0,
) -> dict[str, Any]:
    """Return all figures of the test set.

    Args:
        data: With a test set of at least one query; without harmless photographs flags and
            calibration are not measured.
        embeddings: Of its photographs.
        lookalikes: Kinds of harmless photographs that are look-alikes.
        neighbours: That entries and queries of rankings are averaged with; 0: none. There are
            no figures after PCA then.

    Returns:
        ``protocols`` (``paper``: the set's own queries; ``every``: each photograph is asked),
        ``types`` and ``confusions`` of the latter, ``distances``, ``flags`` and ``calibration``.
    """
    every = every_image_as_query(data.test)
    asked = ranking(every, embeddings, neighbours)
    own = ranking(data.test, embeddings, neighbours)
    after_pca = not neighbours
    types = by_type(asked, _types(every.queries), _types(every.database))
    rows = embeddings.of(every.database)
    groups = [photo.group for photo in every.database]
    return {
        "protocols": {
            "paper": _protocol(data, data.test, own, embeddings, after_pca=after_pca),
            "every": _protocol(data, every, asked, embeddings, after_pca=after_pca),
        },
        "types": types,
        "confusions": confusions(types),
        "distances": distance_histograms(rows, _types(every.database), groups),
        **_against_harmless(data, every, embeddings, lookalikes),
    }


def ranking(asked: QuerySet, embeddings: Embeddings, neighbours: int = 0) -> Ranked:
    """Return the rankings of a set's queries, averaged with so many neighbours."""
    queries, database = embeddings.of(asked.queries), embeddings.of(asked.database)
    if neighbours:
        return rank_with_neighbours(
            queries, database, asked.relevant, asked.ignored, count=neighbours
        )
    return rank(queries, database, asked.relevant, asked.ignored)


def _protocol(
    data: RetrievalData,
    asked: QuerySet,
    ranked: Ranked,
    embeddings: Embeddings,
    *,
    after_pca: bool,
) -> dict[str, Any]:
    types = _types(asked.queries)
    if not after_pca:
        return {WHOLE: quality(ranked, types), "database": len(asked.database), "pca": {}}
    database = embeddings.of(asked.database)
    fitted_on = {"train": embeddings.of(data.train)} if data.train else {}
    return {
        WHOLE: quality(ranked, types),
        "database": len(asked.database),
        "pca": reduced(
            embeddings.of(asked.queries),
            database,
            types,
            relevant=asked.relevant,
            ignored=asked.ignored,
            fitted_on={**fitted_on, "test database": database},
        ),
    }


def _against_harmless(
    data: RetrievalData, every: QuerySet, embeddings: Embeddings, lookalikes: Sequence[str]
) -> dict[str, Any]:
    """Return flags and calibration; both None where there is nothing harmless."""
    if not data.harmless:
        return {"flags": None, "calibration": None}
    known = data.train
    validation = every_image_as_query(data.validation).database
    scored = {
        "firearms": _nearest(every.database, known, embeddings),
        "harmless": _nearest(data.harmless, known, embeddings),
        "validation": _nearest(validation, known, embeddings),
    }
    close = np.array([photo.name in lookalikes for photo in data.harmless], np.bool_)
    unseen = flag_metrics(scored["firearms"], scored["harmless"], close)
    above = unseen["rates"][RATE]["above"]
    own = _nearest(every.database, every.database, embeddings)
    others = _nearest(data.harmless, every.database, embeddings)
    return {
        "flags": {
            "unseen": unseen,
            "seen": flag_metrics(own, others, close),
            "firearms": breakdown(every.database, scored["firearms"], above),
            "harmless": breakdown(data.harmless, scored["harmless"], above),
        },
        "calibration": _calibration(data, scored),
    }


def _calibration(data: RetrievalData, scored: Mapping[str, Floats]) -> dict[str, Any] | None:
    """Fit on validation types and half of the harmless, measure on test types and the others."""
    fits = halves(data.harmless)
    if fits.all() or not fits.any() or not len(scored["validation"]):
        return None
    return calibration(
        (scored["validation"], scored["harmless"][fits]),
        (scored["firearms"], scored["harmless"][~fits]),
    )


def _nearest(some: Sequence[Photo], known: Sequence[Photo], embeddings: Embeddings) -> Floats:
    return nearest(
        embeddings.of(some),
        [photo.group for photo in some],
        embeddings.of(known),
        [photo.group for photo in known],
    )


def _types(photos: Sequence[Photo]) -> list[str]:
    return [photo.name for photo in photos]
