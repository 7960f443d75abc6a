"""How many processors this process may use: by its affinity and by its control groups' quotas."""

import os
from collections.abc import Iterator
from math import ceil
from pathlib import Path

from models.control_groups import GROUPS, MEMBERSHIP, around, text_of


def available_cpus(groups: Path = GROUPS, membership: Path = MEMBERSHIP) -> int:
    """Return the processors that this process may use, at least 1; part of one counts as one.

    A container's limit is a quota of time, which ``os.cpu_count`` does not know.

    Args:
        groups: As ``models.control_groups.around`` takes it.
        membership: As it takes it.
    """
    quotas = (each for group in around("cpu", groups, membership) for each in _quota(group))
    return max(1, min([_affinity(), *map(ceil, quotas)]))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota(group: Path) -> Iterator[float]:
    words = text_of(group / "cpu.max").split()
    if len(words) != 2:
        words = [text_of(group / f"cpu.cfs_{name}_us") for name in ("quota", "period")]
    if all(word.isdecimal() for word in words) and int(words[1]):
        yield int(words[0]) / int(words[1])
