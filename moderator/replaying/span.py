"""Read ``--from`` and ``--to``: a time, a while ago, an end of the topic, or offsets. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from moderator.errors import BadSettings

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
AGO = re.compile(r"-(\d{1,9})([smhd])")
OFFSETS = re.compile(r"\d{1,9}:\d{1,18}(,\d{1,9}:\d{1,18})*")


@dataclass(frozen=True, slots=True)
class Moment:
    """A time, in milliseconds since 1970."""

    milliseconds: int


@dataclass(frozen=True, slots=True)
class Offsets:
    """An offset for each of some partitions; the others are left out."""

    by_partition: Mapping[int, int]


Edge = Moment | Offsets | Literal["earliest", "latest"]


def parse_edge(text: str, option: str, now: float) -> Edge:
    """Read one end of a range.

    Args:
        text: ``2026-05-01T12:00`` (UTC unless it says otherwise), ``-2h`` (s, m, h or d before
            now), ``earliest``, ``latest``, or ``0:1200,1:900`` (partition:offset).
        option: Where it was given, for errors.
        now: Seconds since 1970.

    Raises:
        BadSettings: It is none of these.
    """
    if text in ("earliest", "latest"):
        return "earliest" if text == "earliest" else "latest"
    if ago := AGO.fullmatch(text):
        seconds = now - int(ago[1]) * UNITS[ago[2]]
        return Moment(max(0, round(seconds * 1000)))
    if OFFSETS.fullmatch(text):
        pairs = [pair.split(":") for pair in text.split(",")]
        offsets = {int(partition): int(offset) for partition, offset in pairs}
        if len(offsets) == len(pairs):
            return Offsets(offsets)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadSettings(
            f"{option} {text} is no place in the topic; write a time such as 2026-05-01T12:00Z, a "
            "while ago such as -2h, earliest, latest, or partition:offset such as 0:1200,1:900"
        ) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return Moment(max(0, round(moment.timestamp() * 1000)))


def partitions_of(begin: Edge, end: Edge, there: frozenset[int]) -> list[int]:
    """Return the partitions that a range is of: those named at both ends that name any.

    Raises:
        BadSettings: One is named that is not there, or the two ends have none in common.
    """
    wanted = set(there)
    for edge in (begin, end):
        if isinstance(edge, Offsets):
            unknown = edge.by_partition.keys() - there
            if unknown:
                raise BadSettings(
                    f"the topic has no partition {min(unknown)}; it has 0 to {max(there)}"
                )
            wanted &= edge.by_partition.keys()
    if not wanted:
        raise BadSettings("--from and --to name no partition together; name the same ones")
    return sorted(wanted)
