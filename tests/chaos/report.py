"""What a run came to, what of it is wrong, and both as Markdown and JSON. Pure."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from tests.chaos.ledger import Count
from tests.chaos.plan import KINDS

RECOVERY = 10.0
"""Seconds beyond the session time-out that a killed member's partitions may wait."""

DRIFT = 0.025
"""Share by which a member's memory may grow in a third of its life, where it lived for ``LONG``."""

LONG = 300.0
"""Seconds of a life that say something about memory."""


@dataclass(frozen=True)
class KillReport:
    """One kill; ``recovery`` in seconds, ``inside``: its transaction was aborted."""

    member: str
    aimed: bool
    inside: bool
    partitions: int
    recovery: float | None
    disturbed: bool


@dataclass(frozen=True)
class LifeReport:
    """How long a member lived, and the share by which memory and open files grew meanwhile.

    ``course`` is its memory in megabytes at even intervals from the first look to the last.
    """

    member: str
    seconds: float
    megabytes: float
    memory_drift: float
    files_drift: int
    course: tuple[float, ...] = ()


@dataclass(frozen=True)
class Report:
    """Everything that a run came to; times are in seconds.

    ``faults`` says how often each kind was done, ``counts`` what each topic holds against what it
    should hold, ``incomplete`` the partitions whose offsets are not committed to their ends, and
    ``uncommitted`` the decisions that a reader of everything finds beside those of readers of what
    is committed.
    """

    seed: int
    network: str
    members: int
    partitions: int
    posts: int
    seconds: float
    faults: Mapping[str, int]
    skipped: Sequence[str]
    kills: Sequence[KillReport]
    rebalances: int
    read_again: int
    uncommitted: int
    session: float
    transaction: float
    cleanup: float
    counts: Mapping[str, Count]
    incomplete: Sequence[int]
    stuck: Sequence[str]
    standstill: float
    broker_down: Sequence[float]
    drains: Sequence[float]
    member_faults: Sequence[str]
    lives: Sequence[LifeReport]
    aborted: int

    @property
    def inside(self) -> int:
        """Kills that fell inside an open transaction."""
        return sum(each.inside for each in self.kills)

    @property
    def limit(self) -> float:
        """Seconds that a recovery may take."""
        return self.session + RECOVERY

    def failures(self) -> list[str]:
        """Return what is wrong, a line each; nothing where all is well."""
        wrong = [
            f"{name}: {len(count.lost)} lost, {len(count.doubled)} doubled, "
            f"{len(count.strange)} of no post"
            for name, count in self.counts.items()
            if not count.right
        ]
        if 2 * self.inside < len(self.kills):
            wrong.append(
                f"inconclusive: only {self.inside} of {len(self.kills)} kills fell inside an open "
                "transaction, fewer than half"
            )
        for each in self.kills:
            if each.recovery is None:
                wrong.append(f"{each.member}'s partitions never went on after its kill")
            elif each.recovery > self.limit:
                wrong.append(
                    f"{each.member}'s partitions went on {each.recovery:.1f} s after its kill, "
                    f"more than {self.limit:g} s"
                )
        if self.incomplete:
            wrong.append(f"offsets not committed to the end: partitions {list(self.incomplete)}")
        if not self.rebalances:
            wrong.append("inconclusive: the group never rebalanced")
        wrong += [*self.stuck, *self.member_faults]
        wrong += [
            f"{each.member} grew by {each.memory_drift:.1%} within {each.seconds:.0f} s"
            for each in self.lives
            if each.seconds >= LONG and each.memory_drift > DRIFT
        ]
        return wrong


def as_json(report: Report) -> str:
    """Return everything as JSON."""
    body = asdict(report) | {"inside": report.inside, "failures": report.failures()}
    return json.dumps(body, indent=1)


