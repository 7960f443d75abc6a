"""Where safe copies lie, which records they are of, and how they go again.

Each record of a post has copies of its own; nothing is shared, so nothing is counted. There is no
database: the names of the files say all (``ab`` are the first digits of <post>, which is the
SHA-256 of the post's id)::

    kept/ab/<post>/<place>.<copy>.<time>.jpg   a copy of what the post's record at <place> shows
    kept/ab/<post>/<place>.<time>.deleted      the record at <place> deleted the post
    kept/ab/<post>/operator.<time>.deleted     an operator did: nothing is kept of it any more

<place> is ``moderator.order.Place``; <copy> is the picture's content digest and
``View.copy_suffix`` of what is shown; <time> is when the file was written, in milliseconds since
1970.

*To keep* a copy: write it, then look for a deletion that came after its record; where there is
one, take the copy back. *To delete*: write the deletion, then remove the copies of the records
before it. Whoever comes second sees what the other wrote, so no copy stays, and a later record of
the same post keeps its own. Each step can be cut short and be done again; what is not done again
(by a member that died after it had lost its partition) is swept when it is old. A store's own
rules for letting files expire may stand in for the sweep.
"""

import hashlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from moderator.decoding.view import View
from moderator.errors import Unavailable
from moderator.evidence.files import Files
from moderator.order import Place
from moderator.records import Record

COPY = ".jpg"
DELETED = ".deleted"
OPERATOR = "operator"

LEFT_OVER = 3600.0
"""Seconds after which a file that is being written is one of a member that was cut short."""


class OldLayoutError(Unavailable):
    """The store holds copies as an earlier version kept them, which are to be moved first."""

    def __init__(self) -> None:
        super().__init__(
            "evidence_url holds copies as an earlier version kept them; move them with `moderator "
            "evidence migrate`"
        )


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep removed."""

    copies: int = 0
    deletions: int = 0


class EvidenceStore:
    """Safe copies by post; safe to use from several threads and members at once.

    Every method may raise whatever the store's files raise; all of them can be tried again.

    Args:
        files: Where all of it lies.
        clock: Seconds since 1970.
    """

    def __init__(self, files: Files, clock: Callable[[], float] = time.time) -> None:
        self._files = files
        self._clock = clock

    def keep(
        self, post_id: str, record: Record, copy: str, make: Callable[[], bytes]
    ) -> str | None:
        """Keep a copy for a post's record, made only where it is not there yet.

        Args:
            post_id: The post that shows it.
            record: The post's record.
            copy: The picture's digest and its view, as a part of a file's name.
            make: Makes the copy.

        Returns:
            Where it lies; None where the post was deleted meanwhile.
        """
        folder, place = post_folder(post_id), Place.of(record)
        name = f"{place}.{copy}"
        there = self._files.names(folder)
        if not is_deleted(place, there):
            found = next((each for each in there if each.startswith(f"{name}.")), None)
            if found is not None:
                return self._files.url(f"{folder}/{found}")
            path = f"{folder}/{name}.{self._now()}{COPY}"
            self._files.write(path, make())
            there = self._files.names(folder)
            if not is_deleted(place, there):
                return self._files.url(path)
        self._remove(folder, [each for each in there if each.startswith(f"{name}.")])
        return None

    def delete(self, post_id: str, record: Record) -> int:
        """Remove the copies of a post's records before the one that deletes it.

        Returns:
            How many copies were removed.

        Raises:
            OldLayoutError: There may be more of them in the layout of an earlier version; those
                in this one were removed.
        """
        folder, place = post_folder(post_id), Place.of(record)
        self._write_deletion(folder, str(place))
        gone = self._remove(folder, _copies_before(place, self._files.names(folder)))
        self.check_layout()
        return gone

    def delete_all(self, post_id: str) -> int:
        """Remove all copies of a post and keep none of it any more, whatever is posted.

        Returns:
            How many copies were removed.

        Raises:
            OldLayoutError: See ``delete``.
        """
        folder = post_folder(post_id)
        self._write_deletion(folder, OPERATOR)
        copies = [each for each in self._files.names(folder) if each.endswith(COPY)]
        gone = self._remove(folder, copies)
        self.check_layout()
        return gone

    def sweep(self, before: float) -> Swept:
        """Remove what was written before a time (seconds since 1970), and what is left.

        What is left: of writers that were cut short.
        """
        self._files.tidy(LEFT_OVER)
        copies = deletions = 0
        for path in list(self._files.walk("kept")):
            written = _written(path)
            if written is None or written >= before * 1000:
                continue
            self._files.remove(path)
            copies += path.endswith(COPY)
            deletions += path.endswith(DELETED)
        return Swept(copies, deletions)

    def due(self, interval: float) -> bool:
        """Whether no member has swept for so many seconds; if so, this one is to."""
        last = self._files.read("swept") or b""
        since = self._now() - int(last) if last.isdigit() else None
        if since is not None and 0 <= since < interval * 1000:
            return False
        self._files.write("swept", str(self._now()).encode())
        return True

    def check_layout(self) -> None:
        """Look for copies in the layout of an earlier version.

        Raises:
            OldLayoutError: There are some.
        """
        if any(self._files.names(folder) for folder in ("named", "copies")):
            raise OldLayoutError

    def _write_deletion(self, folder: str, by: str) -> None:
        there = self._files.names(folder)
        if not any(each.startswith(f"{by}.") and each.endswith(DELETED) for each in there):
            self._files.write(f"{folder}/{by}.{self._now()}{DELETED}", b"")

    def _remove(self, folder: str, names: Iterable[str]) -> int:
        count = 0
        for name in names:
            self._files.remove(f"{folder}/{name}")
            count += 1
        return count

    def _now(self) -> int:
        return int(self._clock() * 1000)


def post_name(post_id: str) -> str:
    """Return the name of a post in the store."""
    return hashlib.sha256(post_id.encode(errors="backslashreplace")).hexdigest()


def post_folder(post_id: str) -> str:
    """Return the folder of a post in the store."""
    return folder_of(post_name(post_id))


def folder_of(post: str) -> str:
    """Return the folder of a post by its name in the store."""
    return f"kept/{post[:2]}/{post}"


def is_deleted(place: Place, names: Iterable[str]) -> bool:
    """Return whether a deletion among the files of a post came after its record at a place."""
    for name in names:
        if not name.endswith(DELETED):
            continue
        by = name.partition(".")[0]
        deletion = Place.parse(by)
        if by == OPERATOR or (deletion is not None and place.before(deletion)):
            return True
    return False


def copy_name(digest: str, view: View) -> str:
    """Return a copy's part of its name; digests as ``records.digest`` gives."""
    return digest.removeprefix("sha256:") + view.copy_suffix


def _copies_before(deletion: Place, names: Iterable[str]) -> list[str]:
    """Return the copies of the records that came before a deletion."""
    found = []
    for name in names:
        place = Place.parse(name.partition(".")[0]) if name.endswith(COPY) else None
        if place is not None and place.before(deletion):
            found.append(name)
    return found


def _written(path: str) -> int | None:
    """Return when a file was written, in milliseconds since 1970; None of what is not ours."""
    parts = path.rpartition("/")[2].split(".")
    ours = len(parts) in (3, 4) and path.endswith((COPY, DELETED))
    return int(parts[-2]) if ours and parts[-2].isdigit() else None
