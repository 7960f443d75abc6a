"""Small files under one root, on this machine or in an object store.

Both kinds replace a file as a whole, so that nobody ever reads half of one, and show what was
written to whoever looks next; object stores of today do (S3 since 2020, GCS, Azure).
"""

import contextlib
import itertools
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from moderator.errors import BadSettings

TEMPORARY = ".writing"
"""Folder of what is being written; beside the others, so that renaming stays on one disk."""

ATTEMPTS = 20
"""Times that a folder is made anew which others remove as empty."""

FOLDER_MODE, FILE_MODE = 0o700, 0o600
"""What is made on this machine is for this user alone: it shows what posts were flagged for."""

LOCAL = ("", "file", "local")


class Files(Protocol):
    """The files under one root; paths are relative, of plain names with slashes."""

    def url(self, path: str) -> str:
        """Return where a file lies, for people and for other programs."""
        ...

    def look(self) -> None:
        """Look whether files can be kept there, without writing one.

        Raises:
            Exception: They cannot; of the store's own kinds.
        """
        ...

    def prepare(self) -> None:
        """Make the place, where that is ours to make; one over a network need not answer yet.

        Raises:
            OSError: It cannot be made.
        """
        ...

    def read(self, path: str) -> bytes | None:
        """Return what a file holds, None where there is none."""
        ...

    def write(self, path: str, data: bytes) -> None:
        """Make or replace a file as a whole."""
        ...

    def remove(self, path: str) -> None:
        """Remove a file; one that is not there is none to remove."""
        ...

    def names(self, folder: str) -> list[str]:
        """Return the names of the files in a folder; none where there is no folder."""
        ...

    def walk(self, folder: str) -> Iterator[str]:
        """Yield the paths of all files in a folder and below."""
        ...

    def tidy(self, age: float) -> None:
        """Remove what writers that were cut short left more than ``age`` seconds ago."""
        ...


def open_files(place: str) -> Files:
    """Return the files at a place: a folder, ``file://``, or a URL of an fsspec store.

    Nothing is read or written yet.

    Raises:
        BadSettings: There is no such kind of store, or its package is not installed.
    """
    scheme, separator, rest = place.partition("://")
    if not separator:
        return LocalFiles(Path(place).absolute())
    if scheme.lower() in LOCAL:
        return LocalFiles(Path("/", rest))
    return ObjectFiles(place)


