"""Move a store of copies from the layout of earlier versions to the one in use.

There, copies were shared, and these files said by whom (``ab`` are the first digits of what
follows)::

    copies/ab/cd/<copy>.jpg         the copy
    named/ab/<copy>/<post>          a post shows the copy
    named/ab/<copy>/removing-<n>    somebody was about to remove the copy
    posts/ab/<post>/<copy>          the same as ``named``, to be found by the post
    posts/ab/<post>/deleted         its author deleted the post

Each post gets a copy of its own. What was moved is removed last of all, so that a move that was cut
short is done by doing it again.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from moderator.evidence.files import Files
from moderator.evidence.store import COPY, DELETED, folder_of, is_deleted
from moderator.order import Place

REMOVING = "removing-"
SAID = ("partition", "offset", "timestamp", "time")
"""What was written down of where a record lay; which topic of its name it was is not known."""


@dataclass(frozen=True, slots=True)
class Moved:
    """One file that was moved, or removed where there is no ``target``; both are URLs."""

    source: str
    target: str | None


@dataclass(frozen=True, slots=True)
class _Mention:
    """What a file said: the record that it was there for, and when it was written (ms)."""

    place: Place
    time: int

    @classmethod
    def decode(cls, data: bytes) -> "_Mention":
        """Return what a file says; what is none of ours is too old to be moved."""
        try:
            said = json.loads(data)
            partition, offset, timestamp, time = (int(said[name]) for name in SAID)
        except (ValueError, TypeError, KeyError, OverflowError):
            return cls(Place("", 0, 0, -1), 0)
        return cls(Place("", partition, offset, timestamp), max(0, time))


def migrate(files: Files, before: float) -> Iterator[Moved]:
    """Move all that is in the old layout, and yield what was done as it is done.

    Args:
        files: The store. No member of an earlier version may use it any more.
        before: Seconds since 1970; what was written before then is removed, not moved.
    """
    yield from _move_deletions(files)
    shown = set()
    for path in list(files.walk("named")):
        copy, post = path.split("/")[-2:]
        if not post.startswith(REMOVING):
            for moved in _move_copy(files, copy, post, before):
                shown.add(moved.source)
                yield moved
        files.remove(path)
    for path in list(files.walk("copies")):
        files.remove(path)
        if files.url(path) not in shown:
            yield Moved(files.url(path), None)
    for path in list(files.walk("posts")):
        files.remove(path)


def _move_deletions(files: Files) -> Iterator[Moved]:
    """Move deletions, before the copies that they are to remove."""
    for path in list(files.walk("posts")):
        post, name = path.split("/")[-2:]
        data = files.read(path) if name == "deleted" else None
        if data is None:
            continue
        mention = _Mention.decode(data)
        target = f"{folder_of(post)}/{mention.place}.{mention.time}{DELETED}"
        files.write(target, b"")
        files.remove(path)
        yield Moved(files.url(path), files.url(target))


def _move_copy(files: Files, copy: str, post: str, before: float) -> Iterator[Moved]:
    """Give a post a copy of its own, unless it was deleted or has shown it for too long."""
    source = f"copies/{copy[:2]}/{copy[2:4]}/{copy}.jpg"
    said = files.read(f"named/{copy[:2]}/{copy}/{post}")
    data = files.read(source)
    if said is None or data is None:
        return
    mention, folder = _Mention.decode(said), folder_of(post)
    if mention.time < before * 1000 or is_deleted(mention.place, files.names(folder)):
        return
    target = f"{folder}/{mention.place}.{copy}.{mention.time}{COPY}"
    files.write(target, data)
    yield Moved(files.url(source), files.url(target))
