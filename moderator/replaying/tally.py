"""What a replay comes to, counted as it goes; memory does not grow with the range. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from moderator.replaying.outcome import CLOSE, Change, Outcome, Status, change, drift, status

LISTED = 20
"""Posts whose old decision is missing that are listed by name; all are in the output."""

MOST_KINDS = 1000
"""Different reasons and types that are counted apart; the rest is counted together."""

NONE = "none"
"""Type of a decision that names none."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A post decided again; ``closest`` is how near the new decision is to another."""

    decision_id: str
    post_id: str
    source: dict[str, Any]
    status: Status
    change: Change | None
    closest: float
    old: Outcome | None
    new: Outcome
    record: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return the ``replay/1`` record: how the decision differs, the old one and the new."""
        return {
            "schema": "replay/1",
            "decision_id": self.decision_id,
            "post_id": self.post_id,
            "source": self.source,
            "status": self.status,
            "change": self.change,
            "near_threshold": self.closest <= CLOSE,
            "closest": round(self.closest, 7) if self.closest <= 2 else None,
            "old": None if self.old is None else _shown(self.old),
            "new": self.record,
        }


def compared(record: dict[str, Any], new: Outcome, old: Outcome | None, closest: float) -> Compared:
    """Hold a new decision (its ``decision/1`` record and what is kept of it) against an old one."""
    return Compared(
        decision_id=record["decision_id"],
        post_id=record["post_id"],
        source=record["source"],
        status=status(old, new, closest),
        change=None if old is None else change(old, new),
        closest=closest,
        old=old,
        new=new,
        record=record,
    )


def _shown(outcome: Outcome) -> dict[str, Any]:
    names = ("decision", "reason", "cause", "types", "release", "network", "overlay")
    body = outcome.to_json()
    return {name: body[name] for name in names}


@dataclass(slots=True)
class Tally:
    """Counts posts decided again.

    ``near_changed`` are those of the posts near a threshold whose decision differs;
    ``unfetched`` those of which an image could not be fetched now, whatever was before; ``lost``
    and ``cut`` are of ranges that begin before what is left of the topic.
    """

    posts: int = 0
    offsets: int = 0
    deletions: int = 0
    unfetched: int = 0
    unreadable: int = 0
    near_changed: int = 0
    drift: float | None = None
    interrupted: bool = False
    lost: dict[int, int] = field(default_factory=dict)
    cut: dict[int, int] = field(default_factory=dict)
    statuses: Counter[str] = field(default_factory=Counter)
    changes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    types: Counter[tuple[str, str]] = field(default_factory=Counter)
    releases: Counter[str] = field(default_factory=Counter)
    overlays: tuple[int, int] | None = None
    missing: list[str] = field(default_factory=list)

    def add(self, post: Compared) -> None:
        """Count a post."""
        self.posts += 1
        self.statuses[post.status] += 1
        self.deletions += post.new.reason == "deleted"
        self.unfetched += post.new.unreachable
        if post.old is None:
            if len(self.missing) < LISTED:
                self.missing.append(post.decision_id)
            return
        self._old(post.old)
        self.near_changed += post.status == "near-threshold" and post.change is not None
        gap = drift(post.old, post.new)
        self.drift = gap if self.drift is None else max(self.drift, gap or 0.0)
        if post.status == "changed" and post.change is not None:
            self.changes[post.change] += 1
            _count(self.reasons, (post.old.reason, post.new.reason))
            _count(self.types, (_of_type(post.old, post.new, post.change), post.change))

    @property
    def without_record(self) -> int:
        """Offsets of the range that held no record: marks of transactions, or compacted away."""
        return 0 if self.interrupted else max(0, self.offsets - self.posts)

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain data."""
        return {
            "schema": "replay-summary/1",
            "posts": self.posts,
            "statuses": {name: self.statuses[name] for name in STATUSES},
            "changes": {name: self.changes[name] for name in CHANGES},
            "reasons": [
                {"old": old, "new": new, "posts": count}
                for (old, new), count in self.reasons.most_common()
            ],
            "types": [
                {"type": name, "change": kind, "posts": count}
                for (name, kind), count in self.types.most_common()
            ],
            "near_threshold_changed": self.near_changed,
            "largest_similarity_difference": self.drift,
            "missing": self.missing,
            "deletions": self.deletions,
            "unfetched": self.unfetched,
            "offsets_lost": {str(partition): count for partition, count in self.lost.items()},
            "begins_at_oldest": {str(partition): at for partition, at in self.cut.items()},
            "offsets_without_record": self.without_record,
            "unreadable_decisions": self.unreadable,
            "old_releases": dict(self.releases),
            "old_overlays": None if self.overlays is None else list(self.overlays),
            "interrupted": self.interrupted,
        }

    def _old(self, old: Outcome) -> None:
        _count(self.releases, old.release)
        low, high = self.overlays or (old.overlay, old.overlay)
        self.overlays = min(low, old.overlay), max(high, old.overlay)


STATUSES: Sequence[Status] = ("same", "changed", "near-threshold", "unreachable", "missing")
CHANGES: Sequence[Change] = ("flag-to-pass", "pass-to-flag", "reason", "type", "order")


def _of_type(old: Outcome, new: Outcome, kind: Change) -> str:
    """Return the type that a change is counted under: of a flag its own, of two types both."""
    before, after = (next(iter(each.types), NONE) for each in (old, new))
    if kind == "type":
        return f"{before} -> {after}"
    return after if kind == "pass-to-flag" else before


def _count(counter: Counter[Any], name: Any) -> None:
    if name in counter or len(counter) < MOST_KINDS:
        counter[name] += 1
    else:
        other = ("other", "other") if isinstance(name, tuple) else "other"
        counter[other] += 1
