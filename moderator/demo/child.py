"""Run ``moderator`` in a process that ends when the demo that started it does, however it ends."""

import ctypes
import runpy
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Run the command line with this process's arguments."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    runpy.run_module("moderator.cli", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
