"""Photographs on disk, and which of them belong together. Must not know networks or how they split.

A table of groups is a CSV file with a header and one line per photograph:

``file``
    Path relative to the table's own folder.
``dup_group``
    Photographs that are nearly the same share one; it may be any text.
``source_repo``
    Where the photograph came from: what one camera, shop or collector made shares a source.
``role`` (optional)
    ``borderline`` leaves a photograph out of everything; any other value is ignored.

Other columns are ignored.
"""

import csv
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from training.errors import BadInput

COLUMNS = ("file", "dup_group", "source_repo")
LEFT_OUT = "borderline"


@dataclass(frozen=True, slots=True)
class Photo:
    """A file that should be a photograph.

    Args:
        path: Of the file.
        name: Its type of firearm, or its kind of look-alike or harmless thing.
        firearm: Whether it shows a firearm.
        digest: Hex SHA-256 of the file.
        group: What it shares with those nearly the same; its digest where no table says.
        source: Where it came from; None where no table says.
    """

    path: Path
    name: str
    firearm: bool
    digest: str
    group: str
    source: str | None = None


def read_photos(folder: Path, *, firearm: bool) -> list[Photo]:
    """List the files ``<name>/<file>`` of a folder, in the order of their names.

    Hidden ones are left out, and so are copies of a file within a name.

    Args:
        folder: Holds a folder for each type or kind.
        firearm: Whether they show firearms.

    Raises:
        BadInput: There is no such folder, or no file in it.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder} is not a folder; give one that holds <type>/<photographs>")
    photos: list[Photo] = []
    seen: set[tuple[str, str]] = set()
    for path in sorted(folder.glob("*/*")):
        name = path.parent.name
        if path.name.startswith(".") or name.startswith(".") or not path.is_file():
            continue
        digest = _digest(path)
        if (name, digest) not in seen:
            seen.add((name, digest))
            photos.append(Photo(path, name, firearm, digest, digest))
    if not photos:
        raise BadInput(f"{folder} holds no photographs; they belong in folders <type>/ within it")
    return photos


def with_groups(photos: Sequence[Photo], table: Path) -> list[Photo]:
    """Return photographs with their groups and sources, without those of role ``borderline``.

    A photograph that the table does not name keeps its digest as its group, and has no source.

    Args:
        photos: As ``read_photos`` gives them.
        table: See the module's first lines.

    Raises:
        BadInput: The table cannot be read, lacks a column, or names none of the photographs.
    """
    rows = _rows(table)
    base = table.resolve().parent
    known = {(base / row["file"]).resolve(): row for row in rows}
    found = [(photo, known.get(photo.path.resolve())) for photo in photos]
    if not any(row for _, row in found):
        raise BadInput(
            f"{table} names none of the photographs; its column file is relative to {base}"
        )
    return [
        photo if row is None else _grouped(photo, row)
        for photo, row in found
        if row is None or row.get("role") != LEFT_OUT
    ]


def dataset_digest(photos: Sequence[Photo]) -> str:
    """Return ``sha256:`` and the digest of all names and files, whatever their order."""
    lines = sorted(f"{photo.firearm:d} {photo.name} {photo.digest}\n" for photo in photos)
    return f"sha256:{hashlib.sha256(''.join(lines).encode()).hexdigest()}"


def _rows(table: Path) -> list[dict[str, str]]:
    try:
        with table.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise BadInput(f"{table} lacks the column {missing[0]}; it needs {COLUMNS}")
            return list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{table} cannot be read as a CSV file: {error}") from None


def _grouped(photo: Photo, row: Mapping[str, str]) -> Photo:
    # Short rows have None where values are missing.
    group, source = row["dup_group"] or photo.digest, row["source_repo"] or None
    return replace(photo, group=group, source=source)


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}; leave it out") from None
