"""What makes a drawn type of firearm: name, family, measures, shapes, colours. Draws nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from training.synthesis.chance import pick, stream
from training.synthesis.family import FAMILIES
from training.synthesis.parts import Colour

CANDIDATES = 24
"""Designs drawn for each type, of which the one least like the others of its family is taken."""

METALS: tuple[Colour, ...] = (
    (44, 45, 48), (70, 73, 78), (104, 108, 112), (158, 161, 166), (62, 56, 50), (84, 88, 76),
)  # fmt: skip
STOCKS: tuple[Colour, ...] = (
    (118, 70, 36), (156, 104, 58), (84, 50, 32), (46, 46, 48), (78, 80, 58), (160, 142, 108),
)  # fmt: skip


@dataclass(frozen=True)
class Design:
    """One type of firearm.

    Args:
        name: As the published set writes it: words joined by ``+``.
        family: A key of ``FAMILIES``.
        measures: As in its family, one value each.
        shapes: As in its family, one option each.
        metal: Colour of barrel and receiver.
        stock: Colour of stock and grip.
    """

    name: str
    family: str
    measures: Mapping[str, float]
    shapes: Mapping[str, str]
    metal: Colour
    stock: Colour


MAKERS = (
    "Alder", "Borsk", "Calder", "Dravin", "Elmar", "Fenwick", "Garrow", "Hollis", "Ister", "Jorvik",
    "Kestrel", "Lomond", "Marlow", "Norden", "Orsay", "Pallas", "Quarry", "Rusk", "Sorrel", "Tarn",
)  # fmt: skip
"""Makers that do not exist: a drawn type must not be taken for a real one."""


def designs(seed: int, count: int) -> list[Design]:
    """Return types of firearms, the families in turn; a larger count only adds further ones.

    Args:
        seed: Of all chance.
        count: How many.

    Returns:
        Designs with different names, those of one family as unlike as chance allows.
    """
    made: list[Design] = []
    names = set[str]()
    for number in range(count):
        family = tuple(FAMILIES)[number % len(FAMILIES)]
        others = [design for design in made if design.family == family]
        chance = stream(seed, "design", number)
        options = [_drawn(chance, family) for _ in range(CANDIDATES)]
        scores = [_apart(option, others) for option in options]
        best = options[int(np.argmax(scores))]
        made.append(replace(best, name=_name(chance, family, names)))
    return made


def unlikeness(one: Design, other: Design) -> float:
    """Return how much two designs of one family differ, from 0 for equal ones upwards."""
    family = FAMILIES[one.family]
    measures = sum(
        abs(one.measures[name] - other.measures[name]) / (high - low)
        for name, (low, high) in family.measures.items()
    )
    shapes = sum(one.shapes[name] != other.shapes[name] for name in family.shapes)
    return float(measures + shapes + 0.5 * (one.metal != other.metal) + (one.stock != other.stock))


def _apart(design: Design, others: Sequence[Design]) -> float:
    return min((unlikeness(design, other) for other in others), default=0.0)


def _drawn(chance: np.random.Generator, family: str) -> Design:
    kind = FAMILIES[family]
    return Design(
        "",
        family,
        {name: float(chance.uniform(*limits)) for name, limits in kind.measures.items()},
        {name: pick(chance, options) for name, options in kind.shapes.items()},
        pick(chance, METALS),
        # Muskets and most revolvers are of wood.
        pick(chance, STOCKS[:3] if family == "musket" else STOCKS),
    )


def _name(chance: np.random.Generator, family: str, taken: set[str]) -> str:
    """Return a name that is not taken, and take it."""
    while True:
        model = f"{pick(chance, ('M', 'Mk', 'P', 'No.', 'Model+'))}{chance.integers(1, 200)}"
        name = f"{pick(chance, MAKERS)}+{model}+{FAMILIES[family].words}"
        if name.casefold() not in taken:
            taken.add(name.casefold())
            return name
