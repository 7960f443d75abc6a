"""Where safe copies lie, which posts show them, and how they go again. Decodes nothing.

Copies are shared: the same picture in two posts is one copy, which stays for as long as one of
them does. There is no database; these small files say all (``ab`` are the first digits of what
follows, so that no folder grows large)::

    copies/ab/cd/<copy>.jpg         the copy; its name is the content digest of the picture, and
                                    ``View.copy_suffix`` of what it shows
    named/ab/<copy>/<post>          a post shows the copy; <post> is the SHA-256 of its id
    named/ab/<copy>/removing-<n>    somebody is about to remove the copy; <n> is random
    posts/ab/<post>/<copy>          the same as ``named``, to be found by the post
    posts/ab/<post>/deleted         its author deleted the post

A file is never changed, only replaced as a whole, and no two members write different things into
one, so that each step can be done twice. The order of the steps is what makes them safe:

*To keep* a copy: say that the post shows it (both files), wait until nobody is about to remove it,
write it unless it is there, and look whether the post was deleted meanwhile; then take all back.

*To remove* what a post shows: say that it is about to go, look whether it still should, take back
``named``, remove the copy if no post is left, take back the announcement, and ``posts`` last, so
that what was cut short is found again. Whoever keeps writes ``named`` before it looks for
announcements, whoever removes announces before it looks for ``named``: one of the two sees the
other, so no copy goes that a post shows.

*To delete* a post: write ``deleted`` first, then remove all that it shows. Whoever keeps looks for
``deleted`` last: one of the two sees the other. ``deleted`` stays, since a post whose image could
not be had at first may be judged after it was deleted; it says which record deleted the post, so
that a later post of the same id is kept again.

A crash leaves at worst: names without a copy, and copies or announcements that nobody needs (an
announcement counts for a minute). What is done again after it (records are read again unless they
were committed) mends all but what a member did that had lost its partition; the sweep takes what
is left. Rules of an object store that let files expire may stand in for the sweep, if they go by
prefix: ``copies/`` later than the others, and never sooner than posts are read again.
"""

import hashlib
import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

from moderator.decoding.view import View
from moderator.errors import Unavailable
from moderator.evidence.files import Files
from moderator.records import Record

REMOVING = "removing-"
DELETED = "deleted"
NOBODY = "nobody"

PATIENCE = 1.0
"""Seconds that a copy which is being removed is waited for."""

STALE = 60.0
"""Seconds after which an announcement is one of a member that was cut short."""

LEFT_OVER = 3600.0
"""Seconds after which a file that is being written is one of a member that was cut short."""


