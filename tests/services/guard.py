"""Run a command that ends when this process or the one that started it does, however they end.

A script of its own, because what starts services may be killed with SIGKILL. Knows nothing of
which service it runs.

    python guard.py PARENT_PID PID_FILE COMMAND [ARGUMENT …]
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1


def main() -> int:
    parent, pid_file, command = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
    watched = os.pidfd_open(parent)
    if os.getppid() != parent:
        return 1
    libc = ctypes.CDLL(None)
    child = subprocess.Popen(
        command,
        preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL),  # noqa: PLW1509 - no threads
    )
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    signal.signal(signal.SIGINT, lambda *_: child.terminate())
    pid_file.with_suffix(".tmp").write_text(str(child.pid))
    pid_file.with_suffix(".tmp").rename(pid_file)
    _wait_for_either(os.pidfd_open(child.pid), watched)
    if child.poll() is None:
        child.kill()
    return child.wait()


def _wait_for_either(*pidfds: int) -> None:
    poll = select.poll()
    for pidfd in pidfds:
        poll.register(pidfd, select.POLLIN)
    poll.poll()


if __name__ == "__main__":
    sys.exit(main())
