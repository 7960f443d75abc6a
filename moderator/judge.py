"""Decide image files as the worker decides posts, and print the decisions. Knows no Kafka.

Each file is a post of one image by reference, so that a file that cannot be opened is what such
an image is: ``unreachable``. Its source is topic ``file``, partition 0, and the offset counts the
images as they were given.
"""

import json
import os
import sys
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from models.release import load_release
from models.types import UNKNOWN
from moderator.assembly import build
from moderator.compose import media_type
from moderator.decide import ImageDecision
from moderator.decisions import Decided, to_json
from moderator.errors import BadSettings
from moderator.records import Post, PostImage, Record
from moderator.settings import Settings

if TYPE_CHECKING:
    from moderator.batch import Batch
    from moderator.examine import Examiner

TOPIC = "file"
"""Topic that a decision names as its source, for want of one."""

QUICK = 2.0
"""Seconds after which a progress bar is shown."""

STDIN = Path("-")

COLOURS = {"flag": "bold red", "pass": "green"}


class Files:
    """Reads files where the worker fetches images; counts those that cannot be opened."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self.unopened = 0

    def fetch(self, url: str) -> Future[bytes]:
        """Return a future that is done: the bytes of the file at ``url``, or ``Unreachable``."""
        from moderator.fetching.fetch import Unreachable

        result: Future[bytes] = Future()
        try:
            with Path(url).open("rb") as file:
                data = file.read(self._most_bytes + 1)
        except (OSError, ValueError) as error:
            self.unopened += 1
            cause = getattr(error, "strerror", None) or str(error)
            result.set_exception(Unreachable(cause))
        else:
            if len(data) > self._most_bytes:
                result.set_exception(Unreachable(f"over max_post_bytes ({self._most_bytes})"))
            else:
                result.set_result(data)
        return result


def run_decide(
    settings: Settings,
    paths: Sequence[Path],
    *,
    out: Console,
    err: Console,
    as_json: bool = False,
    verbose: bool = False,
) -> int:
    """Decide image files and print a line for each, in the order given.

    Args:
        settings: Release, limits, device and the operator's choices; brokers and Redis are not
            asked.
        paths: Files, folders (the image files in them and below, by name), ``-`` (a list of
            files on the standard input, one a line).
        out: Where decisions go.
        err: Where progress is shown, if it is a terminal.
        as_json: Print ``decision/1`` records.
        verbose: Print the nearest prototypes as well, and the region where it is not the whole.

    Returns:
        The exit code: 0, or 1 where a file could not be opened.

    Raises:
        BadSettings: A folder holds no images.
        ModelError: The release cannot be served.
    """
    release = load_release(settings.judging.release)
    left_out: Counter[str] = Counter()
    files = list(expanded(paths, left_out))
    _say_left_out(err, left_out)
    if not files:
        return 0
    reader = Files(settings.limits.max_post_bytes)
    with err.status(f"loading release {release.id}") if err.is_terminal else nullcontext():
        parts = build(_alone(settings, len(files)), release, fetcher=reader)
    with parts, Bar(err, len(files), hidden=out.is_terminal) as bar:
        for decided in decide_files(parts.examiner, files, settings.pipeline.max_batch):
            if as_json:
                out.file.write(f"{json.dumps(to_json(decided))}\n")
            else:
                _show(out, decided, verbose=verbose)
            bar.advance()
    return 1 if reader.unopened else 0


def _alone(settings: Settings, files: int) -> Settings:
    """Return settings that need no Redis, leave nothing out, and take few processes."""
    pipeline, cache = settings.pipeline, settings.cache
    processes = min(pipeline.decode_processes, files)
    return settings.model_copy(
        update={
            "pipeline": pipeline.model_copy(update={"decode_processes": processes}),
            "cache": cache.in_memory(),
            "evidence": settings.evidence.model_copy(update={"evidence_url": None}),
            "overload": settings.overload.model_copy(update={"age_objective": 0.0}),
        }
    )


def expanded(paths: Iterable[Path], left_out: Counter[str] | None = None) -> Iterator[Path]:
    """Yield the files that paths stand for, see ``run_decide``.

    Args:
        paths: As they were given.
        left_out: Counts by their suffix the files of folders that are not yielded.

    Raises:
        BadSettings: A folder holds no images.
    """
    for path in paths:
        if path == STDIN:
            yield from _listed(sys.stdin.buffer)
        elif _is_folder(path):
            found = sorted(p for p in path.rglob("*") if _is_image(p, left_out))
            if not found:
                raise BadSettings(f"{path} holds no image files; name another folder, or files")
            yield from found
        else:
            yield path


def _listed(lines: Iterable[bytes]) -> Iterator[Path]:
    """Yield the files of a list: names are bytes, and need be no text in any encoding."""
    for line in lines:
        name = line.rstrip(b"\n")
        if name.strip():
            yield Path(os.fsdecode(name))


def _say_left_out(err: Console, left_out: Counter[str]) -> None:
    if left_out:
        kinds = ", ".join(f"{suffix or 'none'} {n}" for suffix, n in left_out.most_common(5))
        err.print(
            f"left out {left_out.total()} files that are no images by their suffix ({kinds}); "
            "name them to have them decided",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def _is_image(path: Path, left_out: Counter[str] | None = None) -> bool:
    try:
        if not path.is_file():
            return False
        named = media_type(path) != "image/unknown"
        if not named and left_out is not None:
            left_out[_printable(path.suffix)] += 1
        return named
    except OSError:
        # It may be one that nobody is let at: opening it says so.
        return True


def _is_folder(path: Path) -> bool:
    """Whether a path is a folder; one that cannot be looked at counts as a file, to be opened."""
    try:
        return path.is_dir()
    except OSError:
        return False


def decide_files(examiner: "Examiner", files: Iterable[Path], size: int) -> Iterator[Decided]:
    """Decide files in batches of ``size`` and yield what was decided, in their order."""
    posts = (_post(number, path) for number, path in enumerate(files))
    return decide_batches(examiner, iter(lambda: list(islice(posts, size)), []))


def decide_batches(examiner: "Examiner", batches: Iterable[Sequence[Post]]) -> Iterator[Decided]:
    """Decide batches of posts and yield what was decided, in their order.

    While one batch goes through the network, the next one is decoded and a third one read.
    """
    prepared: deque[Batch] = deque()
    embedding: deque[Batch] = deque()
    try:
        for group in batches:
            batch = examiner.open(group)
            prepared.append(batch)
            examiner.prepare(batch)
            if len(prepared) > 1:
                yield from _step(examiner, prepared, embedding, keep=1)
        while prepared or embedding:
            yield from _step(examiner, prepared, embedding, keep=0)
    finally:
        for batch in (*prepared, *embedding):
            examiner.drop(batch)


def _step(
    examiner: "Examiner", prepared: "deque[Batch]", embedding: "deque[Batch]", *, keep: int
) -> Iterator[Decided]:
    """Hand the oldest decoded batch to the network, and judge what is over ``keep`` there."""
    if prepared:
        examiner.embed(prepared[0])
        embedding.append(prepared.popleft())
    while len(embedding) > keep:
        decided = examiner.judge(embedding[0])
        embedding.popleft()
        yield from decided


def _post(number: int, path: Path) -> Post:
    name = _printable(str(path))
    record = Record(TOPIC, 0, number, int(time.time() * 1000), name.encode(), None)
    return Post(record, name, images=(PostImage("0", url=str(path)),))


def _printable(name: str) -> str:
    """Return a file's name with what is no text in it, or ends a line, written out."""
    text = name.encode(errors="backslashreplace").decode()
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _show(out: Console, decided: Decided, *, verbose: bool) -> None:
    """Print a decision for people: a line, tab-separated where it is not on a terminal."""
    shown = decided.images[0]
    image = shown.decision
    cells = [decided.post.post_id, image.decision, image.reason, image.cause or _said(image)]
    if out.is_terminal:
        name, decision, reason, rest = map(escape, cells)
        colour = COLOURS[image.decision]
        text = f"{name}  [{colour}]{decision}[/] {reason}  {rest}"
        out.print(text, highlight=False, soft_wrap=True)
    else:
        # The console would turn tabs into spaces, and programs split at tabs.
        out.file.write("\t".join(cells).rstrip("\t") + "\n")
    if verbose and shown.box is not None and shown.region is not None and shown.layout is not None:
        x, y, width, height = shown.region.values()
        whole = f"{shown.layout.width}x{shown.layout.height}"
        out.file.write(f"    region {width}x{height} at {x},{y} of {whole}\n")
    for item in image.evidence if verbose else ():
        out.file.write(f"    {item.similarity:.4f}  {item.kind}  {item.type}  {item.id}\n")


