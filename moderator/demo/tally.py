"""Decisions held against the truth, and what they come to. Knows nothing of Kafka or screens."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from moderator.demo.posts import DemoPost

Mark = Literal["right", "other type", "wrong", "unknown"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A decided post; ``age`` is seconds from posting it to reading its decision.

    ``types`` holds (name as people read it, score in 0..1), best first.
    """

    post: DemoPost
    decision: str
    reason: str
    types: tuple[tuple[str, float], ...]
    cached: bool
    age: float
    mark: Mark


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run came to; ages and ``seconds`` in seconds."""

    posted: int
    decided: int
    flagged: int
    wrong: int
    other_type: int
    unknown: int
    repeats: int
    cached_repeats: int
    seconds: float
    age_p50: float
    age_p99: float

    @property
    def images_per_second(self) -> float:
        """Decided images (one a post) per second."""
        return self.decided / self.seconds if self.seconds > 0 else 0.0


def outcome(post: DemoPost, decision: Mapping[str, Any], age: float) -> Outcome:
    """Hold a ``decision/1`` record against the truth about its post."""
    types = decision["types"]
    return Outcome(
        post=post,
        decision=decision["decision"],
        reason=decision["reason"],
        types=tuple((item["name"], item["score"]) for item in types),
        cached=decision["cached"],
        age=age,
        mark=_mark(post, decision),
    )


def _mark(post: DemoPost, decision: Mapping[str, Any]) -> Mark:
    """Say whether a decision is right; that of a firearm is so only if its type is, too."""
    if post.expected is None:
        return "unknown"
    if decision["decision"] != post.expected:
        return "wrong"
    # Flagged, but because it could not be judged, or judged though it is no image: wrong as well.
    expected = post.reason or ("match" if post.expected == "flag" else None)
    if expected is not None and decision["reason"] != expected:
        return "wrong"
    best = decision["types"][0]["type"] if decision["types"] else None
    return "other type" if post.type is not None and best != post.type else "right"


def summary(outcomes: Sequence[Outcome], posted: int, seconds: float) -> Summary:
    """Sum up.

    Args:
        outcomes: One a decided post.
        posted: Posts that were posted.
        seconds: From the first post to the last decision.
    """
    ages = sorted(each.age for each in outcomes)
    repeats = [each for each in outcomes if each.post.repeats is not None]
    return Summary(
        posted=posted,
        decided=len(outcomes),
        flagged=sum(each.decision == "flag" for each in outcomes),
        wrong=sum(each.mark == "wrong" for each in outcomes),
        other_type=sum(each.mark == "other type" for each in outcomes),
        unknown=sum(each.mark == "unknown" for each in outcomes),
        repeats=len(repeats),
        cached_repeats=sum(each.cached for each in repeats),
        seconds=seconds,
        age_p50=percentile(ages, 50),
        age_p99=percentile(ages, 99),
    )


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile of ascending values, ``share`` in percent; 0 of none."""
    if not ordered:
        return 0.0
    return ordered[max(0, math.ceil(share / 100 * len(ordered)) - 1)]
