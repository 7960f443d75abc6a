"""A service and its process: started, stopped, killed, frozen, and never left behind by the tests.

Also what every service needs around it: free ports, waiting, and the one line that says how to
get a program that is missing. Knows nothing of any one service.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path

GUARD = Path(__file__).with_name("guard.py")
LOWEST_PORT = 10_000


class ServiceMissingError(Exception):
    """A program that the tests need is not there; the text says how to get it."""


class ServiceFailedError(Exception):
    """A service did not start, or ended by itself; the text holds the end of its log."""


def program(name: str, package: str) -> str:
    """Return the path of a program, or raise ``ServiceMissingError`` naming the package with it."""
    found = shutil.which(name)
    if found is None:
        raise ServiceMissingError(
            f"{name} is needed by the tests: apt-get install {package}, or run make test"
        )
    return found


_given: set[int] = set()


def free_port() -> int:
    """Return a port of 127.0.0.1 that nothing listens on, a different one at each call.

    It lies below the ports that the system gives to clients: while a service is down, a client
    that tries to reach it could otherwise be given that very port, and be connected to itself.
    """
    lowest_of_clients = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for _ in range(1000):
        port = random.randrange(LOWEST_PORT, max(lowest_of_clients, LOWEST_PORT + 1000))
        if port not in _given and not _listened_on(port):
            _given.add(port)
            return port
    raise ServiceFailedError("no port is free")


def _listened_on(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def wait_until(condition: Callable[[], object], timeout: float, what: str) -> None:
    """Wait until the condition holds; after ``timeout`` seconds raise ``TimeoutError``."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {timeout:g} s")
        time.sleep(0.05)


class GuardedProcess:
    """One process in a session of its own, which ends with this one, however this one ends.

    Args:
        name: What errors call it.
        command: Program and arguments.
        folder: Its working directory, which also takes its log.
    """

    def __init__(self, name: str, command: Sequence[str], folder: Path) -> None:
        self.name = name
        self.log_path = folder / f"{name}.log"
        self._command = list(command)
        self._folder = folder
        self._guard: subprocess.Popen[bytes] | None = None
        self._pid: int | None = None

    @property
    def running(self) -> bool:
        return self._guard is not None and self._guard.poll() is None

    @property
    def pid(self) -> int:
        """Process id of the service itself, not of its guard."""
        assert self._pid is not None, f"{self.name} was never started"
        return self._pid

    def start(self) -> None:
        assert not self.running, f"{self.name} is running already"
        pid_file = self._folder / f"{self.name}.pid"
        pid_file.unlink(missing_ok=True)
        arguments = [sys.executable, "-I", str(GUARD), str(os.getpid()), str(pid_file)]
        with self.log_path.open("ab") as log:
            self._guard = subprocess.Popen(
                arguments + self._command,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(lambda: pid_file.exists() or not self.running, 30, f"start of {self.name}")
        self.check()
        self._pid = int(pid_file.read_text())

    def check(self) -> None:
        """Raise ``ServiceFailedError`` with the end of the log unless the process runs."""
        if not self.running:
            end = self.log_path.read_text(errors="replace")[-2000:]
            raise ServiceFailedError(f"{self.name} ended by itself; the end of its log:\n{end}")

    def stop(self, timeout: float = 20) -> None:
        """End it as an operator would (SIGTERM); what does not end in time is killed."""
        if self._guard is None:
            return
        self._guard.terminate()
        try:
            self._guard.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it at once (SIGKILL), as a crash would."""
        if self._guard is None:
            return
        self._signal(signal.SIGKILL)
        self._guard.wait(20)

    def freeze(self) -> None:
        """Stop it from running without ending it; connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it run again after ``freeze``."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self.running:
            os.kill(self.pid, number)


class Service(ABC):
    """A server that answers some time after its process began, and on the same port whenever.

    Args:
        name: What errors and its log are called.
        command: Program and arguments.
        folder: Its working directory, which also takes its log.
    """

    start_timeout = 30.0
    """Seconds it may take to answer."""

    def __init__(self, name: str, command: Sequence[str], folder: Path) -> None:
        self._process = GuardedProcess(name, command, folder)
        self.log_path = self._process.log_path

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._process.start()
        wait_until(self._ready, self.start_timeout, f"an answer of {self._process.name}")

    def stop(self) -> None:
        """Shut it down in order."""
        self._process.stop()

    def kill(self) -> None:
        """Kill it, as a crash would."""
        self._process.kill()

    def close(self) -> None:
        """End it and whatever belongs to it, at once."""
        self.kill()

    def freeze(self) -> None:
        """Leave its connections open and answer nothing, until ``thaw``."""
        self._process.freeze()

    def thaw(self) -> None:
        """Go on after ``freeze``."""
        self._process.thaw()

    def restart(self) -> None:
        """Shut it down and start it again."""
        self.stop()
        self.start()

    def _ready(self) -> bool:
        self._process.check()
        return self._answers()

    @abstractmethod
    def _answers(self) -> bool:
        """Ask it once, whether or not it is there."""