def _said(image: ImageDecision) -> str:
    """Return what is said of an image: the levels that a head is sure of, or types with scores."""
    probable = [item for item in image.types if item.probability is not None]
    if not probable:
        return ", ".join(f"{item.name} ({item.family}) {item.score:.2f}" for item in image.types)
    best = max(probable, key=lambda item: item.probability or 0.0)
    surest = [item for item in image.mechanisms[:1] if item.name != UNKNOWN] or image.families[:1]
    levels = [f"{level.name} {level.score:.2f}" for level in surest]
    return "; ".join([*levels, f"probably {best.name} {best.probability:.2f}"])


class Bar:
    """A progress bar that appears once the work has taken a while.

    Args:
        console: Where it is shown, if that is a terminal.
        total: Steps of the work.
        hidden: Never show it.
    """

    def __init__(self, console: Console, total: int, *, hidden: bool) -> None:
        self._progress = Progress(console=console, transient=True)
        self._task = self._progress.add_task("deciding", total=total)
        self._hidden = hidden or not console.is_terminal
        self._begin = time.monotonic()

    def advance(self) -> None:
        """Go one step on."""
        self._progress.advance(self._task)
        started = self._progress.live.is_started
        if not (self._hidden or started) and time.monotonic() - self._begin > QUICK:
            self._progress.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._progress.live.is_started:
            self._progress.stop()
