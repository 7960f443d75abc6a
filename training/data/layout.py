"""Where Firearm 14k keeps its files, and which type a file shows. Must not read their content.

The published layout::

    firearm-dataset/train/<Type>/<Type>_NNNN.jpg
    firearm-dataset/{validation,test}/database_image/<Type>_NNNN.jpg
    firearm-dataset/{validation,test}/query_info/query_image/<Type>_NNNN.jpg
    firearm-dataset/{validation,test}/query_info/ground_truth_info.json
    firearm-train-val/<Type>/<Type>_NNNN.jpg

Types have ``+`` for a blank. The last folder holds the types of train and validation, for
classification; a copy may lack it. Source: the released code and lists (paper, 1).
"""

import re
from dataclasses import dataclass
from pathlib import Path

from training.errors import BadInput
from training.folder import by_name, visible

SPLITS = ("train", "validation", "test")
HELD = ("validation", "test")
"""Splits that are asked and searched; train is not."""

DATASET = "firearm-dataset"
CLASSIFICATION = "firearm-train-val"
DATABASE = "database_image"
QUERIES = "query_info/query_image"
GROUND_TRUTH = "query_info/ground_truth_info.json"

_NUMBERED = re.compile(r"(.+)_[0-9]+")


@dataclass(frozen=True)
class Layout:
    """The folders of a copy.

    Args:
        root: Holds train, validation and test.
        classification: Holds a folder for each type of train and validation; None if absent.
    """

    root: Path
    classification: Path | None


def find_layout(folder: Path) -> Layout | None:
    """Return the folders of a copy: ``folder`` or the ``firearm-dataset`` in it; None if none.

    A folder of types, one of which happens to be called ``train``, is not taken for one.
    """
    for root in (folder, folder / DATASET):
        if (root / "train").is_dir() and (root / "validation").is_dir():
            beside = (root / CLASSIFICATION, root.parent / CLASSIFICATION)
            return Layout(root, next(filter(Path.is_dir, beside), None))
    return None


def type_of(path: Path) -> str:
    """Return the type in the name of a file.

    Raises:
        BadInput: The name is not ``<type>_<number>`` and an ending.
    """
    found = _NUMBERED.fullmatch(path.stem)
    if found is None:
        raise BadInput(f"{path} does not name its type; call it <type>_<number>{path.suffix}")
    return found[1]


def files(folder: Path) -> list[Path]:
    """Return the files of a folder, without hidden ones, in the order of their names.

    Raises:
        BadInput: There is no such folder.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder} is missing; the data set's layout needs it")
    return sorted(path for path in visible(folder) if not path.is_dir())


def type_files(folder: Path) -> dict[str, list[Path]]:
    """Return the files ``<type>/<file>`` of a folder, see ``training.folder.by_name``.

    Raises:
        BadInput: There is no such folder, or no folder of a type in it.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder} is missing; the data set's layout needs it")
    found = by_name(folder)
    if not found:
        raise BadInput(f"{folder} holds no types; the photographs belong in folders <type>/")
    return found
