"""Post image files to the posts topic, as a social network would. Knows nothing of decisions."""

import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from kafka.errors import KafkaError, KafkaTimeoutError
from rich.console import Console
from rich.progress import Progress

from models.release import load_release
from moderator.canary import Expectation, signed
from moderator.compose import (
    Form,
    NamedImage,
    PostRecord,
    build_record,
    look,
    read_images,
    sized,
)
from moderator.errors import BadInput, BadSettings, Unavailable
from moderator.records import utc
from moderator.settings import Settings

IN_FLIGHT = 64
"""Most posts sent and not yet acknowledged."""


@dataclass(frozen=True, slots=True)
class Posted:
    """What became of a post: its decision's id, or why it was not posted.

    ``decision_id`` is ``<topic>-<partition>-<offset>``, where the post lies and the id that its
    decision will have. ``post_id`` is empty where none was given before it failed.
    """

    post_id: str
    paths: tuple[Path, ...]
    decision_id: str | None = None
    error: str | None = None


class Coordinates(Protocol):
    """Where a record was written."""

    topic: str
    partition: int
    offset: int


class Acknowledgement(Protocol):
    """What a producer gives for a record that is on its way."""

    is_done: bool

    def get(self, timeout: float) -> Coordinates:
        """Wait for the broker's answer."""
        ...


class Sender(Protocol):
    """The part of a producer that posting uses."""

    def partitions_for(self, topic: str) -> set[int]:
        """Return a topic's partitions, none while it is not known."""
        ...

    def send(
        self,
        topic: str,
        *,
        key: bytes,
        value: bytes,
        headers: Sequence[tuple[str, bytes]] = (),
        partition: int | None = None,
    ) -> Acknowledgement:
        """Put a record on its way."""
        ...

    def close(self, timeout: float) -> None:
        """Send what is left and stop."""
        ...


def post_images(
    settings: Settings,
    paths: Sequence[Path],
    *,
    post_id: str | None = None,
    author_id: str | None = None,
    form: Form | None = None,
    rate: float | None = None,
    together: bool = False,
    canary: Expectation | None = None,
) -> Iterator[Posted]:
    """Post image files and yield what became of each post, as the broker acknowledges it.

    A file that cannot be read or is too large is yielded with its error; the others go on. Files
    that are seen not to be there come first, before a broker is waited for.

    Args:
        settings: Where the brokers are, the topic's name and the limits of a post.
        paths: Image files.
        post_id: Id of the post, where there is only one; random ids else.
        author_id: Who posts.
        form: Form of the records; binary unless the files go together.
        rate: Most posts per second; None: as fast as they go.
        together: Make one post of all files.
        canary: What is expected of the posts, which are signed as canaries; None: of none.

    Raises:
        BadSettings: The options contradict each other, or there is no secret to sign with.
        Unavailable: The broker or the topic cannot be reached.
    """
    secret = _secret(settings, canary)
    groups = [tuple(paths)] if together else [(path,) for path in paths]
    form = form or ("json" if together else "binary")
    _agree(settings, groups, post_id, form, rate)
    there = []
    for group in groups:
        fault = look(group)
        if fault is None:
            there.append(group)
        else:
            yield Posted(post_id or "", group, error=fault)
    if not there:
        return
    producer = _producer(settings)
    try:
        yield from _posted(
            producer,
            settings,
            ((post_id or uuid.uuid4().hex, group) for group in _paced(there, rate)),
            lambda images, name: _signed(
                build_record(
                    images,
                    post_id=name,
                    form=form,
                    author_id=author_id,
                    created_at=utc(time.time() * 1000),
                ),
                canary,
                secret,
            ),
        )
    finally:
        producer.close(timeout=settings.kafka.publish_timeout)


def run_post(
    settings: Settings,
    paths: Sequence[Path],
    *,
    out: Console,
    err: Console,
    post_id: str | None = None,
    author_id: str | None = None,
    form: Form | None = None,
    rate: float | None = None,
    together: bool = False,
    canary: Expectation | None = None,
) -> int:
    """Post image files, a line each: the id that the decision will have, the post id, the files.

    Returns:
        The exit code: 0, or 1 where a file could not be posted.

    Raises:
        BadSettings: The options contradict each other.
        Unavailable: The broker or the topic cannot be reached.
    """
    _say_unknown_type(settings, canary, err)
    failed = 0
    with Progress(console=err, transient=True, disable=not err.is_terminal) as progress:
        task = progress.add_task("posting", total=len(paths))
        for posted in post_images(
            settings,
            paths,
            post_id=post_id,
            author_id=author_id,
            form=form,
            rate=rate,
            together=together,
            canary=canary,
        ):
            progress.advance(task, len(posted.paths))
            names = " ".join(map(str, posted.paths))
            if posted.error is None:
                _line(out, f"{posted.decision_id}\t{posted.post_id}\t{names}")
            else:
                failed += 1
                _line(err, posted.error)
    return 1 if failed else 0


