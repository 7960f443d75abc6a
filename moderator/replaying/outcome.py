"""What is kept of a decision, and how two of them differ. Pure; knows nothing of Kafka."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

CLOSE = 1e-4
"""Similarity or support within which a decision may fall either way from one run to the next."""

Change = Literal["flag-to-pass", "pass-to-flag", "reason", "type", "order"]
"""How a decision differs; the first that applies. ``type`` is the best type, ``order`` what else
is listed."""

Status = Literal["same", "changed", "near-threshold", "unreachable", "missing"]
"""What there is to say of a post; ``unreachable`` are those of which an image could be fetched
only once of the two times, so that they say nothing of the releases."""

Nearest = tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A decision without what does not matter here.

    ``types`` are the types' ids, best first; ``nearest`` has for each image its near prototypes'
    ids and similarities.
    """

    decision: str
    reason: str
    cause: str | None
    types: tuple[str, ...]
    nearest: tuple[Nearest, ...]
    unreachable: bool
    release: str
    network: str
    overlay: int

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data, which ``from_json`` takes."""
        return asdict(self)

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> "Outcome":
        """Return what ``to_json`` was given."""
        nearest = tuple(tuple((n, s) for n, s in image) for image in body["nearest"])
        return cls(**{**body, "types": tuple(body["types"]), "nearest": nearest})


def outcome(body: Mapping[str, Any]) -> Outcome:
    """Return what is kept of a ``decision/1`` record.

    Raises:
        KeyError, TypeError: It is none.
    """
    images = body["images"]
    return Outcome(
        decision=body["decision"],
        reason=body["reason"],
        cause=body["cause"],
        types=tuple(item["type"] for item in body["types"]),
        nearest=tuple(
            tuple((near["id"], near["similarity"]) for near in image["prototypes"])
            for image in images
        ),
        unreachable=any(image["reason"] == "unreachable" for image in images),
        release=body["release"],
        network=body["network"],
        overlay=body["overlay"],
    )


def change(old: Outcome, new: Outcome) -> Change | None:
    """Return how two decisions of a post differ, None where they do not."""
    if old.decision != new.decision:
        return "flag-to-pass" if old.decision == "flag" else "pass-to-flag"
    if old.reason != new.reason:
        return "reason"
    if old.types[:1] != new.types[:1]:
        return "type"
    return "order" if old.types != new.types else None


def status(old: Outcome | None, new: Outcome, closest: float) -> Status:
    """Return what there is to say of a post.

    Args:
        old: What was decided, None where that is not known.
        new: What is decided now.
        closest: How much similarity or support the new decision is from another.
    """
    if old is None:
        return "missing"
    differs = change(old, new) is not None
    if differs and old.unreachable != new.unreachable:
        return "unreachable"
    if closest <= CLOSE:
        return "near-threshold"
    return "changed" if differs else "same"


def drift(old: Outcome, new: Outcome) -> float | None:
    """Return the largest difference of similarities to one prototype; None of two networks."""
    if old.network != new.network or len(old.nearest) != len(new.nearest):
        return None
    gaps = [
        abs(similarity - before[name])
        for before, after in zip(map(dict, old.nearest), new.nearest, strict=True)
        for name, similarity in after
        if name in before
    ]
    return max(gaps, default=None)
