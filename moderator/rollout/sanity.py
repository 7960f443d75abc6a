"""Find releases whose thresholds flag nearly everything, by what a release itself holds."""

from collections.abc import Mapping, Sequence

import numpy as np

from models.release import Release
from models.scoring import Scorer
from moderator.rules import find, neighbours_for

MOST = 0.5
"""Share of harmless photographs that a release may flag by its own report."""

FLAGS_ALL = "choose its policy anew with `python -m training calibrate`, or give --flags-all"


def flags_nearly_all(release: Release) -> str | None:
    """Return how it shows that a release flags nearly everything, None where it does not.

    The drawings of its self-test show no firearm, and its report may say what share of harmless
    photographs it flags.
    """
    selftest, policy = release.selftest, release.policy
    rows = np.concatenate(selftest.embeddings).astype(np.float32)
    near = neighbours_for(policy, release.index, rows)
    said: Sequence[Mapping[str, float] | None] = [None] * len(near)
    if release.head is not None and policy.head is not None:
        scorer = Scorer(release.head, policy.head)
        pairs = zip(selftest.images, selftest.logits, strict=True)
        logits = np.concatenate([rows[: len(images)] for images, rows in pairs])
        said = scorer.scores(logits, near)
    found = [find(its, policy, 0.0, each) for its, each in zip(near, said, strict=True)]
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
