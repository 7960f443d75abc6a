"""Mark the decisions of a flood, and say in log and metrics which prototypes are held.

The decisions stay what they are: a mark lets the review queue group what one prototype flags. What
is usual is known to each member for itself, in memory: after a restart it is learnt anew, and
members hold and let go by what their own partitions show. Posts are spread over partitions by
their ids, so that shares are alike on all; ``flood_least`` counts for each member alone.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from prometheus_client import Counter, Gauge

from moderator.concerns.flood import Flood
from moderator.decide import Reason
from moderator.decisions import Decided
from moderator.flood import Breaker, Change, FloodRules

logger = logging.getLogger(__name__)

HELD = Gauge("moderator_flood_held_prototypes", "Prototypes that flag far more than they used to.")
FLOOD_FLAGS = Counter("moderator_flood_flags_total", "Flagged posts marked as part of a flood.")

BY_PROTOTYPE: tuple[Reason, ...] = ("match", "near-miss", "override")
"""Reasons of flags that hang on a prototype."""


@dataclass(frozen=True, slots=True)
class Marked:
    """A batch with its marks, and what is to be kept of it once it is published."""

    decided: Sequence[Decided]
    change: Change | None = None


class FloodMarks:
    """Marks batches in the order in which they are published, on the publishing thread alone."""

    def __init__(self, settings: Flood) -> None:
        rules = FloodRules(
            least=settings.flood_least,
            share=settings.flood_share,
            factor=settings.flood_factor,
            window=settings.flood_window,
            history=settings.flood_history,
            quiet=settings.flood_quiet,
            prototypes=settings.flood_prototypes,
        )
        self._breaker = Breaker(rules)
        self._on = settings.flood_least > 0

    def mark(self, decided: Sequence[Decided], now: float) -> Marked:
        """Return posts with the marks they are published with; nothing is counted yet.

        Args:
            decided: The posts that are about to be published.
            now: Monotonic seconds; the same however often the batch is tried.
        """
        if not self._on:
            return Marked(decided)
        # Canaries are no posts: what they flag says nothing of what people post.
        posts = [place for place, each in enumerate(decided) if each.canary is None]
        hanging = [hangs_on(decided[place]) for place in posts]
        marks, change = self._breaker.step(hanging, now)
        marked = list(decided)
        for place, prototype, mark in zip(posts, hanging, marks, strict=True):
            if mark:
                marked[place] = replace(decided[place], flood=prototype)
        return Marked(marked, change)

    def published(self, marked: Marked) -> None:
        """Count a batch that is published now."""
        if marked.change is None:
            return
        self._breaker.keep(marked.change)
        HELD.set(len(self._breaker.held))
        FLOOD_FLAGS.inc(sum(each.flood is not None for each in marked.decided))
        for name in marked.change.held:
            logger.warning("prototype %s floods: its flags are marked until it is quiet", name)
        for name in marked.change.released:
            logger.warning("prototype %s is quiet again: its flags are marked no more", name)


def hangs_on(decided: Decided) -> str | None:
    """Return the prototype that a post's flag hangs on: the nearest firearm of its worst image.

    None where it is not flagged or could not be judged, and where so many look-alikes are nearer
    that the decision lists no firearm.
    """
    decision = decided.decision
    if decision.decision != "flag" or decision.reason not in BY_PROTOTYPE:
        return None
    evidence = decided.images[decision.worst or 0].decision.evidence
    if decision.reason == "override":
        return evidence[0].id
    return next((item.id for item in evidence if item.kind == "firearm"), None)
