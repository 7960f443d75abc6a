"""CPU time and memory of process trees, from /proc. Knows nothing of what they do."""

import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    found, queue = [], [pid]
    while queue:
        current = queue.pop()
        found.append(current)
        try:
            for task in Path(f"/proc/{current}/task").iterdir():
                queue += map(int, (task / "children").read_text().split())
        except OSError:
            continue
    return found


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds that a process and its living descendants have used."""
    total = 0
    for each in tree(pid):
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def pss_bytes(pid: int) -> int:
    """Return the proportional set size of a process and its descendants, shared pages once."""
    total = 0
    for each in tree(pid):
        try:
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def rss_bytes(pid: int, *kinds: str) -> int:
    """Return the resident bytes of a process and its descendants, without shared memory.

    ``kinds`` are of ``RssAnon`` and ``RssFile``; both where none is given.
    """
    total = 0
    for each in tree(pid):
        try:
            lines = Path(f"/proc/{each}/status").read_text().splitlines()
        except OSError:
            continue
        wanted = tuple(f"{kind}:" for kind in kinds or ("RssAnon", "RssFile"))
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(wanted))
    return total
