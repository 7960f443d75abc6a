"""A real worker as a process of its own, watched from outside. Knows nothing of posts."""

import os
import re
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import SecretStr

import moderator
from moderator.errors import Unavailable
from moderator.settings import CONCERNS, PREFIX, Settings

TAIL = 25
"""Lines of a dead worker's log that are shown."""

GRACE = 10.0
"""Seconds that a worker has to stop before it is killed."""


class Member:
    """A worker process, running from construction until it is closed.

    Args:
        settings: All its settings; the environment's own are not handed on.
    """

    def __init__(self, settings: Settings) -> None:
        serving = settings.serving
        self.url = f"http://{serving.http_host}:{serving.http_port}"
        self._log = tempfile.NamedTemporaryFile(prefix="moderator-demo-", suffix=".log")  # noqa: SIM115 - closed by close()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "moderator.demo.child", "worker"],
            env=environment(settings, os.environ),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            # Ctrl-C is the demo's: it still wants the decisions on their way.
            start_new_session=True,
        )

    @property
    def ready(self) -> bool:
        """Whether it says that it is ready."""
        return self._get("/readyz") is not None

    @property
    def overlay_version(self) -> int:
        """The next offset of the prototypes topic that it has not served yet; 0 when not up."""
        return metric(self._get("/metrics") or "", "moderator_overlay_version")

    def watch(self) -> None:
        """Look whether it is alive.

        Raises:
            Unavailable: It has died; ``log_tail`` says more.
        """
        code = self._process.poll()
        if code is not None:
            raise Unavailable(f"the demo's worker has died (exit code {code}); its log says why")

    def log_tail(self) -> str:
        """Return the last lines of its log."""
        text = Path(self._log.name).read_text(errors="replace")
        return "\n".join(text.splitlines()[-TAIL:])

    def close(self) -> None:
        """Stop it: gently, then not."""
        self._process.terminate()
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def _get(self, path: str) -> str | None:
        try:
            with urllib.request.urlopen(self.url + path, timeout=2) as answer:  # noqa: S310 - http
                text: str = answer.read().decode()
                return text
        except (urllib.error.URLError, OSError):
            return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def environment(settings: Settings, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the environment in which a process finds exactly these settings.

    Settings that have their defaults are left out; those that ``inherited`` holds are dropped.
    """
    kept = {name: text for name, text in inherited.items() if not name.startswith(PREFIX)}
    root = str(Path(moderator.__file__).resolve().parent.parent)
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, (root, kept.get("PYTHONPATH"))))
    for concern, cls in CONCERNS.items():
        ours, defaults = getattr(settings, concern), cls()
        for name in cls.model_fields:
            value = getattr(ours, name)
            if value != getattr(defaults, name):
                kept[f"{PREFIX}{name.upper()}"] = _text(value)
    return kept


def metric(text: str, name: str) -> int:
    """Return the whole value of a metric without labels in a scrape, 0 where it is not there."""
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return int(float(found[1])) if found else 0


def free_port() -> int:
    """Return a port of this machine that nothing listens on now."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def _text(value: object) -> str:
    """Write a setting's value as settings are read from an environment."""
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
