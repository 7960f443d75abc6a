"""What is to be broken, when and how badly: a list that a seed wholly gives. Breaks nothing."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

KINDS = {
    "kill": "SIGKILL to a member, which is started again after a while",
    "freeze": "SIGSTOP to a member for longer than its session, then SIGCONT",
    "broker-kill": "SIGKILL to the broker, which is started again",
    "broker-stop": "SIGTERM to the broker, which is started again",
    "join": "a further member joins the group",
    "leave": "a further member leaves the group, by SIGTERM",
    "redis-kill": "SIGKILL to Redis, which comes back empty",
    "redis-freeze": "Redis answers nothing for a while",
    "slow": "every byte between members and broker takes longer",
    "stall": "no byte passes between members and broker; connections stay open",
    "cut": "all connections between members and broker break; none is let in for a while",
    "disk-full": "no room is left where the broker keeps its data and members temporary files",
}

OTHERS = ("freeze", "slow", "redis-kill", "cut", "stall", "disk-full", "redis-freeze")
"""What there is besides kills, restarts and rebalances, in the order in which a small run takes
it."""

AIMED = 0.85
"""Share of kills that wait for an open transaction; the others come when they come."""


OVERLAPPED = 0.15
"""Share of faults behind which the next one comes at once."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is done.

    Args:
        kind: One of ``KINDS``.
        seconds: How long it lasts; of a kill and a restart, until it is started again.
        draw: In [0, 1), for what can only be chosen when it is done, such as which member.
        aimed: Of a kill, whether it waits for an open transaction.
        pause: Seconds to wait before it is done.
        overlapped: Whether the next one comes without waiting for things to go on again.
    """

    kind: str
    seconds: float = 0.0
    draw: float = 0.0
    aimed: bool = False
    pause: float = 0.0
    overlapped: bool = False


@dataclass(frozen=True, slots=True)
class Amounts:
    """How many of each; ``others`` holds further kinds, each as often as it is named."""

    kills: int
    restarts: int
    rebalances: int
    others: Sequence[str] = field(default_factory=tuple)


def others(count: int, without: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """Return so many kinds of ``OTHERS``, in turns, leaving some out."""
    usable = [kind for kind in OTHERS if kind not in without]
    return tuple(usable[n % len(usable)] for n in range(count))


def plan(amounts: Amounts, seed: int, session: float) -> list[Fault]:
    """Return what is to be done, in order.

    Args:
        amounts: How many of each.
        seed: The same seed gives the same plan.
        session: The members' session time-out in seconds; a freeze lasts longer.
    """
    chance = random.Random(seed)
    kinds = ["kill"] * amounts.kills
    kinds += [("broker-kill", "broker-stop")[n % 2] for n in range(amounts.restarts)]
    kinds += ["rebalance"] * amounts.rebalances
    kinds += amounts.others
    chance.shuffle(kinds)
    aimed = [n < round(AIMED * amounts.kills) for n in range(amounts.kills)]
    chance.shuffle(aimed)
    faults: list[Fault] = []
    changes = ("join", "leave")
    joined = kills = 0
    for kind in kinds:
        aim = False
        if kind == "rebalance":
            kind = changes[joined % 2]  # noqa: PLW2901 - which of the two depends on the order
            joined += 1
        elif kind == "kill":
            aim, kills = aimed[kills], kills + 1
        faults.append(
            Fault(
                kind,
                _seconds(kind, session, chance),
                draw=chance.random(),
                aimed=aim,
                pause=chance.uniform(0, 1),
                overlapped=chance.random() < OVERLAPPED,
            )
        )
    return faults


def _seconds(kind: str, session: float, chance: random.Random) -> float:
    low, high = {
        "kill": (0.2, 1.5 * session),
        "freeze": (session + 1, session + 4),
        "broker-kill": (0.0, 4.0),
        "broker-stop": (0.0, 4.0),
        "redis-kill": (0.5, 4.0),
        "redis-freeze": (1.0, 4.0),
        "slow": (2.0, 5.0),
        "stall": (1.0, 1.5 * session),
        "cut": (0.0, 3.0),
        "disk-full": (1.0, 3.0),
    }.get(kind, (0.0, 0.0))
    return round(chance.uniform(low, high), 2)