def _line(console: Console, text: str) -> None:
    if console.is_terminal:
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    else:
        # The console would turn tabs into spaces, and programs split at tabs.
        console.file.write(f"{text}\n")


def _say_unknown_type(settings: Settings, canary: Expectation | None, err: Console) -> None:
    """Say that the release of these settings has no such type; the overlay may add it."""
    if canary is None or canary.type is None:
        return
    if canary.type not in load_release(settings.judging.release).types.names:
        _line(err, f"release {settings.judging.release} has no type {canary.type}: unless a "
                   "prototype adds it, this canary will be counted as wrong")  # fmt: skip


def _secret(settings: Settings, canary: Expectation | None) -> str:
    """Return what canaries are signed with, nothing where there are none to sign.

    Raises:
        BadSettings: There is no secret.
    """
    secret = settings.canaries.secret("canary_secret")
    if canary is not None and secret is None:
        raise BadSettings(
            "canaries are signed, and there is no canary_secret; set MODERATOR_CANARY_SECRET to "
            "that of the workers"
        )
    return secret or ""


def _signed(record: PostRecord, canary: Expectation | None, secret: str) -> PostRecord:
    if canary is None:
        return record
    headers = signed(secret, canary, key=record.key, value=record.value, headers=record.headers)
    return replace(record, headers=headers)


def _agree(
    settings: Settings,
    groups: Sequence[tuple[Path, ...]],
    post_id: str | None,
    form: Form,
    rate: float | None,
) -> None:
    """Refuse options that contradict each other."""
    most = settings.limits.max_images_per_post
    largest = max(map(len, groups), default=0)
    if largest == 0:
        raise BadSettings("no images to post; name at least one file")
    if post_id is not None and len(groups) > 1:
        raise BadSettings(f"--post-id names one post, not {len(groups)}; add --together")
    if form == "binary" and largest > 1:
        raise BadSettings("a binary post holds one image; use --as json with --together")
    if largest > most:
        raise BadSettings(f"{largest} images, over max_images_per_post ({most}); post fewer")
    if rate is not None and not rate > 0:
        raise BadSettings(f"--rate {rate:g} is not above 0 posts per second")


def _producer(settings: Settings) -> Sender:
    """Return a producer to which the posts topic is known."""
    from moderator.streaming import clients

    kafka, topic = settings.kafka, settings.topics.posts_topic
    clients.wait_for_broker(kafka, kafka.start_timeout, None)
    producer: Sender = clients.producer(kafka, transactional=False)
    deadline = time.monotonic() + kafka.start_timeout if kafka.start_timeout else None
    while True:
        try:
            if producer.partitions_for(topic):
                return producer
        except KafkaError:
            # Asked again: the topic may be about to be created.
            pass
        if deadline is not None and time.monotonic() > deadline:
            producer.close(timeout=1)
            raise Unavailable(
                f"no topic {topic} at {kafka.bootstrap_servers}; `moderator topics create` makes it"
            )
        time.sleep(0.2)


def _paced(groups: Iterable[tuple[Path, ...]], rate: float | None) -> Iterator[tuple[Path, ...]]:
    """Yield groups, each not before its turn."""
    begin = time.monotonic()
    for place, group in enumerate(groups):
        if rate is not None:
            time.sleep(max(0.0, begin + place / rate - time.monotonic()))
        yield group


def _posted(
    producer: Sender,
    settings: Settings,
    posts: Iterable[tuple[str, tuple[Path, ...]]],
    build: Callable[[Sequence[NamedImage], str], PostRecord],
) -> Iterator[Posted]:
    """Send posts, a bounded number ahead of their acknowledgements."""
    limit, limit_bytes = settings.kafka.publish_timeout, settings.limits.max_post_bytes
    sent: deque[tuple[str, tuple[Path, ...], Acknowledgement]] = deque()
    for post_id, paths in posts:
        try:
            record = sized(build(read_images(paths), post_id), paths, limit_bytes)
        except BadInput as error:
            yield Posted(post_id, paths, error=str(error))
            continue
        future = producer.send(
            settings.topics.posts_topic,
            key=record.key,
            value=record.value,
            headers=list(record.headers),
        )
        sent.append((post_id, paths, future))
        while sent and (len(sent) >= IN_FLIGHT or sent[0][2].is_done):
            yield _acknowledged(*sent.popleft(), limit)
    while sent:
        yield _acknowledged(*sent.popleft(), limit)


def _acknowledged(
    post_id: str, paths: tuple[Path, ...], future: Acknowledgement, limit: float
) -> Posted:
    names = ", ".join(map(str, paths))
    try:
        at = future.get(timeout=limit)
    except KafkaTimeoutError:
        return Posted(post_id, paths, error=f"{names}: not acknowledged within {limit:g} s")
    except KafkaError as error:
        return Posted(post_id, paths, error=f"{names}: {type(error).__name__}: {error}")
    return Posted(post_id, paths, decision_id=f"{at.topic}-{at.partition}-{at.offset}")
