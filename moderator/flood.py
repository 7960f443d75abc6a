"""Find prototypes that suddenly flag far more than they used to. Pure; the time is passed in.

Such a prototype is *held*: its flags go on, and are marked. One floods where, within a window,

- it flags at least ``least`` posts,
- these are at least ``share`` of all posts decided, and
- that is at least ``factor`` times the share of posts that it flagged before.

Shares are compared and not rates, so that a rush of posts, or one member's catching up with a
backlog, floods nothing. What was before decays with a half-life. Until there is any history,
``share`` is taken for it, with the weight of as many posts as hold ``least`` flags at that share:
to begin with, a prototype has to take ``factor`` times ``share`` of all posts. What a held
prototype flags is no part of its history, or a long flood would become what is usual. It is let go
after ``quiet`` seconds in which it did not flood.

A step changes nothing: it returns marks and a change, and only a change that is kept counts. So a
batch whose transaction was aborted is marked anew from the very state it was marked from before.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

PIECES = 10
"""Pieces of a window, the oldest of which leaves it as a whole."""


@dataclass(frozen=True, slots=True)
class FloodRules:
    """When a prototype floods; seconds, posts and shares of them in 0..1."""

    least: int
    share: float
    factor: float
    window: float
    history: float
    quiet: float
    prototypes: int

    def floods(self, flags: "Tally", posts: "Tally") -> bool:
        """Whether what is in the window of a prototype is a flood; both are of one moment."""
        inside = flags.inside
        if inside < self.least:
            return False
        prior = self.least / self.share
        usual = (flags.before + self.share * prior) / (posts.before + prior)
        return inside >= max(self.share, self.factor * usual) * posts.inside


@dataclass(frozen=True, slots=True)
class Tally:
    """How often something happened: by pieces of the window, and decayed before that.

    ``pieces`` holds (number of the piece, count), the oldest first; ``before`` is as of ``at``, in
    seconds of a clock that only runs on. ``flooded`` is when it flooded last, for one that is held.
    """

    pieces: tuple[tuple[int, int], ...] = ()
    before: float = 0.0
    at: float = 0.0
    flooded: float | None = None

    @property
    def inside(self) -> int:
        """How often within the window."""
        return sum(count for _, count in self.pieces)

    def rolled(self, now: float, rules: FloodRules) -> "Tally":
        """Return it as of ``now``: what has left the window is before it, unless it was held."""
        length = rules.window / PIECES
        oldest = int(now // length) - PIECES + 1
        kept = tuple(piece for piece in self.pieces if piece[0] >= oldest)
        before = self.before * _left(now - self.at, rules)
        if self.flooded is None:
            for number, count in self.pieces[: len(self.pieces) - len(kept)]:
                before += count * _left(now - (number + 1) * length, rules)
        return replace(self, pieces=kept, before=before, at=now)

    def once_more(self, now: float, rules: FloodRules) -> "Tally":
        """Return it, as of ``now``, with one more."""
        number = int(now // (rules.window / PIECES))
        *older, last = self.pieces or ((number, 0),)
        if last[0] == number:
            return replace(self, pieces=(*older, (number, last[1] + 1)))
        return replace(self, pieces=(*self.pieces, (number, 1)))


@dataclass(frozen=True, slots=True)
class Change:
    """What a step would change: the tally of all posts, and those of prototypes."""

    posts: Tally
    flags: Mapping[str, Tally]
    held: tuple[str, ...] = ()
    released: tuple[str, ...] = ()


@dataclass(slots=True)
class Breaker:
    """Counts what prototypes flag, for as many of them as the rules say.

    Not safe for threads; it belongs to the one that publishes.
    """

    rules: FloodRules
    _posts: Tally = field(default_factory=Tally)
    _flags: OrderedDict[str, Tally] = field(default_factory=OrderedDict)
    _held: set[str] = field(default_factory=set)

    @property
    def held(self) -> frozenset[str]:
        """The prototypes that are held."""
        return frozenset(self._held)

    @property
    def known(self) -> int:
        """How many prototypes are counted."""
        return len(self._flags)

    def step(self, posts: Sequence[str | None], now: float) -> tuple[list[bool], Change]:
        """Mark the posts of a batch, changing nothing.

        Args:
            posts: For each post in its order, the prototype that its flag hangs on; None where
                it is not flagged, or hangs on none.
            now: Seconds of a clock that only runs on.

        Returns:
            Which posts are part of a flood, and what ``keep`` takes to count them.
        """
        now = max(now, self._posts.at)
        change = self._quietened(now)
        flags = dict(change.flags)
        total = change.posts
        marks = []
        for prototype in posts:
            total = total.once_more(now, self.rules)
            if prototype is not None:
                flags[prototype] = self._flagged(prototype, flags, total, now)
            marks.append(prototype is not None and flags[prototype].flooded is not None)
        held = tuple(
            name
            for name, tally in flags.items()
            if tally.flooded is not None and name not in self._held
        )
        # One that was let go and floods at once was not let go.
        released = tuple(name for name in change.released if flags[name].flooded is None)
        return marks, Change(total, flags, held, released)

    def keep(self, change: Change) -> None:
        """Have a step counted."""
        self._posts = change.posts
        for name, tally in change.flags.items():
            self._flags[name] = tally
            if name not in change.released:
                self._flags.move_to_end(name)
        self._held -= set(change.released)
        self._held |= set(change.held)
        while len(self._flags) > self.rules.prototypes:
            name = next(self._least_wanted())
            del self._flags[name]
            self._held.discard(name)

    def _flagged(
        self, prototype: str, flags: Mapping[str, Tally], posts: Tally, now: float
    ) -> Tally:
        tally = flags.get(prototype) or self._flags.get(prototype) or Tally(at=now)
        tally = tally.rolled(now, self.rules).once_more(now, self.rules)
        return replace(tally, flooded=now) if self.rules.floods(tally, posts) else tally

    def _quietened(self, now: float) -> Change:
        """Return what time alone changes: what has left the window, and who is let go."""
        flags = {}
        for name in sorted(self._held):
            tally = self._flags[name]
            if tally.flooded is not None and now - tally.flooded >= self.rules.quiet:
                flags[name] = replace(tally.rolled(now, self.rules), flooded=None)
        return Change(self._posts.rolled(now, self.rules), flags, released=tuple(flags))

    def _least_wanted(self) -> Iterator[str]:
        """Yield prototypes, those that flagged longest ago first, the held ones last."""
        yield from (name for name in self._flags if name not in self._held)
        yield from self._flags


def _left(seconds: float, rules: FloodRules) -> float:
    """Return what is left of a count after a time."""
    return float(2.0 ** (-max(0.0, seconds) / rules.history))
