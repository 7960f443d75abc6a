"""Find releases whose thresholds flag nearly everything, by what a release itself holds."""

import numpy as np

from models.release import Release
from moderator.rules import find

MOST = 0.5
"""Share of harmless photographs that a release may flag by its own report."""

FLAGS_ALL = "choose its policy anew with `python -m training calibrate`, or give --flags-all"


def flags_nearly_all(release: Release) -> str | None:
    """Return how it shows that a release flags nearly everything, None where it does not.

    The drawings of its self-test show no firearm, and its report may say what share of harmless
    photographs it flags.
    """
    rows = np.concatenate(release.selftest.embeddings).astype(np.float32)
    soft = release.policy.temperature is not None
    query = release.index.query_kinds if soft else release.index.query
    found = [find(near, release.policy, 0.0) for near in query(rows, release.policy.neighbours)]
    if found and all(each.reason == "match" for each in found):
        return (
            f"release {release.id} flags nearly everything: all {len(found)} drawings of its "
            "self-test, which show no firearm"
        )
    share = _reported(release)
    if share is not None and share > MOST:
        return (
            f"release {release.id} flags nearly everything: {share:.0%} of the harmless "
            "photographs of its report"
        )
    return None


def _reported(release: Release) -> float | None:
    """Return the share of harmless photographs that are flagged, of the test where there is one."""
    figures = release.report.get("figures")
    for side in ("test", "threshold"):
        try:
            return float(figures[side]["flags"]["at_threshold"]["false_flags"])  # type: ignore[index]
        except (KeyError, TypeError, ValueError):
            continue
    return None
