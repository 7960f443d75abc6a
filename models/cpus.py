"""How many processors this process may use: by its affinity and by its control group's quota."""

import os
from collections.abc import Iterator
from math import ceil
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def available_cpus(groups: Path = GROUPS, membership: Path = MEMBERSHIP) -> int:
    """Return the processors that this process may use, at least 1; part of one counts as one.

    A container's limit is a quota of time, which ``os.cpu_count`` does not know.

    Args:
        groups: Where the control groups' file system lies.
        membership: File that says which group this process is of, as the kernel writes it.
    """
    return max(1, min([_affinity(), *map(ceil, _quotas(groups, membership))]))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(groups: Path, membership: Path) -> Iterator[float]:
    """Yield the processors that each group around this process allows, versions 2 and 1."""
    for line in _read(membership).splitlines():
        _, controllers, place = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = groups / controllers if controllers else groups
        inner = root / place.lstrip("/")
        for group in (inner, *inner.parents):
            if not group.is_relative_to(root):
                break
            yield from _quota(group)


def _quota(group: Path) -> Iterator[float]:
    words = _read(group / "cpu.max").split()
    if len(words) != 2:
        words = [_read(group / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
    if all(word.isdecimal() for word in words) and int(words[1]):
        yield int(words[0]) / int(words[1])


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
