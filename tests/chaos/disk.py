"""A small disk of its own that can be filled up. Knows nothing of what is kept on it."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BALLAST = ".ballast"
BLOCK = 2**20


class Disk:
    """A folder on a file system of its own (tmpfs).

    Args:
        folder: Where it is mounted.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def fill(self) -> None:
        """Leave no room at all."""
        with (self.folder / BALLAST).open("wb", buffering=0) as file:
            for size in (BLOCK, 4096):
                try:
                    while file.write(bytes(size)) == size:
                        pass
                except OSError:
                    continue

    def free(self) -> None:
        """Give the room back."""
        (self.folder / BALLAST).unlink(missing_ok=True)

    def protect(self) -> None:
        """Let nothing be written any more, whoever asks."""
        mount = ["mount", "-o", "remount,ro", str(self.folder)]
        subprocess.run(mount, capture_output=True, check=True)

    @property
    def room(self) -> int:
        """Bytes that are left."""
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Disk | None]:
    """Mount a disk on a folder for as long as the context lasts.

    Args:
        folder: Is made; must not exist.
        megabytes: Size of the disk.

    Yields:
        The disk, or None where this user may not mount: the folder is then an ordinary one.
    """
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    try:
        yield Disk(folder) if mounted else None
    finally:
        if mounted:
            # Lazily: a process that was only just killed may still hold a file.
            subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False)
