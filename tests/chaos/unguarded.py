"""A worker whose guard can be taken away, to show that the suite would notice. Never the product.

With ``CHAOS_UNGUARDED=epochs`` in the environment, every record counts as still this member's,
whatever the group has said since it was read; all else is ``python -m moderator``.

    CHAOS_UNGUARDED=epochs python -m tests.chaos.unguarded worker --set …
"""

import os

from moderator.records import Record
from moderator.streaming.epochs import Epochs

VARIABLE = "CHAOS_UNGUARDED"
UNGUARDED = {VARIABLE: "epochs"}


def _always(self: Epochs, record: Record) -> bool:
    return True


def main() -> None:
    """Take the guard away, if that is wished, and run the command line."""
    if os.environ.get(VARIABLE) == "epochs":
        Epochs.live = _always  # type: ignore[method-assign]
    from moderator.cli import main as run

    run()


if __name__ == "__main__":
    main()
