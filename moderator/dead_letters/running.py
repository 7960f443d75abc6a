"""``moderator dead-letters``: choose, print, save and replay."""

import json
import re
import time
from bisect import insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from moderator.dead_letters.deletions import deleted_since, origin_of
from moderator.dead_letters.letter import DeadLetter
from moderator.dead_letters.reading import Wanted, find, letters
from moderator.dead_letters.replaying import Replayed, replay
from moderator.decide import UNJUDGED
from moderator.errors import BadInput, BadSettings
from moderator.settings import Settings
from moderator.values import seconds


@dataclass(frozen=True, slots=True)
class Filter:
    """What the options say; ``since`` and ``until`` are RFC 3339 times or durations ago."""

    reason: str | None = None
    since: str | None = None
    until: str | None = None
    limit: int | None = None

    def wanted(self, now: float) -> Wanted:
        """Return what is meant by it at ``now``, in seconds since 1970.

        Raises:
            BadSettings: A time is none, or there is no such reason.
        """
        if self.reason not in (None, *UNJUDGED):
            raise BadSettings(f"--reason {self.reason} is none; write {', '.join(UNJUDGED)}")
        times = [
            None if text is None else _moment(name, text, now)
            for name, text in (("--since", self.since), ("--until", self.until))
        ]
        return Wanted(self.reason, *times)


def run_list(settings: Settings, chosen: Filter, *, out: Console, as_json: bool) -> int:
    """Print a line for each dead letter, those of each partition in their order."""
    for letter in _chosen(settings, chosen):
        out.file.write(f"{json.dumps(letter.to_json()) if as_json else _row(letter)}\n")
    return 0


def run_show(settings: Settings, name: str, *, out: Console, save: Path | None) -> int:
    """Print all that is known of a dead letter, and save its body.

    Raises:
        BadInput: There is no such dead letter, or its body was left out.
        BadSettings: The file cannot be written.
    """
    letter = find(settings, name)
    body = letter.to_json()
    headers = body.pop("headers")
    for what, value in body.items():
        if value is not None:
            out.file.write(f"{what:<12} {_line(str(value))}\n")
    for what, value in headers.items():
        out.file.write(f"header       {_line(what)}: {_line(value)}\n")
    if save is None:
        return 0
    if letter.lost is not None:
        raise BadInput(f"{save} is not written: of dead letter {letter.id} {letter.lost}")
    try:
        save.write_bytes(letter.record.value or b"")
    except OSError as error:
        raise BadSettings(f"{save}: {error.strerror}; name another file") from None
    out.file.write(f"saved        {save}\n")
    return 0


def run_replay(
    settings: Settings,
    names: Sequence[str],
    chosen: Filter,
    *,
    out: Console,
    dry_run: bool,
    unchecked: bool = False,
) -> int:
    """Post dead letters again, and print a line for each.

    Those of posts that were deleted since are not posted, unless all are ``unchecked``.

    Returns:
        The exit code: 0, or 1 where one of several could not be replayed.

    Raises:
        BadInput: There is no such dead letter, or the only one that is meant is refused.
    """
    named = [find(settings, name) for name in names]
    # Read twice, as all of them together may be larger than the memory.
    origins = [origin_of(each) for each in named or _chosen(settings, chosen)]
    refusals = {} if unchecked else deleted_since(settings, origins)
    meant = {each.letter for each in origins}
    found = (each for each in named or _chosen(settings, chosen) if each.id in meant)
    refused = 0
    results = (_preview if dry_run else replay)(settings, found, refusals)
    for result in results:
        if isinstance(result, BadInput):
            if len(names) == 1:
                raise result
            refused += 1
            out.file.write(f"refused      {result}\n")
        elif dry_run:
            out.file.write(f"would replay {_row(result[0])}\n")
        else:
            out.file.write(f"replayed     {result[0].id} as {result[1]}\n")
    return 1 if refused else 0


def _preview(
    settings: Settings, found: Iterable[DeadLetter], refusals: Mapping[str, str]
) -> Iterator[Replayed | BadInput]:
    """Yield what replaying would, posting nothing."""
    for letter in found:
        try:
            letter.replayed(settings.topics.dead_letter_topic, refusals.get(letter.id))
        except BadInput as error:
            yield error
        else:
            yield letter, ""


def _chosen(settings: Settings, chosen: Filter) -> Iterator[DeadLetter]:
    """Yield what is meant; of more than the limit, the newest."""
    found = letters(settings, chosen.wanted(time.time()))
    if chosen.limit is None:
        yield from found
        return
    # One at most more than is wanted is kept, as each may hold a whole post.
    newest: list[DeadLetter] = []
    for letter in found:
        insort(newest, letter, key=lambda each: each.record.timestamp)
        del newest[: -chosen.limit]
    yield from newest


def _row(letter: DeadLetter) -> str:
    said = letter.to_json()
    cells = [said[name] for name in ("id", "time", "reason", "decision_id")]
    cells += [f"{said['bytes']} bytes", said["message"]]
    return "  ".join(_line(cell) for cell in cells)


def _line(text: str) -> str:
    """Return a text that anybody may have written so that it stays on its line and in its cell."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _moment(option: str, text: str, now: float) -> float:
    if re.fullmatch(r"[0-9]+(ms|s|m|h|d)", text):
        return (now - seconds(text)) * 1000
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadSettings(
            f"{option} {text} is no time; write one such as 2026-05-01T12:00:00Z, or 2h for two "
            "hours ago"
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000
