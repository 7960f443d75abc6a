"""Find the control groups of this process, in which the kernel holds a container's limits."""

from collections.abc import Iterator
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def around(controller: str, groups: Path = GROUPS, membership: Path = MEMBERSHIP) -> Iterator[Path]:
    """Yield the folder of each group around this process, the innermost first.

    Args:
        controller: Such as ``cpu`` or ``memory``; version 2 has one tree for all, version 1 one
            for each.
        groups: Where the control groups' file system lies.
        membership: File that says which groups this process is of, as the kernel writes it.
    """
    for line in text_of(membership).splitlines():
        _, controllers, place = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = groups / controllers
        inner = root / place.lstrip("/")
        for group in (inner, *inner.parents):
            if not group.is_relative_to(root):
                break
            yield group


def text_of(path: Path) -> str:
    """Return what a file of the kernel's says, without white space around it; empty without it."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""
