"""Find releases by id in a folder, or fetch them from a URL (fsspec) into a local cache.

Loads and judges none of them: what is found here is verified by whoever loads it.
"""

import contextlib
import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from models import manifest as manifests
from models.errors import BadRelease
from models.release import ID_LENGTH, list_releases
from moderator.errors import BadSettings, Unavailable
from moderator.settings import Settings


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

    def add(self, release_id: str, path: Path) -> bool:
        """Copy a release in, whole or not at all; return whether it was not there before.

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
        for listed in list_releases(self._folder):
            if listed.id == release_id:
                return listed.path
        raise BadRelease(f"no release {release_id} in {self._folder}; put it there")

    def add(self, release_id: str, path: Path) -> bool:
        """See ``ReleaseStore``."""
        with contextlib.suppress(BadRelease):
            self.find(release_id)
            return False
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with _aside(self._folder) as folder:
                shutil.copytree(path, folder, dirs_exist_ok=True)
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
            names = [file.name for file in path.iterdir() if file.is_file()]
            store.makedirs(there, exist_ok=True)
            # The manifest last: without it, there is no release yet.
            for name in sorted(names, key=lambda name: name == manifests.NAME):
                store.put_file(str(path / name), f"{there}/{name}")
        return True

    def _source(self, store: Any, root: str, release_id: str) -> str:
        """Return where in the store a release lies.

        Raises:
            BadRelease: It does not.
        """
        if store.exists(f"{root}/{release_id}/{manifests.NAME}"):
            return f"{root}/{release_id}"
        for entry in store.ls(root, detail=True) if store.exists(root) else ():
            manifest = f"{entry['name'].rstrip('/')}/{manifests.NAME}"
            if entry["type"] == "directory" and store.exists(manifest):
                raw = store.cat_file(manifest)
                if hashlib.sha256(raw).hexdigest()[:ID_LENGTH] == release_id:
                    return str(entry["name"])
        raise BadRelease(f"no release {release_id} at {self.place}; put it there")

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


@contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """Yield a folder to fill beside its later place; what is left of it is removed."""
    aside = Path(tempfile.mkdtemp(prefix=".incoming-", dir=folder))
    try:
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)
