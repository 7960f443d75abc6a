"""The log of a running member: one line per event, UTC, as text or JSON. Knows no other part."""

import json
import logging
import math
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

from moderator.settings import Serving

QUIET = ("kafka", "urllib3", "PIL", "asyncio")
"""Loggers of libraries that tell more than an operator wants to know at INFO."""

SECRET = (
    *("kafka.admin.client", "kafka.net.connection", "kafka.protocol.parser"),
    "kafka.producer",
)
"""Loggers that write secrets out at DEBUG: the brokers' password, as a setting or as what is sent,
and dead letters whole, whose URLs may hold passwords and signatures."""

SILENT = ("kafka.net",)
"""Loggers that tell of every attempt to connect as an error; who attempts it says how it went."""

SELDOM = 10.0
"""Seconds in which a library's line of one kind is written once: while brokers are away, their
client has the same to say a hundred times a second."""

KINDS = 256
"""Kinds of lines that are remembered at a time; some libraries fill in before they log."""

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""Attributes that every log record has; all others were given with ``extra``."""


def set_up(serving: Serving, stream: TextIO | None = None) -> None:
    """Send a member's log to a stream in the form that the settings say.

    What was set up before goes. Libraries are quieter, except at the level DEBUG.

    Args:
        serving: Format and level.
        stream: Where to; the standard error when None.
    """
    form = JsonLines() if serving.log_format == "json" else TextLines()
    handler = _send(form, stream, serving.log_level)
    debugging = serving.log_level == "DEBUG"
    if not debugging:
        handler.addFilter(Seldom())
    for name in QUIET:
        level = logging.getLogger().level
        logging.getLogger(name).setLevel(level if debugging else max(level, logging.WARNING))
    for name in SILENT:
        logging.getLogger(name).setLevel(logging.DEBUG if debugging else logging.CRITICAL)
    for name in SECRET:
        logging.getLogger(name).setLevel(logging.INFO if debugging else logging.NOTSET)
    # Warnings of libraries are events of the member too.
    logging.captureWarnings(capture=True)


def set_up_command(serving: Serving, stream: TextIO | None = None) -> None:
    """Send a command's warnings to a stream as lines for people; libraries keep silent.

    At the level DEBUG it is the log of a member instead.
    """
    if serving.log_level == "DEBUG":
        set_up(serving, stream)
        return
    _send(logging.Formatter("moderator: %(message)s"), stream, "WARNING")
    for name in (*QUIET, *SILENT):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _send(form: logging.Formatter, stream: TextIO | None, level: str) -> logging.Handler:
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(form)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    return handler


class Seldom(logging.Filter):
    """Lets a line that repeats through once in ``SELDOM`` seconds, with a count.

    A library's lines repeat where logger, level and message are the same but for what is filled
    in; warnings of ours where they are the same altogether, so that none that says anything new
    is left out. The next that is let through says in ``repeated`` how many were left out before.

    Args:
        clock: Seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._written: dict[tuple[str, int, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is to be written."""
        ours = record.name.partition(".")[0] not in QUIET
        if ours and record.levelno < logging.WARNING:
            return True
        kind = (record.name, record.levelno, record.getMessage() if ours else str(record.msg))
        now = self._clock()
        written, left_out = self._written.get(kind, (-math.inf, 0))
        if now - written < SELDOM:
            self._written[kind] = (written, left_out + 1)
            return False
        if len(self._written) >= KINDS:
            self._written.clear()
        self._written[kind] = (now, 0)
        if left_out:
            record.repeated = left_out
        return True


class TextLines(logging.Formatter):
    """``2025-01-31T12:00:00.000Z INFO moderator.worker: text field=value``, in one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        given = "".join(f" {name}={value}" for name, value in _extra(record).items())
        text = f"{record.getMessage()}{given}"
        if record.exc_info:
            text = f"{text}\n{self.formatException(record.exc_info)}"
        return f"{_time(record)} {record.levelname} {record.name}: {_in_one_line(text)}"


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, exception, and what was given."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        body: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            body["exception"] = self.formatException(record.exc_info)
        return json.dumps({**_extra(record), **body}, default=str)


def _time(record: logging.LogRecord) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{whole}.{int(record.msecs):03d}Z"


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _in_one_line(text: str) -> str:
    """Write out what would end a line or move a terminal's cursor: posts hold anything."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
