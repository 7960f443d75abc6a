"""Whether what a run will write fits on the disk. Knows nothing of what is written."""

import shutil
from pathlib import Path

from training.errors import BadInput

SPARE = 64 * 2**20
"""Bytes that are to be free beside what is written."""


def check_space(folder: Path, needed: int, option: str) -> None:
    """Refuse a folder whose disk has no room for ``needed`` bytes.

    Args:
        folder: It, or the nearest folder above it that exists, names the disk.
        needed: Bytes that will be written.
        option: Of the command line, by which another folder can be given.

    Raises:
        BadInput: The disk is too full.
    """
    place = folder.resolve()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < needed + SPARE:
        raise BadInput(
            f"the disk of {folder} has {_megabytes(free)} MB free and "
            f"{_megabytes(needed + SPARE)} MB are needed; make room or give another {option}"
        )


def _megabytes(count: int) -> int:
    return round(count / 2**20)
