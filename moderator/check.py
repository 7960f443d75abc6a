"""Check all that a worker needs before one is started, without side effects: ``moderator check``.

Joins what other modules find out, a line each, and goes on after a failure, so that everything
that is wrong is seen at once.
"""

from collections.abc import Callable, Iterator

from rich.console import Console
from rich.markup import escape

from models.errors import ModelError
from moderator.errors import ModeratorError
from moderator.findings import Finding, findings
from moderator.settings import Settings

COLOURS = {"ok": "green", "WARN": "yellow", "FAIL": "bold red"}

LARGE_EMBEDDING = 2048
"""Dimension assumed where there is no release to tell it."""


def run_check(settings: Settings, out: Console) -> int:
    """Print a line a check: how it went, of what, what was found, how to mend it.

    Returns:
        The exit code: 0, or 1 where a check failed.
    """
    failed = False
    for finding in checks(settings):
        failed = failed or finding.level == "FAIL"
        _show(out, finding)
    return 1 if failed else 0


def checks(settings: Settings) -> Iterator[Finding]:
    """Yield all findings, as they are made."""
    dimension = LARGE_EMBEDDING
    for finding, known in _release(settings):
        dimension = known or dimension
        yield finding
    yield from _guarded("brokers", lambda: _brokers(settings, dimension))
    yield from _guarded("redis", lambda: _redis(settings))
    yield from _guarded("evidence", lambda: _evidence(settings.evidence.evidence_url))


def _release(settings: Settings) -> Iterator[tuple[Finding, int | None]]:
    """Yield findings of the release, with the dimension of its embeddings where it is known."""
    from models.release import load_release

    what = f"release {settings.judging.release}"
    try:
        release = load_release(settings.judging.release)
        yield Finding("ok", what, f"{release.id}, all digests right"), release.index.dimension
        device = settings.pipeline.device
        from models.device import resolve_device

        resolved = resolve_device(device)
        release.load_network(resolved)
        yield Finding("ok", "network", f"gives what it must on {resolved}"), None
    except ModelError as error:
        yield Finding("FAIL", what, *_parted(str(error))), None


def _brokers(settings: Settings, dimension: int) -> Iterator[Finding]:
    from moderator.survey import survey

    yield from findings(survey(settings), settings, dimension)


def _redis(settings: Settings) -> Iterator[Finding]:
    if not settings.cache.shared:
        yield Finding("ok", "redis", "none is set: embeddings are kept in process memory")
        return
    from moderator.caching.cache import check_redis

    check_redis(settings.cache, settings.kafka.start_timeout or 1.0)
    yield Finding("ok", "redis", "answers")


def _evidence(place: str | None) -> Iterator[Finding]:
    if place is None:
        yield Finding("ok", "evidence", "none is set: no copies of flagged images are kept")
        return
    from moderator.evidence.files import open_files
    from moderator.evidence.store import EvidenceStore, OldLayoutError

    files = open_files(place)
    try:
        files.look()
        EvidenceStore(files).check_layout()
    except OldLayoutError as error:
        yield Finding("FAIL", "evidence", *_parted(str(error)))
        return
    except Exception as error:
        # Each kind of store has errors of its own.
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        yield Finding(
            "FAIL", "evidence", reason, "mend evidence_url; flagged posts would have no copies"
        )
        return
    yield Finding("ok", "evidence", f"can be kept at {place}")


def _guarded(what: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Yield findings; an error with an owner is the last one."""
    try:
        yield from check()
    except ModeratorError as error:
        yield Finding("FAIL", what, *_parted(str(error)))


def _parted(message: str) -> tuple[str, str]:
    """Part an error's text into what is wrong and how to mend it."""
    wrong, _, mend = message.partition("; ")
    return wrong, mend


def _show(out: Console, finding: Finding) -> None:
    level, *rest = (
        escape(text) for text in (finding.level, finding.what, finding.found, finding.mend) if text
    )
    colour = COLOURS[finding.level]
    pad = " " * (4 - len(level))
    out.print(f"[{colour}]{level}[/]{pad}  {'  '.join(rest)}", highlight=False, soft_wrap=True)
