"""Examine each batch with the release that is active when it is opened.

The pipeline sees one examiner; behind it the release changes between batches. A batch is judged
from beginning to end by what it was opened with: network, policy, cache, overlay and slots. Knows
nothing of where releases come from, or of Kafka.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from prometheus_client import Counter

from moderator.batch import Batch
from moderator.decisions import Decided
from moderator.records import Post
from moderator.rollout.servable import Servable
from moderator.rollout.shadow import Shadow
from moderator.rollout.staging import is_staged

STAGED_POSTS = Counter(
    "moderator_staged_posts_total", "Posts given to the staged release in place of the active one."
)


@dataclass(frozen=True, slots=True)
class InUse:
    """What judges posts now: ``staged`` those of its ``fraction`` (0..1), ``active`` the others.

    ``shadow`` judges the same ones, without any effect.
    """

    active: Servable
    staged: Servable | None = None
    fraction: float = 0.0
    shadow: Shadow | None = None


@dataclass(frozen=True, eq=False, slots=True)
class Piece:
    """The posts of a batch that one release judges; ``places`` are theirs in the batch."""

    servable: Servable
    batch: Batch
    places: Sequence[int]


@dataclass(frozen=True, eq=False, slots=True)
class Split:
    """A batch on its way, by the releases that judge it."""

    pieces: Sequence[Piece]
    size: int
    shadow: Shadow | None = None


class Switch:
    """Takes batches of posts to decisions as an ``Examiner`` does, each by what is in use.

    Args:
        in_use: What judges posts until ``use`` is called.
    """

    def __init__(self, in_use: InUse) -> None:
        self._lock = threading.Lock()
        self._in_use = in_use

    @property
    def in_use(self) -> InUse:
        """What the next batch will be judged by."""
        return self._in_use

    def use(self, in_use: InUse) -> None:
        """Judge every batch that is opened from now on by other releases."""
        with self._lock:
            self._in_use = in_use

    def open(self, posts: Sequence[Post]) -> Split:
        """Begin a batch, see ``Examiner.open``."""
        with self._lock:
            in_use = self._in_use
            entered = [each for each in (in_use.active, in_use.staged) if each is not None]
            # Within the lock: nobody may close one that was chosen but not entered yet.
            for servable in entered:
                servable.enter()
        pieces = []
        for servable in entered:
            places = _places(in_use, servable, posts)
            if places:
                chosen = [posts[place] for place in places]
                batch = servable.parts.examiner.open(chosen)
                if in_use.shadow is not None and in_use.shadow.needs_bytes(servable):
                    batch.hold()
                pieces.append(Piece(servable, batch, places))
            else:
                servable.leave()
        return Split(pieces, len(posts), in_use.shadow)

    def prepare(self, split: Split) -> None:
        """See ``Examiner.prepare``."""
        for piece in split.pieces:
            piece.servable.parts.examiner.prepare(piece.batch)

    def embed(self, split: Split) -> None:
        """See ``Examiner.embed``."""
        for piece in split.pieces:
            examiner = piece.servable.parts.examiner
            frames = examiner.collect(piece.batch)
            if split.shadow is not None:
                # Before the network has them: after it, their slots may hold others.
                split.shadow.offer_decoded(piece.servable, piece.batch)
            examiner.submit(piece.batch, frames)

    def judge(self, split: Split) -> list[Decided]:
        """See ``Examiner.judge``; decisions come in the order of the posts.

        Raises:
            Unavailable: A network cannot be had any more.
        """
        placed: dict[int, Decided] = {}
        for piece in split.pieces:
            decided = piece.servable.parts.examiner.judge(piece.batch)
            placed.update(zip(piece.places, decided, strict=True))
            if split.shadow is not None:
                split.shadow.offer_embedded(piece.servable, piece.batch)
            piece.servable.leave()
        return [placed[place] for place in range(split.size)]

    def take_data(self, split: Split) -> dict[str, bytes]:
        """See ``Examiner.take_data``."""
        found: dict[str, bytes] = {}
        for piece in split.pieces:
            found.update(piece.servable.parts.examiner.take_data(piece.batch))
        return found

    def published(self, decided: Sequence[Decided], count: int) -> None:
        """Tell the shadow which decisions were committed; of a part of them it is not known."""
        shadow = self._in_use.shadow
        if shadow is not None:
            shadow.published(decided, whole=count == len(decided))

    def drop(self, split: Split) -> None:
        """See ``Examiner.drop``."""
        for piece in split.pieces:
            piece.servable.parts.examiner.drop(piece.batch)
            piece.servable.leave()


def _places(in_use: InUse, servable: Servable, posts: Sequence[Post]) -> list[int]:
    """Return the places of the posts that one of the two releases judges."""
    if in_use.staged is None:
        return list(range(len(posts)))
    theirs = [is_staged(post.post_id, in_use.fraction) for post in posts]
    wanted = servable is in_use.staged
    places = [place for place, staged in enumerate(theirs) if staged == wanted]
    if wanted:
        STAGED_POSTS.inc(len(places))
    return places
