"""A release in a few lines for people. Must not know how it was made."""

from collections.abc import Iterator, Mapping
from typing import Any

from models.release import Release


def summary(release: Release) -> Iterator[str]:
    """Yield what a release is and how good it was on held-out photographs."""
    kinds = release.prototypes.kinds
    firearms = sum(kind == "firearm" for kind in kinds)
    yield f"release {release.id} in {release.path}"
    yield (
        f"{firearms} firearm prototypes of {len(release.types)} types, "
        f"{len(kinds) - firearms} look-alikes; threshold {release.policy.threshold:.3f}"
    )
    for side, figures in release.report["figures"].items():
        flags = figures["flags"]
        at = flags["at_threshold"]
        own = ", which set the threshold" if side == "threshold" else ""
        yield (
            f"{side} photographs{own}: {_percent(at['recall'])} of {flags['firearms']} firearms "
            f"flagged, {_percent(at['false_flags'])} of {flags['harmless']} harmless"
        )
        yield _types(side, figures["types"])
    yield from _calibration(release.report.get("calibration", {}))


def _calibration(found: Mapping[str, Any]) -> Iterator[str]:
    """Say how far scores are off, where they could be measured on what they were not fitted to."""
    sides = {"threshold_halves": "halves of the threshold photographs", "test": "test photographs"}
    for side, name in sides.items():
        if found.get(side):
            error = found[side]["equal-width"]["error"]
            yield f"score: calibration error {error:.3f} on {name} that it was not fitted to"


def _types(side: str, figures: Mapping[str, Any]) -> str:
    family = figures["family_at_1"]
    named = "families are not known" if family is None else f"family in {_percent(family)}"
    return (
        f"{side} photographs: type right in {_percent(figures['recall_at_1'])} of "
        f"{figures['queries']} firearms of known types; {named}"
    )


def _percent(share: float | None) -> str:
    return "none" if share is None else f"{100 * share:.1f} %"
