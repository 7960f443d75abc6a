"""Find releases by id in a folder, or fetch them from a URL (fsspec) into a local cache.

Loads and judges none of them: what is found here is verified by whoever loads it.
"""

import contextlib
import fcntl
import hashlib
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from models import manifest as manifests
from models.errors import BadRelease
from models.release import ID_LENGTH, Listed, list_releases, listed, oldest_first
from moderator.errors import BadSettings, Unavailable
from moderator.settings import Settings

logger = logging.getLogger(__name__)

INCOMING = ".incoming-"
"""Beginning of the names of folders that a release is being copied into."""

FRESH = 60.0
"""Seconds in which such a folder is left alone, although nobody holds it yet."""


class ReleaseStore(Protocol):
    """Where a group's releases lie."""

    @property
    def place(self) -> str:
        """The folder or URL, as people are told it."""
        ...

    def find(self, release_id: str) -> Path:
        """Return a local directory that holds the release.

        Raises:
            BadRelease: It is not there, or not whole.
            BadSettings: The store's package is not installed.
            Unavailable: The store cannot be reached.
        """
        ...

    def list(self) -> Sequence[Listed]:
        """Return what lies there, oldest first, by the manifests only.

        Raises:
            BadRelease: The folder cannot be read.
            BadSettings: The store's package is not installed.
            Unavailable: The store cannot be reached.
        """
        ...

    def tidy(self) -> None:
        """Remove what is left here of copies that were never finished; never raises."""
        ...

    def add(self, release_id: str, path: Path) -> bool:
        """Copy the files that a release's manifest names, all or none.

        Returns:
            Whether it was not there before.

        Raises:
            BadSettings: It may not be written, or the store's package is not installed.
            Unavailable: The store cannot be reached.
        """
        ...


def open_store(settings: Settings) -> ReleaseStore:
    """Return the store that the settings name, without looking at it."""
    url = settings.releases.releases_url
    if url is None:
        return FolderStore(settings.judging.release.resolve().parent)
    if "://" not in url:
        return FolderStore(Path(url).expanduser())
    return RemoteStore(url.rstrip("/"), settings.releases.releases_cache.expanduser())


