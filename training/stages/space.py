"""Whether what a command will write can be written, asked before its work is done."""

import shutil
import tempfile
from pathlib import Path

from training.errors import BadInput

SPARE = 64 * 2**20
"""Bytes that are to be free beside what is written."""

BLOCK = 64 * 2**10
"""Bytes that are written on trial."""


def check_space(folder: Path, needed: int, option: str) -> None:
    """Refuse a folder that cannot be written, or whose disk has no room for ``needed`` bytes.

    Nothing is left there.

    Args:
        folder: It, or the nearest folder above it that exists, names the disk.
        needed: Bytes that will be written.
        option: Of the command line, by which another folder can be given.

    Raises:
        BadInput: The disk is too full or read-only, or the folder may not be written.
    """
    place = nearest_folder(folder, option)
    free = shutil.disk_usage(place).free
    if free < needed + SPARE:
        raise BadInput(
            f"the disk of {folder} has {_megabytes(free)} MB free and "
            f"{_megabytes(needed + SPARE)} MB are needed; make room or give another {option}"
        )
    check_writable(folder, option)


def check_writable(folder: Path, option: str) -> None:
    """Refuse a folder in which not even a little can be written; nothing is left there.

    Raises:
        BadInput: It cannot.
    """
    try:
        # It has no name, so that it is gone whatever happens.
        with tempfile.TemporaryFile(dir=nearest_folder(folder, option), buffering=0) as trial:
            trial.write(bytes(BLOCK))
    except OSError as error:
        raise BadInput(
            f"{option} {folder} cannot be written: {error.strerror}; give another {option}"
        ) from None


def nearest_folder(folder: Path, option: str) -> Path:
    """Return a folder, or the nearest one above it that exists.

    Raises:
        BadInput: What exists there is a file.
    """
    place = folder.resolve()
    while not place.exists():
        place = place.parent
    if not place.is_dir():
        raise BadInput(f"{option} {folder} cannot be written: {place} is a file; give another")
    return place


def _megabytes(count: int) -> int:
    return round(count / 2**20)
