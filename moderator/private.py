"""Keep a process's memory, environment and descriptors from other processes of its user."""

import ctypes
import sys

PR_SET_DUMPABLE = 4


def keep_private() -> None:
    """Close ``/proc/<pid>`` and ptrace of this process to others, and leave no core dump.

    Holds until the next exec, and in processes forked from this one. Only root, or who has
    CAP_SYS_PTRACE, may look on.

    Source: prctl(2), ``PR_SET_DUMPABLE``.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
