"""Ages of posts: which timestamps count, and which are counted apart."""

import pytest
from prometheus_client import REGISTRY

from moderator.streaming import publish


@pytest.mark.parametrize(
    ("timestamp", "observed", "counted"),
    [
        (999_000_000, 1, None),
        (1_000_000_500, 1, None),
        (-1, 0, "none"),
        (-2, 0, "none"),
        (0, 0, "past"),
        (1_004_000_000, 0, "future"),
    ],
)
def test_timestamps_that_tell_no_age_stay_out_of_the_ages(timestamp, observed, counted) -> None:
    def ages() -> float:
        return REGISTRY.get_sample_value("moderator_age_seconds_count")

    def implausible() -> dict[str, float]:
        return {
            kind: REGISTRY.get_sample_value(
                "moderator_age_implausible_total", {"timestamp": kind}
            ) or 0.0
            for kind in ("none", "past", "future")
        }  # fmt: skip

    before, others = ages(), implausible()
    now = 1_000_000.0 if timestamp else 1.0e9
    publish._observe_age(timestamp, now)
    assert ages() - before == observed
    grown = [kind for kind, count in implausible().items() if count > others[kind]]
    assert grown == ([counted] if counted else [])
