"""One image from a file under the folder that is allowed. Knows nothing of other places."""

import errno
import os
import stat
import threading
from pathlib import Path
from urllib.parse import unquote, urlsplit

from moderator.fetching.calls import within
from moderator.fetching.unreachable import Unreachable

CHUNK = 2**20


class FileSource:
    """Gets images from regular files.

    Args:
        root: Folder that files must lie under after symbolic links are followed; None: no files.
        max_bytes: Most bytes of an image.
        connections: Most files read at once; those of a disk that hangs are among them.
    """

    def __init__(self, root: Path | None, max_bytes: int, connections: int) -> None:
        self._root = root
        self._max_bytes = max_bytes
        self._turns = threading.BoundedSemaphore(connections)

    def get(self, url: str, seconds: float) -> bytes:
        """Return the image at a ``file:`` URL, which names no host or ``localhost``.

        Args:
            url: Of the file.
            seconds: Within which it has to be read: a network's disk can hang.

        Raises:
            Unreachable: It cannot be had.
        """
        if self._root is None:
            raise Unreachable("not-allowed")
        try:
            parts = urlsplit(url)
            if parts.netloc not in ("", "localhost") or parts.query or parts.fragment:
                raise Unreachable("not-allowed")
            path = Path(unquote(parts.path))
            if not path.is_absolute():
                raise Unreachable("not-allowed")
            root = self._root
            return within(seconds, self._turns, lambda: self._read(self._opened(root, path)))
        except Unreachable as error:
            # All turns are of the one disk, so it is the disk that keeps them.
            raise Unreachable("timeout" if error.cause == "busy" else error.cause) from None
        except FileNotFoundError as error:
            raise Unreachable("not-found") from error
        except OSError as error:
            gone = error.errno in (errno.ENOTDIR, errno.ENAMETOOLONG)
            raise Unreachable("not-found" if gone else "not-allowed") from error
        except ValueError as error:
            raise Unreachable("not-allowed") from error

    def _opened(self, root: Path, path: Path) -> int:
        """Return a descriptor of the file, which lies under the root whatever others rename."""
        root = root.resolve()
        inside = path.resolve().relative_to(root).parts
        if not inside:
            raise Unreachable("not-allowed")
        # What is a link only now was put there since the path was resolved, and is refused.
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for part in inside[:-1]:
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
                deeper = os.open(part, flags, dir_fd=folder)
                os.close(folder)
                folder = deeper
            # Without waiting: opening a pipe would wait for its writer for ever.
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
            return os.open(inside[-1], flags, dir_fd=folder)
        finally:
            os.close(folder)

    def _read(self, descriptor: int) -> bytes:
        with open(descriptor, "rb", buffering=0) as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise Unreachable("not-allowed")
            if status.st_size > self._max_bytes:
                raise Unreachable("too-large")
            body = bytearray()
            # It may grow while it is read.
            while chunk := file.read(CHUNK):
                body += chunk
                if len(body) > self._max_bytes:
                    raise Unreachable("too-large")
            return bytes(body)
