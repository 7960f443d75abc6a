"""Folders for what is half written: gone at the end, and after a kill with the next run."""

import contextlib
import fcntl
import glob
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = ".lock-of-work"
"""Locked by the process whose folder it is; the kernel lets go of it when that process ends."""

ABANDONED = 24 * 3600
"""Seconds without a change after which a folder without a lock is nobody's."""


@contextmanager
def work_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Yield a new folder in ``parent``, which is made; at the end it is removed with all in it.

    Folders of this prefix that dead processes left are removed first. What is to stay is renamed
    out of it before the end.

    Raises:
        OSError: It cannot be made.
    """
    parent.mkdir(parents=True, exist_ok=True)
    sweep(parent, prefix)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    try:
        with _locked(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(parent: Path, prefix: str) -> None:
    """Remove the folders of this prefix whose processes are dead, as far as that is possible.

    A folder without a lock is one of a version without locks, or its process was killed before it
    had one: it is removed once nothing in it has changed for a day.
    """
    for folder in parent.glob(f"{glob.escape(prefix)}*"):
        if not folder.is_dir() or folder.is_symlink():
            continue
        lock = folder / LOCK
        with contextlib.suppress(OSError):
            if not lock.exists():
                if time.time() - _changed(folder) > ABANDONED:
                    shutil.rmtree(folder, ignore_errors=True)
                continue
            with lock.open("r+b") as file:
                # Raises where the process lives.
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    beside = folder / f"{LOCK}.new"
    with beside.open("wb") as file:
        # Where the file system knows no locks, nobody else gets one either.
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
            # Under its name it is locked from the start: nobody takes it for a dead process's.
            beside.rename(folder / LOCK)
        yield


def _changed(folder: Path) -> float:
    """Return when something in a folder changed last, in seconds since 1970."""
    return max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
