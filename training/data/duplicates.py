"""Which files of Firearm 14k are the same, by their digests, and which to leave out. Pure."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from training.data.layout import DATABASE, QUERIES

MISLABELLED = "M39+Enhanced+Marksman+Rifle_0044.jpg"
"""A validation query that shows another type; the authors removed it (paper, 1)."""


@dataclass(frozen=True)
class Duplicates:
    """Sets of paths whose files are the same, each in order.

    Args:
        distinct: Different files.
        files: Files in all.
        across_splits: Those in two of train, validation and test.
        across_types: Those under two type names; a type is in one split, so all that are across
            splits are also here.
        of_queries: Those with a query and a database file of one split.
    """

    distinct: int
    files: int
    across_splits: tuple[tuple[str, ...], ...]
    across_types: tuple[tuple[str, ...], ...]
    of_queries: tuple[tuple[str, ...], ...]


def duplicates(digests: Mapping[str, str]) -> Duplicates:
    """Find files that are the same.

    Args:
        digests: Path below the data set's folder → digest.
    """
    same: dict[str, list[str]] = defaultdict(list)
    for path in sorted(digests):
        same[digests[path]].append(path)
    sets = sorted(tuple(paths) for paths in same.values() if len(paths) > 1)
    return Duplicates(
        distinct=len(same),
        files=len(digests),
        across_splits=tuple(paths for paths in sets if len(set(map(_split, paths))) > 1),
        across_types=tuple(paths for paths in sets if len(set(map(_type, paths))) > 1),
        of_queries=tuple(paths for paths in sets if _copies(paths)),
    )


def to_leave_out(found: Duplicates, paths: Collection[str]) -> list[str]:
    """Return the paths without which no photograph is in two splits or under two types.

    Of a photograph under two type names one is wrong, and nothing says which: all of it goes,
    except a query. Database files that are the same as a query go, as they are found by any
    network. The mislabelled query goes wherever it is.

    Args:
        found: As ``duplicates`` gives it.
        paths: All files.
    """
    out = {path for path in paths if PurePosixPath(path).name == MISLABELLED}
    out |= {path for same in found.across_types for path in same if QUERIES not in path}
    out |= {path for same in found.of_queries for path in _copies(same)}
    return sorted(out)


def _copies(paths: Collection[str]) -> list[str]:
    """Return the database files of these that stand beside a query of their split."""
    asked = {_split(path) for path in paths if QUERIES in path}
    return [path for path in paths if DATABASE in path and _split(path) in asked]


def _split(path: str) -> str:
    return path.partition("/")[0]


def _type(path: str) -> str:
    return PurePosixPath(path).stem.rpartition("_")[0]