def as_markdown(report: Report) -> str:
    """Return what a reader wants to know."""
    failures = report.failures()
    lines = [
        f"# Chaos, seed {report.seed}: {'FAILED' if failures else 'passed'}",
        "",
        *(f"- **{line}**" for line in failures),
        *([""] if failures else []),
        f"{report.posts} posts through {report.members} members and {report.partitions} "
        f"partitions in {report.seconds:.0f} s; network: {report.network}.",
        "",
        "| topic | wanted | found | lost | doubled | of no post |",
        "|---|---|---|---|---|---|",
        *(
            f"| {name} | {c.wanted} | {c.found} | {len(c.lost)} | {len(c.doubled)} "
            f"| {len(c.strange)} |"
            for name, c in report.counts.items()
        ),
        "",
        "Read by Kafka's console consumer with `read_committed`, counted by the coordinates of "
        "the posts' records.",
        "",
        "| what | |",
        "|---|---|",
        *(f"| {name} | {text} |" for name, text in _figures(report).items()),
        "",
        "| fault | what it is | times |",
        "|---|---|---|",
        *(f"| {kind} | {KINDS[kind]} | {times} |" for kind, times in report.faults.items()),
        "",
        *(f"- not done: {line}" for line in report.skipped),
        *([""] if report.skipped else []),
        *_kills(report),
        *_lives(report),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _figures(report: Report) -> dict[str, str]:
    open_at = report.inside / len(report.kills) if report.kills else 0
    return {
        "kills inside an open transaction (its marker is an abort)": (
            f"{report.inside} of {len(report.kills)} ({open_at:.0%})"
        ),
        "abort markers in the decisions topic": str(report.aborted),
        "rebalances seen by the broker": str(report.rebalances),
        "posts read again, at least": str(report.read_again),
        "decisions in aborted transactions": str(report.uncommitted),
        "recovery after a kill": _recoveries(report),
        "longest time without progress of a partition that had posts": (
            f"{report.standstill:.1f} s"
        ),
        "broker away": f"{_spread(report.broker_down)}",
        "SIGTERM to exit": f"{_spread(report.drains)}",
        "offsets committed to the end of every partition": (
            "no" if report.incomplete else "yes"
        ),
    }  # fmt: skip


def _recoveries(report: Report) -> str:
    """Return how long they took, and against what that is to be held."""
    known = [each.recovery for each in report.kills if each.recovery is not None]
    return (
        f"{_spread(known)}; limit {report.limit:g} s (session time-out {report.session:g} s + "
        f"{RECOVERY:g} s), where transactions time out after {report.transaction:g} s and the "
        f"broker looks for those every {report.cleanup:g} s "
        "(`transaction.abort.timed.out.transaction.cleanup.interval.ms`)"
    )


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "never"
    middle = statistics.median(values)
    return f"median {middle:.1f} s, longest {max(values):.1f} s of {len(values)}"


def _kills(report: Report) -> list[str]:
    lines = [
        "| kill | member | aimed | inside | partitions | recovery (s) |",
        "|---|---|---|---|---|---|",
    ]
    for number, each in enumerate(report.kills, 1):
        took = "never" if each.recovery is None else f"{each.recovery:.1f}"
        later = ", from the end of a later fault" if each.disturbed else ""
        lines.append(
            f"| {number} | {each.member} | {_yes(each.aimed)} | {_yes(each.inside)} "
            f"| {each.partitions} | {took}{later} |"
        )
    return [*lines, ""] if report.kills else []


def _lives(report: Report) -> list[str]:
    if not report.lives:
        return []
    return [
        "Memory and open files of members, the last third of a life against the middle one, "
        "without its first 15 s:",
        "",
        "| member | lived (s) | memory (MB) | memory | files | its course (MB) |",
        "|---|---|---|---|---|---|",
        *(
            f"| {each.member} | {each.seconds:.0f} | {each.megabytes:.0f} "
            f"| {each.memory_drift:+.1%} | {each.files_drift:+d} "
            f"| {' '.join(f'{megabytes:.0f}' for megabytes in each.course)} |"
            for each in report.lives
        ),
    ]


def _yes(value: bool) -> str:
    return "yes" if value else "no"
