"""``moderator worker`` in which a test can make things hang, or move the wall clock.

    python -m tests.moderator.faulty FOLDER worker …

While FOLDER holds a file of one of these names, what is named does not return: ``poll`` (the
consumer's poll), ``commit`` (the producer's commit, before anything of it is sent). A file
``poll.at`` or ``commit.at`` says that a thread is held there. The file ``clock`` holds seconds by
which ``time.time`` is off. All else is the real worker.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def main() -> None:
    folder = Path(sys.argv.pop(1))
    from kafka import KafkaConsumer

    from moderator.cli import main as moderator
    from moderator.streaming.clients import _Bounded

    _hold(folder / "poll", KafkaConsumer, "poll")
    _hold(folder / "commit", _Bounded, "commit_transaction")
    _move(folder / "clock")
    moderator()


def _hold(file: Path, cls: type, name: str) -> None:
    original: Callable[..., Any] = getattr(cls, name)

    def held(self: Any, *args: Any, **given: Any) -> Any:
        if file.exists():
            file.with_suffix(".at").touch()
            while file.exists():
                time.sleep(0.05)
        return original(self, *args, **given)

    setattr(cls, name, held)


def _move(file: Path) -> None:
    original = time.time

    def moved() -> float:
        try:
            return original() + float(file.read_text() or 0)
        except OSError:
            return original()

    time.time = moved


if __name__ == "__main__":
    main()
