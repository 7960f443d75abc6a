"""Recognise and check canaries where posts are decided, and say in log and metrics how they did."""

import logging
import time
from collections.abc import Iterable

from prometheus_client import Counter, Gauge

from moderator.canary import Expectation, NoCanary, recognised
from moderator.concerns.canaries import Canaries
from moderator.decisions import Decided
from moderator.records import Record, decision_id

logger = logging.getLogger(__name__)

CANARIES = Counter("moderator_canaries_total", "Canaries decided: right or wrong.", ["outcome"])
REFUSED = Counter(
    "moderator_canaries_refused_total",
    "Posts that said they were canaries and were decided as ordinary ones, by cause.",
    ["cause"],
)
LAST_SEEN = Gauge(
    "moderator_canary_last_seen_timestamp_seconds",
    "When this member last published a canary's decision, in seconds since 1970; 0: never.",
)


class CanaryWatch:
    """Tells canaries from posts by the secret that signs them."""

    def __init__(self, settings: Canaries) -> None:
        self._secret = settings.secret("canary_secret")

    def expected(self, record: Record) -> Expectation | None:
        """Return what is expected of a canary; None of a post, whatever it says of itself."""
        try:
            return recognised(record, self._secret)
        except NoCanary as error:
            REFUSED.labels(error.cause).inc()
            logger.warning(
                "%s says that it is a canary, and is decided as a post: %s",
                decision_id(record),
                error.cause,
            )
            return None


def count_canaries(decided: Iterable[Decided]) -> None:
    """Count the canaries among published posts; each wrong one is an error in the log."""
    for each in decided:
        canary = each.canary
        if canary is None:
            continue
        LAST_SEEN.set(time.time())
        CANARIES.labels("right" if canary.right else "wrong").inc()
        if not canary.right:
            best = each.decision.types[0].type if each.decision.types else None
            logger.error(
                "canary %s was answered wrong: expected %s, type %s; decided %s (%s), type %s",
                each.post.decision_id,
                canary.expected.decision,
                canary.expected.type or "any",
                each.decision.decision,
                each.decision.reason,
                best,
            )
