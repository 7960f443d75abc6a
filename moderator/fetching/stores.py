"""One image from an object store through fsspec. Knows nothing of other places.

fsspec and the packages of single stores are extras; where one is missing, images of that store
are unreachable and the rest goes on.
"""

import logging
import threading
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

from moderator.errors import BadSettings
from moderator.fetching.calls import within
from moderator.fetching.unreachable import Unreachable
from moderator.values import NO_STORES

logger = logging.getLogger(__name__)


class StoreSource:
    """Gets images from object stores.

    Args:
        prefixes: URLs that images must lie under, such as ``s3://bucket/folder/``.
        max_bytes: Most bytes of an image.
        connections: Most images fetched from one bucket at once; calls that hang are among them.

    Raises:
        BadSettings: A prefix is no place in an object store.
    """

    def __init__(self, prefixes: Sequence[str], max_bytes: int, connections: int) -> None:
        for prefix in prefixes:
            _check(prefix)
        self._prefixes = tuple(prefix.rstrip("/") + "/" for prefix in prefixes)
        self._max_bytes = max_bytes
        # Of its own for each bucket: one that hangs takes no other's.
        self._turns = {
            place(prefix): threading.BoundedSemaphore(connections) for prefix in self._prefixes
        }
        self._usable = {scheme for scheme in _schemes(prefixes) if _is_usable(scheme)}

    def allows(self, url: str) -> bool:
        """Whether a URL lies under one of the prefixes, on the face of it and in fact."""
        # "::" chains file systems, one of which might be the disk.
        if "::" in url or "\\" in url or not url.isprintable():
            return False
        if any(part in ("..", ".") for part in unquote(url).split("/")):
            return False
        return any(url.startswith(prefix) and url != prefix for prefix in self._prefixes)

    def get(self, url: str, seconds: float) -> bytes:
        """Return the image at a URL, within so many seconds.

        Raises:
            Unreachable: It cannot be had.
        """
        if not self.allows(url):
            raise Unreachable("not-allowed")
        scheme = url.split("://", 1)[0]
        if scheme not in self._usable:
            raise Unreachable("store")
        try:
            body = within(seconds, self._turns[place(url)], lambda: self._read(scheme, url))
        except Unreachable as error:
            # All turns are the bucket's own, so it is the bucket that keeps them.
            raise Unreachable("timeout" if error.cause == "busy" else error.cause) from None
        except FileNotFoundError as error:
            raise Unreachable("not-found") from error
        except Exception as error:
            # Every store's package raises errors of its own.
            raise Unreachable("store") from error
        if len(body) > self._max_bytes:
            raise Unreachable("too-large")
        return body

    def _read(self, scheme: str, url: str) -> bytes:
        import fsspec

        store: Any = fsspec.filesystem(scheme)
        body: bytes = store.cat_file(store._strip_protocol(url), start=0, end=self._max_bytes + 1)
        return body


def place(url: str) -> str:
    """Return the bucket of a URL with its scheme, such as ``s3://bucket``."""
    return "/".join(url.split("/", 3)[:3])


def _check(prefix: str) -> None:
    """Refuse what would reach past other settings, or let in every bucket of a store."""
    scheme, _, place = prefix.partition("://")
    if not scheme or not place.strip("/") or "::" in prefix:
        raise BadSettings(
            f"allowed_stores: {prefix!r} is no place in a store; write one such as s3://bucket/"
        )
    if scheme.lower() in NO_STORES:
        raise BadSettings(
            f"allowed_stores: {prefix!r} is in no object store; https has allowed_hosts, files "
            "have allowed_root"
        )


def _schemes(prefixes: Sequence[str]) -> set[str]:
    return {prefix.split("://", 1)[0] for prefix in prefixes}


def _is_usable(scheme: str) -> bool:
    try:
        import fsspec

        fsspec.get_filesystem_class(scheme)
    except (ImportError, ValueError) as error:
        reason = str(error).splitlines()[0]
        logger.error(
            "images of %s:// are unreachable until its package is there: %s", scheme, reason
        )
        return False
    return True
