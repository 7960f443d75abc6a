"""``moderator release diff``: what a shadow release would have decided otherwise, summed up."""

import json
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from kafka import TopicPartition
from kafka.errors import KafkaError
from rich.console import Console

from moderator.errors import BadSettings, Unavailable
from moderator.settings import Settings
from moderator.streaming import clients
from moderator.streaming.unreadable import tolerate_unreadable

PATIENCE = 30.0
"""Seconds without a record after which a topic counts as not readable."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a decision comes to: decision, reason, and its best type, empty without one."""

    decision: str
    reason: str
    type: str

    def __str__(self) -> str:
        return f"{self.decision}/{self.reason}"


@dataclass(eq=False)
class Kind:
    """Decisions that differ in one way: how many, and the ids of the first."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, decision_id: str, most: int) -> None:
        """Count one, and note its id while there are fewer than ``most``."""
        self.count += 1
        if len(self.examples) < most:
            self.examples.append(decision_id)


@dataclass(eq=False)
class Difference:
    """A shadow's decisions beside those of the stream, counted.

    ``reasons`` are by both outcomes where decision or reason differ, ``types`` by both best types
    where both flag and these differ; ``unmatched`` have no decision in the topic any more.
    """

    release: str
    compared: int = 0
    agreed: int = 0
    unmatched: int = 0
    reasons: dict[tuple[str, str], Kind] = field(default_factory=lambda: defaultdict(Kind))
    types: dict[tuple[str, str], Kind] = field(default_factory=lambda: defaultdict(Kind))


def compare(
    release: str,
    shadow: Mapping[str, Outcome],
    stream: Iterable[tuple[str, Outcome]],
    examples: int,
) -> Difference:
    """Compare the decisions of a shadow with those of the stream, by their ids.

    Args:
        release: Of the shadow.
        shadow: Its decisions.
        stream: Those of the stream; others than the shadow's are left out.
        examples: Ids noted of each kind of difference.
    """
    found = Difference(release)
    left = dict(shadow)
    for decision_id, ours in stream:
        theirs = left.pop(decision_id, None)
        if theirs is None:
            continue
        found.compared += 1
        if ours == theirs:
            found.agreed += 1
        elif str(ours) != str(theirs):
            found.reasons[str(ours), str(theirs)].add(decision_id, examples)
        else:
            found.types[ours.type, theirs.type].add(decision_id, examples)
    found.unmatched = len(left)
    return found


def run_diff(
    settings: Settings, out: Console, *, release_id: str | None, examples: int, as_json: bool
) -> int:
    """Print how a shadow's decisions differ from those of the stream.

    Args:
        settings: Brokers and the names of the topics.
        out: Where it is printed.
        release_id: The shadow; None: that of the last record in the shadow topic.
        examples: Ids named of each kind of difference.
        as_json: Print one JSON object.

    Raises:
        BadSettings: There is no shadow topic, or nothing in it.
        Unavailable: The brokers cannot be reached.
    """
    topics = settings.topics
    if not topics.shadow_topic:
        raise BadSettings("shadow_topic is empty: nothing was shadowed; set it")
    clients.wait_for_broker(settings.kafka, settings.kafka.start_timeout, None)
    missing = clients.missing_topics(settings.kafka, [topics.shadow_topic, topics.decisions_topic])
    if missing:
        raise BadSettings(f"no topic {missing[0]}; `moderator topics create` makes the topics")
    try:
        release, shadow = _shadowed(settings, release_id)
        stream = ((each["decision_id"], _outcome(each)) for each in _read(
            settings, topics.decisions_topic))  # fmt: skip
        found = compare(release, shadow, stream, examples)
    except KafkaError as error:
        raise Unavailable(f"the brokers answer with {type(error).__name__}: {error}") from None
    if as_json:
        out.file.write(f"{json.dumps(_plain(found))}\n")
    else:
        for line in _lines(found):
            out.print(line, markup=False, highlight=False, soft_wrap=True)
    return 0


def _shadowed(settings: Settings, release_id: str | None) -> tuple[str, dict[str, Outcome]]:
    """Return a shadow's id and its decisions by id."""
    shadows: dict[str, dict[str, Outcome]] = defaultdict(dict)
    last = ("", "")
    for body in _read(settings, settings.topics.shadow_topic):
        shadows[body["release"]][body["decision_id"]] = _outcome(body)
        last = max(last, (str(body["decided_at"]), body["release"]))
    wanted = release_id or last[1]
    if wanted not in shadows:
        known = ", ".join(shadows) or "of no release"
        raise BadSettings(
            f"topic {settings.topics.shadow_topic} has no decisions of release "
            f"{wanted or 'any kind'}; it has those {known}; begin with `moderator release shadow`"
        )
    return wanted, shadows[wanted]


def _read(settings: Settings, topic: str) -> Iterator[dict[str, Any]]:
    """Yield the decisions in a topic, to the end that it has now."""
    with closing(clients.consumer(settings.kafka, group=False)) as consumer:
        tolerate_unreadable(consumer)
        found = consumer.partitions_for_topic(topic) or set()
        partitions = [TopicPartition(topic, number) for number in sorted(found)]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        ends = consumer.end_offsets(partitions)
        deadline = time.monotonic() + PATIENCE
        while any(consumer.position(each) < ends[each] for each in partitions):
            if time.monotonic() > deadline:
                raise Unavailable(f"topic {topic} gave nothing for {PATIENCE:g} s; try again")
            for rows in consumer.poll(timeout_ms=200).values():
                deadline = time.monotonic() + PATIENCE
                for row in rows:
                    body = _body(row.value)
                    if body is not None:
                        yield body


def _body(value: bytes | None) -> dict[str, Any] | None:
    """Return a decision; None for what is none."""
    try:
        body = json.loads(value or b"")
        return body if {"decision_id", "release", "decision", "reason"} <= body.keys() else None
    except (ValueError, AttributeError, RecursionError):
        return None


def _outcome(body: Mapping[str, Any]) -> Outcome:
    types = body.get("types") or [{}]
    return Outcome(body["decision"], body["reason"], str(types[0].get("type", "")))


def _ranked(kinds: Mapping[tuple[str, str], Kind]) -> list[tuple[tuple[str, str], Kind]]:
    return sorted(kinds.items(), key=lambda item: (-item[1].count, item[0]))


def _plain(found: Difference) -> dict[str, Any]:
    def listed(kinds: Mapping[tuple[str, str], Kind]) -> list[dict[str, Any]]:
        return [
            {"stream": ours, "shadow": theirs, "count": kind.count, "examples": kind.examples}
            for (ours, theirs), kind in _ranked(kinds)
        ]

    return {
        "release": found.release,
        "compared": found.compared,
        "agreed": found.agreed,
        "unmatched": found.unmatched,
        "reasons": listed(found.reasons),
        "types": listed(found.types),
    }


def _lines(found: Difference) -> Iterator[str]:
    share = f" ({found.agreed / found.compared:.1%})" if found.compared else ""
    yield f"shadow {found.release}: {found.compared} compared, {found.agreed} alike{share}"
    if found.unmatched:
        yield f"{found.unmatched} without a decision in the topic any more"
    for what, kinds in (("reason", found.reasons), ("type", found.types)):
        for (ours, theirs), kind in _ranked(kinds):
            examples = ", ".join(kind.examples)
            yield f"{what:<7} {ours or 'none'} -> {theirs or 'none'}: {kind.count}  ({examples})"
