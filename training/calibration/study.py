"""How many prototypes, and chosen how: each choice measured on the same photographs.

Joins the other parts of this package; holds no method of its own.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from models.index import PrototypeIndex
from models.prototypes import Prototypes
from training.calibration.choice import choose_policy
from training.evaluation import Judge, firearms_of, look_at
from training.material import Material, gather
from training.naming import named, read_types
from training.progress import progress
from training.recipe import Recipe
from training.release import choose_prototypes, types_of

ALL = "all"
RATES = ("0.001", "0.01", "0.05")


@dataclass(frozen=True)
class Plan:
    """What is compared.

    Args:
        methods: Names of ``training.selection.SELECTIONS``.
        counts: Prototypes of each type; None: all, which is measured once whatever the methods.
    """

    methods: tuple[str, ...]
    counts: tuple[int | None, ...]

    def choices(self) -> list[tuple[str, int | None]]:
        """Return pairs of method and count, all of them first."""
        every: list[tuple[str, int | None]] = [(ALL, None)] if None in self.counts else []
        counts = sorted({count for count in self.counts if count is not None})
        return [*every, *((method, count) for method in self.methods for count in counts)]


def study(recipe: Recipe, plan: Plan, console: Console) -> dict[str, Any]:
    """Measure choices of prototypes on the test's side, or the thresholds' where there is none.

    Photographs are embedded once. Each choice gets a policy of its own, as a release would.

    Args:
        recipe: Of everything but the prototypes of each type and how they are chosen.
        plan: The choices.
        console: For progress and what was found.

    Returns:
        Plain JSON: ``recipe``, ``side``, ``photographs`` and ``rows``, one for each choice.

    Raises:
        BadInput: Photographs, tables or options cannot be used.
        ModelError: The network cannot be made.
    """
    _, material = gather(recipe, console)
    side = "test" if material.sides.test else "threshold"
    choices = plan.choices()
    rows = []
    with progress(console, "measuring choices of prototypes", len(choices)) as advance:
        for method, count in choices:
            own = recipe if count is None else replace(recipe, selection=method)
            prototypes = choose_prototypes(replace(own, per_type=count), material)
            figures = _figures(recipe, material, prototypes, side)
            rows.append({"method": method, "per_type": count or ALL, **figures})
            advance(1)
    return {
        "recipe": recipe.to_json(),
        "side": side,
        "photographs": len(getattr(material.sides, side)),
        "rows": rows,
    }


def table(found: dict[str, Any]) -> str:
    """Return what ``study`` found as a Markdown table."""
    return "\n".join(_lines(found)) + "\n"


def index_bytes(prototypes: Prototypes) -> int:
    """Return how many bytes prototypes and their index take in a release."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "prototypes.npz"
        prototypes.save(file)
        size = file.stat().st_size
        # Smaller ones are searched without a file, see models.release.
        if len(prototypes) >= PrototypeIndex.EXACT_BELOW:
            graph = Path(folder) / "index.bin"
            PrototypeIndex.build(prototypes).save(graph)
            size += graph.stat().st_size
    return size


def _figures(
    recipe: Recipe, material: Material, prototypes: Prototypes, side: str
) -> dict[str, Any]:
    index = PrototypeIndex.build(prototypes)
    held_out = material.sides.threshold
    frames = look_at(recipe.policy, material, held_out, index)
    firearm = firearms_of([material.photos[n] for n in held_out])
    policy = choose_policy(frames, firearm, recipe.policy)
    types = named(types_of(prototypes), read_types(recipe.types))
    judge = Judge(recipe.policy, policy, prototypes, types, recipe.coarse_prefix)
    places: Sequence[int] = getattr(material.sides, side)
    seen = frames if side == "threshold" else look_at(recipe.policy, material, places, index)
    found = judge.figures(seen, [material.photos[n] for n in places])
    ranked = judge.types_ranked(material, places)
    firearms = prototypes.kinds.count("firearm")
    return {
        "firearms": firearms,
        "lookalikes": len(prototypes) - firearms,
        "mean_average_precision": ranked["mean_average_precision"],
        "type_right": ranked["recall_at_1"],
        "type_right_as_served": found["types_as_served"]["type_right"],
        "recall_at_false_flags": found["flags"]["recall_at_false_flags"],
        "at_threshold": found["flags"]["at_threshold"],
        "index_bytes": index_bytes(prototypes),
    }


def _lines(found: dict[str, Any]) -> Iterator[str]:
    yield (
        f"Measured on the {found['photographs']} {found['side']} photographs. Recall at fixed "
        "false flags has its thresholds chosen on them; at the threshold it is the policy's"
        f"{', which these very photographs set' if found['side'] == 'threshold' else ''}."
    )
    yield ""
    yield (
        "| method | per type | firearms | look-alikes | mAP | type right | as served "
        "| recall at 0.1 % | at 1 % | at 5 % | at the threshold | false flags | KB |"
    )
    yield "|---|" + "---:|" * 12
    for row in found["rows"]:
        at, rates = row["at_threshold"], row["recall_at_false_flags"]
        shares = (
            row["mean_average_precision"],
            row["type_right"],
            row["type_right_as_served"],
            *(rates.get(rate) for rate in RATES),
            at["recall"],
            at["false_flags"],
        )
        cells = [row["method"], row["per_type"], row["firearms"], row["lookalikes"]]
        cells += ["–" if share is None else f"{100 * share:.1f}" for share in shares]
        yield f"| {' | '.join(map(str, cells))} | {row['index_bytes'] / 1000:.0f} |"
