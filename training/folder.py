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
``boxes`` (optional)
    Where the firearms are: ``x y width height`` of each, ``;`` between them; see ``Box``.
``note`` (optional)
    Any text, such as the model where the type is a group of models.

Other columns are ignored.
"""

import csv
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from training.errors import BadInput
from training.leftout import empty_folders, reason, unreadable

COLUMNS = ("file", "dup_group", "source_repo")
LEFT_OUT = "borderline"


@dataclass(frozen=True, slots=True)
class Box:
    """Where something is in a photograph, as shares of its width and height.

    Args:
        x: Of the centre, from the left, in 0..1.
        y: Of the centre, from the top, in 0..1.
        width: Above 0, up to 1.
        height: Above 0, up to 1.

    Raises:
        ValueError: A figure is outside its range.
    """

    x: float
    y: float
    width: float
    height: float

    def __post_init__(self) -> None:
        inside = 0 <= self.x <= 1 and 0 <= self.y <= 1
        if not (inside and 0 < self.width <= 1 and 0 < self.height <= 1):
            raise ValueError(f"{self} is not within the photograph")


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
        boxes: Where its firearms are; empty where no table says.
        note: What a table says besides.
    """

    path: Path
    name: str
    firearm: bool
    digest: str
    group: str
    source: str | None = None
    boxes: tuple[Box, ...] = ()
    note: str = ""


def read_photos(folder: Path, *, firearm: bool) -> list[Photo]:
    """List the files ``<name>/<file>`` of a folder, in the order of their names.

    Hidden ones are left out, and so are copies of a file within a name. What else is left out is
    said on standard error: folders without photographs, and files that cannot be opened.

    Args:
        folder: Holds a folder for each type or kind.
        firearm: Whether they show firearms.

    Raises:
        BadInput: There is no such folder, or no file in it.
    """
    if not folder.is_dir():
        raise BadInput(f"{folder} is not a folder; give one that holds <type>/<photographs>")
    photos = digested(by_name(folder), firearm=firearm)
    if not photos:
        raise BadInput(f"{folder} holds no photographs; they belong in folders <type>/ within it")
    first: dict[tuple[str, str], Photo] = {}
    for photo in photos:
        first.setdefault((photo.name, photo.digest), photo)
    return list(first.values())


def by_name(folder: Path) -> dict[str, list[Path]]:
    """Return the files ``<name>/<file>`` of a folder by name, all in order, without hidden ones.

    Folders that hold none are left out and said on standard error.
    """
    kinds = sorted(path for path in visible(folder) if path.is_dir())
    found = {kind.name: sorted(p for p in visible(kind) if not p.is_dir()) for kind in kinds}
    empty_folders(folder, [name for name, paths in found.items() if not paths], len(found))
    return {name: paths for name, paths in found.items() if paths}


def visible(folder: Path) -> Iterator[Path]:
    """Yield what is in a folder, without what is hidden."""
    return (path for path in folder.iterdir() if not path.name.startswith("."))


def digested(files: Mapping[str, Sequence[Path]], *, firearm: bool) -> list[Photo]:
    """Return the photographs of files by name; those that cannot be opened are said and left out.

    Args:
        files: Name of a type or kind → its files.
        firearm: Whether they show firearms.
    """
    photos, bad = [], []
    for name, paths in files.items():
        for path in paths:
            try:
                digest = file_digest(path)
            except OSError as error:
                bad.append(f"{name}/{path.name}: {reason(error, path)}")
            else:
                photos.append(Photo(path, name, firearm, digest, digest))
    unreadable(bad, len(photos) + len(bad))
    return photos


def with_groups(photos: Sequence[Photo], table: Path) -> list[Photo]:
    """Return photographs with their groups, sources and boxes, without ``borderline`` ones.

    A photograph that the table does not name keeps its digest as its group, and has no source
    and no boxes.

    Args:
        photos: As ``read_photos`` gives them.
        table: See the module's first lines.

    Raises:
        BadInput: The table cannot be read, lacks a column, names none of the photographs, or
            gives one of them boxes that are none.
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
        photo if row is None else _grouped(photo, row, table)
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


def _grouped(photo: Photo, row: Mapping[str, str], table: Path) -> Photo:
    # Short rows have None where values are missing.
    group, source = row["dup_group"] or photo.digest, row["source_repo"] or None
    try:
        boxes = _boxes(row.get("boxes") or "")
    except ValueError:
        raise BadInput(
            f"{table} gives {row['file']} the boxes {row['boxes']!r}; each is the centre's x and "
            "y, the width and the height as shares of the photograph, with ; between boxes"
        ) from None
    return replace(photo, group=group, source=source, boxes=boxes, note=row.get("note") or "")


def _boxes(text: str) -> tuple[Box, ...]:
    """Raises ValueError if a part is not four numbers in range."""
    boxes = []
    for part in filter(str.strip, text.split(";")):
        x, y, width, height = map(float, part.split())
        boxes.append(Box(x, y, width, height))
    return tuple(boxes)


def file_digest(path: Path) -> str:
    """Return the hex SHA-256 of a file.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
