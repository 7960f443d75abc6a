"""The shipped manifest of Firearm 14k: path, size and digest of each file. Must not read images.

Of each SHA-256 the first 8 bytes are kept, which with the size is enough to find damage: a file
that broke by chance keeps its size and its 64 bits once in 10^19 times. It is no seal against
malice: who can choose a file's content can make another with the same 64 bits.

A row of the packed table is a file: its type, its place, its number, its size and its digest. The
path follows from the first three, as every file is called ``<type>_<number>.jpg``.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from training.errors import BadInput

SHIPPED = Path(__file__).with_name("firearm14k_digests.npz")

KEPT = 8
"""Bytes of each digest."""

PLACES = (
    "train",
    "validation/database_image",
    "validation/query_info/query_image",
    "validation/query_info/removed_query",
    "test/database_image",
    "test/query_info/query_image",
)
"""Folders of the data set; in train, each type has a folder of its own."""

_PATH = re.compile(rf"({'|'.join(PLACES)})/(?:([^/]+)/)?([^/]+)_([0-9]{{4}})\.jpg")


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What is known of one file.

    Args:
        size: In bytes.
        digest: Hex of the first bytes of its SHA-256.
    """

    size: int
    digest: str


def pack(table: Path, out: Path) -> int:
    """Make the shipped manifest of lines ``path TAB sha256 TAB size``.

    Returns:
        The number of files.

    Raises:
        BadInput: The table cannot be read, or a line of it is not of this kind.
    """
    try:
        lines = table.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{table} cannot be read: {error}") from None
    rows = sorted(_row(table, number, line) for number, line in enumerate(lines, 1))
    if not rows:
        raise BadInput(f"{table} is empty; give lines of path, SHA-256 and size with tabs between")
    names = sorted({name for name, *_ in rows})
    columns: dict[str, Any] = {
        "names": np.array(names),
        "name": np.array([names.index(row[0]) for row in rows], np.uint16),
        "place": np.array([row[1] for row in rows], np.uint8),
        "number": np.array([row[2] for row in rows], np.uint16),
        "size": np.array([row[3] for row in rows], np.uint32),
        "digest": np.frombuffer(b"".join(row[4] for row in rows), np.uint8).reshape(-1, KEPT),
    }
    with out.open("wb") as file:
        np.savez_compressed(file, **columns)
    return len(rows)


def unpack(manifest: Path = SHIPPED) -> dict[str, FileFacts]:
    """Return what a manifest says of each file, by its path below the data set's folder.

    Raises:
        BadInput: It cannot be read as one.
    """
    try:
        with np.load(manifest, allow_pickle=False) as raw:
            names, digests = raw["names"].tolist(), raw["digest"]
            columns = [raw[key].tolist() for key in ("name", "place", "number", "size")]
        return {
            _path(names[name], PLACES[place], number): FileFacts(size, digest.tobytes().hex())
            for name, place, number, size, digest in zip(*columns, digests, strict=True)
        }
    except (OSError, ValueError, KeyError, IndexError, EOFError, BadZipFile) as error:
        raise BadInput(f"{manifest} cannot be read as a manifest: {error}") from None


def _path(name: str, place: str, number: int) -> str:
    folder = f"{place}/{name}" if place == "train" else place
    return f"{folder}/{name}_{number:04d}.jpg"


def _row(table: Path, number: int, line: str) -> tuple[str, int, int, int, bytes]:
    """Return type, place, number, size and shortened digest of a line."""
    try:
        path, digest, size = line.split("\t")
        found = _PATH.fullmatch(path)
        if found is None or len(digest) != 64:
            raise ValueError(path)
        place, name, count = found[1], found[3], int(found[4])
        if path != _path(name, place, count):
            raise ValueError(path)
        return name, PLACES.index(place), count, int(size), bytes.fromhex(digest)[:KEPT]
    except ValueError:
        raise BadInput(
            f"{table}, line {number}, is not a file of the published layout with its SHA-256 and "
            "size, with tabs between"
        ) from None
