"""Which photographs each query should find, as Firearm 14k's JSON files say. Knows no splits.

Such a file is ``{query file name: [database file name, ...]}``, with names only, no folders.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from training.data.layout import type_of
from training.errors import BadInput

Truth = Mapping[str, Collection[str]]
"""Query file name → names of the database files that show its type."""


def read_ground_truth(file: Path) -> dict[str, frozenset[str]]:
    """Read a file of the published kind.

    Raises:
        BadInput: It cannot be read, or says something else.
    """
    try:
        raw = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(
            f"{file} cannot be read as JSON: {error}; copy it again from the data set"
        ) from None
    if not isinstance(raw, dict) or not all(map(_names, raw.values())):
        raise BadInput(
            f"{file} is not an object of queries with lists of file names; copy it again from the "
            "data set"
        )
    return {query: frozenset(names) for query, names in raw.items()}


def problems(truth: Truth, queries: Collection[str], database: Collection[str]) -> Iterator[str]:
    """Yield, one line each, where a ground truth and the files that are there disagree.

    Args:
        truth: As read.
        queries: Names of the query files.
        database: Names of the database files.

    Raises:
        BadInput: A file's name does not name its type.
    """
    asked, searched = set(queries), set(database)
    yield from (f"{query} is a query without ground truth" for query in sorted(asked - set(truth)))
    yield from (f"{name} is both query and in the database" for name in sorted(asked & searched))
    yield from (f"{query} has ground truth but no file" for query in sorted(set(truth) - asked))
    types: dict[str, set[str]] = {}
    for name in searched:
        types.setdefault(type_of(Path(name)), set()).add(name)
    for query in sorted(asked & set(truth)):
        named, wanted = set(truth[query]), types.get(type_of(Path(query)), set())
        if absent := sorted(named - searched):
            yield f"{query} should find {absent[0]}, which is not there{_more(absent)}"
        elif other := sorted(named - wanted):
            yield f"{query} should find {other[0]}, which is of another type{_more(other)}"
        elif unnamed := sorted(wanted - named):
            yield f"{query} should also find {unnamed[0]}, of its type{_more(unnamed)}"
        elif not wanted:
            yield f"{query} has nothing to find: its type has no photograph in the database"


def _names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _more(names: Collection[str]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""
