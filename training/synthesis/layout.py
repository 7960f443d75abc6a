"""Which pictures a drawn data set holds, where each belongs, and its lists. Draws nothing.

``firearm14k`` is the published layout (see ``training.data.layout``), with a folder ``harmless``
beside it. ``folders`` is ``firearms/<type>``, ``harmless/<kind>`` and ``sources.csv``.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from training.data.layout import CLASSIFICATION, DATABASE, DATASET, GROUND_TRUTH
from training.data.layout import QUERIES as QUERY_FOLDER
from training.folder import Box
from training.synthesis.chance import stream
from training.synthesis.design import Design, designs
from training.synthesis.harmless import HARMLESS
from training.synthesis.lookalike import LOOKALIKES
from training.synthesis.order import QUERIES, Order
from training.synthesis.scene import SOURCES

HELD_SHARES = {"validation": 0.1, "test": 0.25}
"""Of the types, rounded, at least two; train has the others (paper, 1: 65/10/25 %)."""

COLUMNS = ("file", "dup_group", "source_repo", "role", "boxes")


@dataclass(frozen=True, slots=True)
class Plate:
    """A picture to draw.

    Args:
        path: Where it belongs, within the data set.
        name: Its type or kind.
        number: Which of its type or kind it is, from 1.
        source: A key of ``training.synthesis.scene.SOURCES``.
        design: Of the firearm; None for all else.
        copies: Where else the same file belongs.
    """

    path: str
    name: str
    number: int
    source: str
    design: Design | None = None
    copies: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        """The name of its file."""
        return _file(self.name, self.number)


@dataclass(frozen=True, slots=True)
class Album:
    """All of a data set but the pixels.

    Args:
        plates: Its pictures.
        lists: Path within the data set → text, as far as it needs no boxes.
        table: Path of the table of groups and boxes; None where the layout has none.
    """

    plates: tuple[Plate, ...]
    lists: Mapping[str, str]
    table: str | None = None


def album(order: Order) -> Album:
    """Return what a data set holds; equal orders give equal albums."""
    types = designs(order.seed, order.types)
    if order.layout == "folders":
        plates = [
            _plate(f"firearms/{design.name}", design.name, number, design=design)
            for design in types
            for number in _numbers(order)
        ]
        return Album((*plates, *_others(order)), {}, "sources.csv")
    splits = split_types(types, order.seed)
    plates = [_published(*place, order) for place in _placed(splits, order)]
    return Album((*plates, *_others(order)), _truths(splits, order))


def split_types(types: Sequence[Design], seed: int) -> dict[str, list[Design]]:
    """Return train, validation and test, of different types, chosen by chance."""
    mixed = [types[place] for place in stream(seed, "split").permutation(len(types)).tolist()]
    splits = {}
    for split, share in HELD_SHARES.items():
        count = max(2, round(share * len(types)))
        splits[split], mixed = mixed[:count], mixed[count:]
    return {"train": mixed, **splits}


def table(plates: Sequence[Plate], boxes: Sequence[Box]) -> str:
    """Return ``sources.csv``: a line for each picture, with the box of each firearm."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for plate, box in zip(plates, boxes, strict=True):
        figures = (box.x, box.y, box.width, box.height) if plate.design else ()
        writer.writerow(
            (
                plate.path,
                plate.file.removesuffix(".jpg"),
                f"drawn/{plate.source}",
                "firearm" if plate.design else "negative",
                " ".join(f"{figure:.6f}" for figure in figures),
            )
        )
    return text.getvalue()


def _numbers(order: Order) -> range:
    return range(1, order.images_per_type + 1)


def _file(name: str, number: int) -> str:
    return f"{name}_{number:04d}.jpg"


def _plate(
    folder: str, name: str, number: int, design: Design | None = None, copies: tuple[str, ...] = ()
) -> Plate:
    source = tuple(SOURCES)[(number - 1) % len(SOURCES)]
    file = _file(name, number)
    there = tuple(f"{copy}/{file}" for copy in copies)
    return Plate(f"{folder}/{file}", name, number, source, design, there)


def _queries(design: Design, order: Order) -> frozenset[int]:
    """Return the numbers of a type's queries."""
    chance = stream(order.seed, "queries", design.name)
    return frozenset(chance.permutation(_numbers(order))[:QUERIES].tolist())


def _placed(splits: Mapping[str, Sequence[Design]], order: Order) -> list[tuple[str, Design, int]]:
    """Return split, type and number of every picture of a firearm."""
    return [
        (split, design, number)
        for split, types in splits.items()
        for design in types
        for number in _numbers(order)
    ]


def _published(split: str, design: Design, number: int, order: Order) -> Plate:
    if split == "train":
        folder = f"{DATASET}/train/{design.name}"
    else:
        query = number in _queries(design, order)
        folder = f"{DATASET}/{split}/{QUERY_FOLDER if query else DATABASE}"
    # Classification learns the types of validation too, but not those of test.
    copies = () if split == "test" else (f"{CLASSIFICATION}/{design.name}",)
    return _plate(folder, design.name, number, design, copies)


def _truths(splits: Mapping[str, Sequence[Design]], order: Order) -> dict[str, str]:
    """Return the lists of what each query should find, as JSON."""
    lists = {}
    for split in HELD_SHARES:
        truth = {}
        for design in splits[split]:
            queries = _queries(design, order)
            right = [
                _file(design.name, number) for number in _numbers(order) if number not in queries
            ]
            truth.update({_file(design.name, number): right for number in sorted(queries)})
        lists[f"{DATASET}/{split}/{GROUND_TRUTH}"] = json.dumps(truth)
    return lists


def _others(order: Order) -> list[Plate]:
    """Return the pictures without firearms, their kinds in turn."""
    return [
        _plate(f"harmless/{kind}", kind, place // len(kinds) + 1)
        for kinds, count in ((LOOKALIKES, order.lookalikes), (HARMLESS, order.harmless))
        for place in range(count)
        for kind in (tuple(kinds)[place % len(kinds)],)
    ]
