"""``moderator replay``: decide a range of posts again and say what is decided differently.

Nothing of the group is touched: partitions are assigned by hand, and no offset is committed.
"""

import json
import math
import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from rich.console import Console

from models.release import Release, load_release
from moderator.decisions import Decided, to_json
from moderator.errors import BadSettings
from moderator.options import INTERRUPTED
from moderator.replaying.meter import Meter
from moderator.replaying.outcome import outcome
from moderator.replaying.published import PublishedDecisions
from moderator.replaying.ranges import RangeReader, Window
from moderator.replaying.redecide import UpTo, redecide
from moderator.replaying.show import show
from moderator.replaying.sink import Sink
from moderator.replaying.span import parse_edge
from moderator.replaying.store import OutcomeStore
from moderator.replaying.tally import Tally, compared
from moderator.settings import Settings
from moderator.streaming import clients
from moderator.streaming.topic_reader import TopicReader

PUT = 500
"""Decisions that are kept at once."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to replay: the two ends, the releases, how much of the overlay, and where to write.

    ``against`` None is what was published; ``overlay`` is ``latest``, an offset as text, or None
    for the releases as they are.
    """

    begin: str
    end: str
    release: Path
    against: Path | None = None
    overlay: str | None = None
    out: Path | None = None
    topic: str | None = None
    as_json: bool = False


def run_replay(settings: Settings, request: Request, *, out: Console, err: Console) -> int:
    """Replay, write what differs, and print a summary, also when interrupted.

    Returns:
        The exit code: 0, or 130 where it was interrupted.

    Raises:
        BadSettings: The range, a release or the topic to write to is none.
        Unavailable: The brokers cannot be reached, or not read on.
        ModelError: A release cannot be served.
    """
    now = time.time()
    edges = parse_edge(request.begin, "--from", now), parse_edge(request.end, "--to", now)
    limit = _limit(request.overlay)
    candidate = load_release(request.release)
    against = None if request.against is None else load_release(request.against)
    _refuse_own_topics(settings, request.topic)
    kafka = settings.kafka
    clients.wait_for_broker(kafka, kafka.start_timeout, None)
    tally = Tally()
    with ExitStack() as stack:
        store = stack.enter_context(OutcomeStore())
        sink = stack.enter_context(Sink(settings, request.out, request.topic))
        reader = _reader(settings, settings.topics.posts_topic)
        stack.callback(reader.close)
        windows = reader.windows(*edges)
        if not windows:
            raise BadSettings(f"no posts from {request.begin} to {request.end}; widen the range")
        replay = _Replay(settings, reader, windows, limit, err)
        tally.offsets = sum(window.size for window in windows)
        try:
            if against is None:
                tally.unreadable = replay.keep_published(store)
            else:
                replay.keep(against, store)
            replay.compare(candidate, store, sink, tally)
        except KeyboardInterrupt:
            tally.interrupted = True
        sink.flush()
        _gaps(tally, windows, reader.lost)
    if request.as_json:
        out.file.write(json.dumps(tally.to_json(), ensure_ascii=False) + "\n")
    else:
        show(out, tally)
    return INTERRUPTED if tally.interrupted else 0


class _Replay:
    """One range, read as often as it takes."""

    def __init__(
        self,
        settings: Settings,
        reader: RangeReader,
        windows: Sequence[Window],
        limit: int | None,
        err: Console,
    ) -> None:
        self._settings = settings
        self._reader = reader
        self._windows = windows
        self._limit = limit
        self._err = err

    def keep_published(self, store: OutcomeStore) -> int:
        """Keep the decisions that were published; return how many records were none."""
        topics = self._settings.topics
        begin = min(self._reader.first_timestamp(window) for window in self._windows)
        with closing(_reader(self._settings, topics.decisions_topic)) as reader, ExitStack() as bar:

            def meter(windows: Sequence[Window]) -> Callable[[], None]:
                total = sum(window.size for window in windows)
                bar.close()
                return bar.enter_context(Meter(self._err, "reading decisions", total)).advance

            published = PublishedDecisions(reader, topics.posts_topic, self._windows)
            published.fill(store, begin, meter)
            return published.unreadable

    def keep(self, release: Release, store: OutcomeStore) -> None:
        """Decide the range with another release, and keep that."""
        with closing(self._decided(release)) as decided:
            while group := list(islice(decided, PUT)):
                store.put(
                    (
                        (each.post.record.partition, each.post.record.offset),
                        outcome(to_json(each)),
                    )
                    for each in group
                )

    def compare(self, release: Release, store: OutcomeStore, sink: Sink, tally: Tally) -> None:
        """Decide the range with the candidate, and hold that against what is kept."""
        with closing(self._decided(release)) as decided:
            for each in decided:
                source = each.post.record
                body = to_json(each)
                old = store.get((source.partition, source.offset))
                closest = min((image.decision.closest for image in each.images), default=math.inf)
                post = compared(body, outcome(body), old, closest)
                tally.add(post)
                if post.status != "same":
                    sink.write(post)

    def _decided(self, release: Release) -> Generator[Decided, None, None]:
        total = sum(window.size for window in self._windows)
        records = self._reader.read_all(self._windows)
        with Meter(self._err, f"deciding by {release.id}", total) as meter:
            decided = redecide(self._settings, release, records, self._overlay())
            with closing(decided):
                for each in decided:
                    meter.advance()
                    yield each

    def _overlay(self) -> UpTo | None:
        topic = self._settings.topics.prototypes_topic
        if self._limit is None:
            return None
        if not topic:
            raise BadSettings("--overlay needs the prototypes topic; set prototypes_topic")
        reader = TopicReader(self._settings.kafka, topic)
        end = reader.end()
        return UpTo(reader, end if self._limit < 0 else min(self._limit, end))


def _reader(settings: Settings, topic: str) -> RangeReader:
    most = settings.limits.max_post_bytes + clients.HEADROOM
    return RangeReader(settings.kafka, topic, settings.pipeline.max_batch, most)


def _limit(overlay: str | None) -> int | None:
    """Return the offset before which the overlay ends, -1 for its very end, None for no overlay."""
    if overlay is None:
        return None
    if overlay == "latest":
        return -1
    if overlay.isascii() and overlay.isdigit():
        return int(overlay)
    raise BadSettings(f"--overlay {overlay} is neither latest nor an offset")


def _refuse_own_topics(settings: Settings, topic: str | None) -> None:
    from moderator.findings import topic_names

    if topic is None:
        return
    if topic in topic_names(settings).values():
        raise BadSettings(f"--topic {topic} is one of the workers' own; name one for replays")
    if clients.missing_topics(settings.kafka, [topic]):
        raise BadSettings(f"no topic {topic}; create it, or leave --topic out")


def _gaps(tally: Tally, windows: Sequence[Window], vanished: Mapping[int, int]) -> None:
    """Take note of what of the range is not there."""
    lost = Counter({window.partition: window.lost for window in windows if window.lost})
    lost.update(vanished)
    tally.lost = dict(lost)
    tally.offsets -= sum(vanished.values())
    tally.cut = {window.partition: window.begin for window in windows if window.cut}