class LocalFiles:
    """Files on a file system of this machine, which this user alone may read.

    Args:
        root: Folder; made when it is first written to.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._numbers = itertools.count()

    def url(self, path: str) -> str:
        """See ``Files.url``."""
        return (self._root / path).as_uri()

    def look(self) -> None:
        """See ``Files.look``."""
        there = next(each for each in (self._root, *self._root.parents) if each.exists())
        if not there.is_dir():
            raise NotADirectoryError(f"{there} is no folder")
        if not os.access(there, os.W_OK | os.X_OK):
            raise PermissionError(f"this user may not write to {there}")
        disk = os.statvfs(there)
        if not disk.f_blocks:
            raise OSError(f"{there} is of a file system that keeps no files")
        if not disk.f_bavail:
            raise OSError(f"no room is left on the disk of {there}")

    def prepare(self) -> None:
        """See ``Files.prepare``: the folder is made, for this user alone."""
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def read(self, path: str) -> bytes | None:
        """See ``Files.read``."""
        try:
            return (self._root / path).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, path: str, data: bytes) -> None:
        """See ``Files.write``; it is on the disk when this returns."""
        temporary = self._root / TEMPORARY / self._unique()
        _make_folder(temporary.parent)
        try:
            with open(temporary, "xb", opener=_private) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            self._put(temporary, self._root / path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def _unique(self) -> str:
        host = os.uname().nodename
        return f"{host}-{os.getpid()}-{threading.get_ident()}-{next(self._numbers)}"

    def _put(self, temporary: Path, target: Path) -> None:
        for attempt in range(ATTEMPTS):
            try:
                _make_folder(target.parent)
                temporary.replace(target)
                break
            except (FileNotFoundError, FileExistsError):
                # Somebody removed the folder, which was empty; or removed it between making it,
                # as it was there, and looking whether it is one.
                if attempt == ATTEMPTS - 1:
                    raise
        # Where it is gone already, so is the file: somebody removed both.
        with contextlib.suppress(FileNotFoundError):
            _sync(target.parent)

    def remove(self, path: str) -> None:
        """See ``Files.remove``; folders that are empty then go as well."""
        target = self._root / path
        target.unlink(missing_ok=True)
        # One that somebody writes to meanwhile is not empty, or is made anew there.
        with contextlib.suppress(OSError):
            for folder in target.relative_to(self._root).parents[:-1]:
                (self._root / folder).rmdir()

    def names(self, folder: str) -> list[str]:
        """See ``Files.names``."""
        try:
            return sorted(each.name for each in (self._root / folder).iterdir())
        except FileNotFoundError:
            return []

    def walk(self, folder: str) -> Iterator[str]:
        """See ``Files.walk``."""
        for where, _, names in os.walk(self._root / folder, onerror=_unless_gone):
            within = Path(where).relative_to(self._root)
            yield from (str(within / name) for name in names)

    def tidy(self, age: float) -> None:
        """See ``Files.tidy``."""
        for name in self.names(TEMPORARY):
            left = self._root / TEMPORARY / name
            with contextlib.suppress(FileNotFoundError):
                if time.time() - left.stat().st_mtime > age:
                    left.unlink()


class ObjectFiles:
    """Files in a store that fsspec knows.

    Args:
        place: URL of a folder in it; the store's package reads its own settings for the rest.

    Raises:
        BadSettings: There is no such kind of store, or its package is not installed.
    """

    def __init__(self, place: str) -> None:
        try:
            import fsspec

            # Listings that are remembered would hide what other members wrote.
            found = fsspec.core.url_to_fs(place, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise BadSettings(
                f"evidence_url: {reason}; install the store's package (moderator[objects] has "
                "fsspec), or name a folder"
            ) from None
        self._store: Any = found[0]
        self._root = str(found[1]).rstrip("/")
        self._place = place.rstrip("/")

    def url(self, path: str) -> str:
        """See ``Files.url``."""
        return f"{self._place}/{path}"

    def prepare(self) -> None:
        """See ``Files.prepare``: a store is not waited for."""

    def look(self) -> None:
        """See ``Files.look``; whether this user may write shows only when it is done."""
        with contextlib.suppress(FileNotFoundError):
            self._store.ls(self._root, detail=False)

    def read(self, path: str) -> bytes | None:
        """See ``Files.read``."""
        try:
            body: bytes = self._store.cat_file(self._full(path))
        except FileNotFoundError:
            return None
        return body

    def write(self, path: str, data: bytes) -> None:
        """See ``Files.write``."""
        self._store.pipe_file(self._full(path), data)

    def remove(self, path: str) -> None:
        """See ``Files.remove``."""
        with contextlib.suppress(FileNotFoundError):
            self._store.rm_file(self._full(path))

    def names(self, folder: str) -> list[str]:
        """See ``Files.names``."""
        try:
            found = self._store.ls(self._full(folder), detail=False)
        except FileNotFoundError:
            return []
        return sorted(str(each).rstrip("/").rpartition("/")[2] for each in found)

    def walk(self, folder: str) -> Iterator[str]:
        """See ``Files.walk``."""
        root = self._full("")
        for each in self._store.find(self._full(folder)):
            yield str(each)[str(each).index(root) + len(root) :]

    def tidy(self, age: float) -> None:
        """See ``Files.tidy``: an upload that was cut short leaves nothing that can be seen."""

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}"


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, FILE_MODE)


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it that are not there; ``Path.mkdir`` makes those for all."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(FOLDER_MODE, exist_ok=True)


def _sync(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