class FolderStore:
    """Releases in a folder, which are used where they lie.

    Args:
        folder: Of releases; each under any name, one that is another's id excepted.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def place(self) -> str:
        """See ``ReleaseStore``."""
        return str(self._folder)

    def find(self, release_id: str) -> Path:
        """See ``ReleaseStore``."""
        named = self._folder / release_id
        if (named / manifests.NAME).exists():
            return named
        for each in self.list():
            if each.id == release_id:
                return Path(each.path)
        raise BadRelease(f"no release {release_id} in {self._folder}; put it there")

    def list(self) -> Sequence[Listed]:
        """See ``ReleaseStore``."""
        return list_releases(self._folder)

    def tidy(self) -> None:
        """See ``ReleaseStore``."""
        _tidy(self._folder)

    def add(self, release_id: str, path: Path) -> bool:
        """See ``ReleaseStore``."""
        with contextlib.suppress(BadRelease):
            self.find(release_id)
            return False
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with _aside(self._folder) as folder:
                for file in _files(path):
                    shutil.copyfile(file, folder / file.name)
                folder.chmod(0o755)
                folder.rename(self._folder / release_id)
        except OSError as error:
            raise BadSettings(
                f"{self._folder}: {error.strerror or error}; give this user the right to write "
                "there, or copy the release yourself"
            ) from None
        return True


class RemoteStore:
    """Releases under a URL; those found are copied into a folder, by their ids.

    Args:
        url: Such as ``s3://bucket/releases``.
        cache: Folder of the copies.
    """

    def __init__(self, url: str, cache: Path) -> None:
        self._url = url
        self._cache = cache

    @property
    def place(self) -> str:
        """See ``ReleaseStore``."""
        # Before "@" there may be a password.
        scheme, _, rest = self._url.partition("://")
        return f"{scheme}://{rest.rpartition('@')[2]}"

    def find(self, release_id: str) -> Path:
        """See ``ReleaseStore``."""
        kept = self._cache / release_id
        if kept.exists():
            if _whole(kept):
                return kept
            shutil.rmtree(kept, ignore_errors=True)
        with self._reached() as (store, root):
            source = self._source(store, root, release_id)
            self._cache.mkdir(parents=True, exist_ok=True)
            with _aside(self._cache) as folder:
                _copy(store, source, folder)
                if not kept.exists():
                    folder.rename(kept)
        return kept

    def add(self, release_id: str, path: Path) -> bool:
        """See ``ReleaseStore``."""
        with self._reached() as (store, root):
            with contextlib.suppress(BadRelease):
                self._source(store, root, release_id)
                return False
            there = f"{root}/{release_id}"
            store.makedirs(there, exist_ok=True)
            for file in _files(path):
                store.put_file(str(file), f"{there}/{file.name}")
        return True

    def list(self) -> Sequence[Listed]:
        """See ``ReleaseStore``."""
        with self._reached() as (store, root):
            found = [
                listed(f"{self.place}/{place.rpartition('/')[2]}", raw)
                for place, raw in self._manifests(store, root)
            ]
        return oldest_first(found)

    def tidy(self) -> None:
        """See ``ReleaseStore``."""
        _tidy(self._cache)

    def _source(self, store: Any, root: str, release_id: str) -> str:
        """Return where in the store a release lies.

        Raises:
            BadRelease: It does not.
        """
        if store.exists(f"{root}/{release_id}/{manifests.NAME}"):
            return f"{root}/{release_id}"
        for place, raw in self._manifests(store, root):
            if hashlib.sha256(raw).hexdigest()[:ID_LENGTH] == release_id:
                return place
        raise BadRelease(f"no release {release_id} at {self.place}; put it there")

    def _manifests(self, store: Any, root: str) -> Iterator[tuple[str, bytes]]:
        """Yield each folder that holds a manifest, and that manifest."""
        for entry in store.ls(root, detail=True) if store.exists(root) else ():
            place = str(entry["name"]).rstrip("/")
            manifest = f"{place}/{manifests.NAME}"
            if entry["type"] == "directory" and store.exists(manifest):
                yield place, store.cat_file(manifest)

    @contextmanager
    def _reached(self) -> Iterator[tuple[Any, str]]:
        """Yield the file system and the root in it; its errors get an owner.

        Raises:
            BadSettings: Its package is not installed, or the URL is none.
            Unavailable: It cannot be reached.
        """
        try:
            import fsspec

            store, root = fsspec.core.url_to_fs(self._url, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise BadSettings(f"releases_url {self.place}: {reason}") from None
        except Exception as error:
            raise self._away(error) from error
        try:
            yield store, root.rstrip("/")
        except BadRelease:
            raise
        except Exception as error:
            raise self._away(error) from error

    def _away(self, error: Exception) -> Unavailable:
        # Every store's package raises errors of its own; their texts may hold secrets.
        return Unavailable(f"{self.place} cannot be read or written ({type(error).__name__})")


def _copy(store: Any, source: str, folder: Path) -> None:
    """Copy the files that a release's manifest names, and no others.

    Raises:
        BadRelease: The manifest is none, or a file is missing.
    """
    store.get_file(f"{source}/{manifests.NAME}", str(folder / manifests.NAME))
    for name in manifests.read(folder)["files"]:
        try:
            store.get_file(f"{source}/{name}", str(folder / name))
        except FileNotFoundError:
            if name != manifests.CACHE:
                raise BadRelease(f"{source}/{name} is not there; {manifests.REMEDY}") from None
    folder.chmod(0o755)


def _whole(folder: Path) -> bool:
    try:
        manifests.verify(folder, manifests.read(folder))
    except BadRelease:
        return False
    return True


def _files(path: Path) -> Iterator[Path]:
    """Yield the files of a release that its manifest names, and the manifest itself last.

    Without it, there is no release yet.
    """
    for name in manifests.read(path)["files"]:
        if name != manifests.CACHE or (path / name).exists():
            yield path / name
    yield path / manifests.NAME


@contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """Yield a folder to fill beside its later place; what is left of it is removed."""
    aside = Path(tempfile.mkdtemp(prefix=INCOMING, dir=folder))
    held = os.open(aside, os.O_RDONLY)
    try:
        # Says that somebody fills it, until the process ends.
        with contextlib.suppress(OSError):
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        os.close(held)


def _tidy(folder: Path) -> None:
    """Remove folders that were being filled by a process that is no more."""
    for aside in folder.glob(f"{INCOMING}*"):
        try:
            if time.time() - aside.stat().st_mtime < FRESH:
                continue
            held = os.open(aside, os.O_RDONLY)
        except OSError:
            continue
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(aside)
            logger.info("removed %s, which a copy that was cut off had left", aside)
        except OSError as error:
            logger.debug("%s stays: %s", aside, error)
        finally:
            os.close(held)
