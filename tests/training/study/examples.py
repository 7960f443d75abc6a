"""Photographs that are nowhere, and results of folds that nobody ran."""

from pathlib import Path
from typing import Any

from training.folder import Box, Photo
from training.study.crossing import FORMAT

RATES = ("0.001", "0.01", "0.05")


def photo(name: str, number: int, *, firearm: bool = True, source: str | None = None,
          group: str | None = None, boxes: tuple[Box, ...] = ()) -> Photo:  # fmt: skip
    """Return a photograph with a digest of its number."""
    digest = f"{number:064x}"
    return Photo(Path(f"{number}.jpg"), name, firearm, digest, group or digest, source, boxes)


def verdict(
    whole: tuple[float, float, float] = (0.1, 0.2, 0.3),
    regions: tuple[float, float, float] = (0.2, 0.3, 0.4),
    *,
    lookalikes: tuple[int, int, int] = (10, 2, 3),
    small: tuple[int, int, int] = (20, 5, 8),
    types: tuple[int, int, int, int, int] = (200, 80, 120, 100, 70),
    guns: list[float] | None = None,
    rest: list[float] | None = None,
) -> dict[str, Any]:
    """Return what a rule made of a fold.

    ``lookalikes``: there, flagged as wholes, with regions. ``small``: likewise. ``types``: typed,
    right, family right, known, known right.
    """
    names = ("typed", "right", "family_right", "known", "known_right")
    return {
        "whole": dict(zip(RATES, whole, strict=True)),
        "with_regions": dict(zip(RATES, regions, strict=True)),
        "lookalikes_flagged": {
            "whole": {"photographs": lookalikes[0], "flagged": lookalikes[1]},
            "with_regions": {"photographs": lookalikes[0], "flagged": lookalikes[2]},
        },
        "small": dict(zip(("photographs", "whole", "with_regions"), small, strict=True)),
        "types": dict(zip(names, types, strict=True)),
        "evidence": {"firearms": guns or [0.9, 0.5], "harmless": rest or [0.1, 0.2, 0.6]},
    }


def result(source: str, firearms: int, **rules: dict[str, Any]) -> dict[str, Any]:
    """Return what a fold's file holds, as far as tables read it."""
    return {
        "format": FORMAT,
        "source": source,
        "firearms": firearms,
        "harmless": 3,
        "rules": rules,
    }