@dataclass(frozen=True, slots=True)
class Mention:
    """The record that a file is there for, and when it was written.

    ``timestamp`` (the record's own) and ``time`` are in milliseconds since 1970.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    time: int

    @classmethod
    def of(cls, record: Record, now: float) -> "Mention":
        """Return what to write for a record."""
        at = (record.topic, record.partition, record.offset, record.timestamp)
        return cls(*at, int(now * 1000))

    def before(self, other: "Mention") -> bool:
        """Whether the record came before another one; without one order, by their timestamps."""
        if (self.topic, self.partition) == (other.topic, other.partition):
            return self.offset < other.offset
        return self.timestamp <= other.timestamp

    def encode(self) -> bytes:
        """Return the bytes of the file."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, data: bytes) -> "Mention":
        """Return what a file says; what is none of ours counts as old."""
        try:
            return cls(**json.loads(data))
        except (ValueError, TypeError):
            return cls("", 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep removed."""

    names: int = 0
    copies: int = 0


def post_name(post_id: str) -> str:
    """Return the name of a post in the store."""
    return hashlib.sha256(post_id.encode(errors="backslashreplace")).hexdigest()


def copy_name(digest: str, view: View) -> str:
    """Return the name of the copy of a picture's view; digests as ``records.digest`` gives."""
    return digest.removeprefix("sha256:") + view.copy_suffix


class EvidenceStore:
    """Safe copies by content; safe to use from several threads and members at once.

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
        """Keep a copy for a post, made only where it is not there yet.

        Args:
            post_id: The post that shows it.
            record: The post's record.
            copy: Its name, see ``copy_name``.
            make: Makes the copy.

        Returns:
            Where it lies; None where the post was deleted meanwhile.

        Raises:
            Unavailable: Somebody has been removing it for too long.
        """
        post, mention = post_name(post_id), Mention.of(record, self._clock())
        if self._undone(post, copy, mention):
            return None
        self._files.write(_shows(post, copy), mention.encode())
        self._files.write(_named(copy, post), mention.encode())
        self._await_removal(copy)
        if not self._files.exists(_path(copy)):
            self._files.write(_path(copy), make())
        if self._undone(post, copy, mention):
            return None
        return self._files.url(_path(copy))

    def delete(self, post_id: str, record: Record) -> int:
        """Remove what a post showed before a record that deleted it; return how many copies went.

        Copies that other posts show stay.
        """
        post, mention = post_name(post_id), Mention.of(record, self._clock())
        earlier = self._mention(_deleted(post))
        if earlier is None or earlier.before(mention):
            self._files.write(_deleted(post), mention.encode())
        gone = 0
        for copy in self._files.names(_folder(post)):
            shown = None if copy == DELETED else self._mention(_shows(post, copy))
            if shown is not None and shown.before(mention):
                gone += self._drop(copy, post, lambda each: each.before(mention))
        return gone

    def sweep(self, before: float) -> Swept:
        """Remove what no post has shown since ``before`` (seconds since 1970), and what is left.

        What is left: of writers and removers that were cut short.
        """
        names = copies = 0
        self._files.tidy(LEFT_OVER)
        # Copies are listed first: each was named before it was written.
        there = [_copy_of(path) for path in self._files.walk("copies")]
        for path in list(self._files.walk("named")):
            copy, who = path.split("/")[-2:]
            mention = self._mention(path)
            if mention is None:
                continue
            if who.startswith(REMOVING):
                self._forget_stale(path, mention)
            elif mention.time < before * 1000:
                copies += self._drop(copy, who, lambda each: each.time < before * 1000)
                names += 1
        for copy in there:
            copies += 0 if self._posts(copy) else self._drop(copy, NOBODY, lambda _: True)
        for path in list(self._files.walk("posts")):
            names += self._sweep_post(path, before)
        return Swept(names, copies)

    def due(self, interval: float) -> bool:
        """Whether no member has swept for so many seconds; if so, this one is to."""
        now = self._clock()
        last = self._mention("swept")
        if last is not None and 0 <= now - last.time / 1000 < interval:
            return False
        self._files.write("swept", Mention("", 0, 0, 0, int(now * 1000)).encode())
        return True

    def _sweep_post(self, path: str, before: float) -> int:
        """Remove a file by post that is old, and not needed to find a copy any more."""
        post, copy = path.split("/")[-2:]
        mention = self._mention(path)
        if mention is None or mention.time >= before * 1000:
            return 0
        if copy == DELETED or not self._files.exists(_named(copy, post)):
            self._files.remove(path)
            return 1
        return 0

    def _drop(self, copy: str, post: str, should: Callable[[Mention], bool]) -> int:
        """Take back that a post shows a copy, if by what it says it should be taken back.

        Returns:
            1 where the copy went with it, else 0.
        """
        announced, begun = _named(copy, f"{REMOVING}{uuid.uuid4().hex}"), self._clock()
        self._files.write(announced, Mention("", 0, 0, 0, int(begun * 1000)).encode())
        # Asked only now: whoever writes it anew from here on sees the announcement.
        found = self._mention(_named(copy, post))
        if found is not None and not should(found):
            self._files.remove(announced)
            return 0
        self._files.remove(_named(copy, post))
        last = not self._posts(copy) and self._files.exists(_path(copy))
        if last and self._clock() - begun > STALE / 2:
            self._files.remove(announced)
            raise Unavailable(f"removing copy {copy} took too long to be safe")
        if last:
            self._files.remove(_path(copy))
        self._files.remove(announced)
        self._files.remove(_shows(post, copy))
        return int(last)

    def _undone(self, post: str, copy: str, mention: Mention) -> bool:
        """Take back that a post shows a copy where the post was deleted, and say whether it was."""
        deletion = self._mention(_deleted(post))
        if deletion is None or not mention.before(deletion):
            return False
        self._drop(copy, post, lambda each: each.before(deletion))
        return True

    def _posts(self, copy: str) -> list[str]:
        return [who for who in self._files.names(_names(copy)) if not who.startswith(REMOVING)]

    def _await_removal(self, copy: str) -> None:
        end = time.monotonic() + PATIENCE
        while any(self._announcements(copy)):
            if time.monotonic() > end:
                raise Unavailable(f"copy {copy} is being removed")
            time.sleep(0.02)

    def _announcements(self, copy: str) -> Iterator[str]:
        for who in self._files.names(_names(copy)):
            if not who.startswith(REMOVING):
                continue
            mention = self._mention(_named(copy, who))
            if mention is not None and self._clock() - mention.time / 1000 < STALE:
                yield who

    def _forget_stale(self, path: str, mention: Mention) -> None:
        if self._clock() - mention.time / 1000 >= STALE:
            self._files.remove(path)

    def _mention(self, path: str) -> Mention | None:
        data = self._files.read(path)
        return None if data is None else Mention.decode(data)


def _path(copy: str) -> str:
    return f"copies/{copy[:2]}/{copy[2:4]}/{copy}.jpg"


def _copy_of(path: str) -> str:
    return path.rpartition("/")[2].removesuffix(".jpg")


def _names(copy: str) -> str:
    return f"named/{copy[:2]}/{copy}"


def _named(copy: str, who: str) -> str:
    return f"{_names(copy)}/{who}"


def _folder(post: str) -> str:
    return f"posts/{post[:2]}/{post}"


def _shows(post: str, copy: str) -> str:
    return f"{_folder(post)}/{copy}"


def _deleted(post: str) -> str:
    return _shows(post, DELETED)
