"""Sheets of queries and what they found first, hits and misses framed. Knows no networks.

Sheets hold the user's photographs: they are written where the user says, and nowhere else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from training.data.sets import QuerySet
from training.ranking.precision import average_precision
from training.ranking.rank import Ranked

FIRST = 10
"""Results of each query that are shown."""

TILE = 132
"""Side of a thumbnail in pixels, without its frame."""

FRAME = 5
CAPTION = 30
GAP = 6
MARGIN = 10
HEAD = 26

HIT, MISS, QUERY = "#009E73", "#D55E00", "#000000"
"""Green and red that the colour-blind tell apart; captions say it too."""


@dataclass(frozen=True)
class Tile:
    """A photograph of a sheet: its file, frame's colour, and two lines below it."""

    path: Path
    colour: str
    lines: tuple[str, str]


def write_sheets(asked: QuerySet, ranked: Ranked, folder: Path, label: str, rows: int = 8) -> None:
    """Write a sheet of the worst queries, of the best, and of some evenly between them.

    Args:
        asked: The queries and their database.
        ranked: Their rankings.
        folder: Of the sheets ``<label>-worst.png``, ``-best.png`` and ``-between.png``.
        label: Of the network.
        rows: Queries of each sheet.
    """
    folder.mkdir(parents=True, exist_ok=True)
    precisions = [average_precision(relevant) for relevant in ranked.relevant]
    order = np.argsort(precisions, kind="stable")
    between = order[np.linspace(0, len(order) - 1, min(rows, len(order))).round().astype(int)]
    for name, places in (
        ("worst", order[:rows]),
        ("best", order[::-1][:rows]),
        ("between", between),
    ):
        tiles = [query_row(asked, ranked, int(place), precisions[place]) for place in places]
        title = (
            f"{label}: {len(tiles)} of {len(order)} queries ({name} by average precision); "
            "left: the query, then its nearest photographs. "
            f"Green: same type. Red: another type."
        )
        safe = "".join(c if c.isalnum() or c in "+-._" else "_" for c in label)
        sheet(title, tiles).save(folder / f"{safe}-{name}.png")


def query_row(asked: QuerySet, ranked: Ranked, place: int, precision: float) -> list[Tile]:
    """Return a query and its first results."""
    query = asked.queries[place]
    row = [Tile(query.path, QUERY, (query.name, f"query, AP {100 * precision:.0f} %"))]
    found = zip(
        ranked.order[place][:FIRST],
        ranked.similarities[place],
        ranked.relevant[place],
        strict=False,
    )
    for number, (where, similarity, hit) in enumerate(found, start=1):
        photo = asked.database[int(where)]
        said = f"{number} {'hit' if hit else 'miss'}, {similarity:.2f}"
        row.append(Tile(photo.path, HIT if hit else MISS, (photo.name, said)))
    return row


def sheet(title: str, rows: Sequence[Sequence[Tile]]) -> Image.Image:
    """Return a picture of rows of tiles; files that cannot be read are grey."""
    step = TILE + 2 * FRAME + GAP
    columns = max((len(row) for row in rows), default=1)
    size = (2 * MARGIN + columns * step, 2 * MARGIN + HEAD + len(rows) * (step + CAPTION))
    canvas = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(canvas)
    pen.text((MARGIN, MARGIN), title, fill="black", font=ImageFont.load_default(13))
    small = ImageFont.load_default(11)
    for y, row in enumerate(rows):
        for x, tile in enumerate(row):
            left, top = MARGIN + x * step, MARGIN + HEAD + y * (step + CAPTION)
            outer = (left, top, left + TILE + 2 * FRAME - 1, top + TILE + 2 * FRAME - 1)
            pen.rectangle(outer, fill=tile.colour)
            canvas.paste(thumbnail(tile.path), (left + FRAME, top + FRAME))
            for line, text in enumerate(tile.lines):
                below = top + TILE + 2 * FRAME + 1 + line * 13
                pen.text((left, below), _short(text, small), fill="black", font=small)
    return canvas


def thumbnail(path: Path) -> Image.Image:
    """Return a square picture of a photograph, upright and whole, on white; grey if unreadable."""
    try:
        with Image.open(path) as image:
            image.draft("RGB", (2 * TILE, 2 * TILE))
            upright = ImageOps.exif_transpose(image).convert("RGB")
            return ImageOps.pad(upright, (TILE, TILE), color="white")
    except (OSError, ValueError, SyntaxError):
        return Image.new("RGB", (TILE, TILE), "grey")


def _short(text: str, font: "ImageFont.FreeTypeFont | ImageFont.ImageFont") -> str:
    width = TILE + 2 * FRAME
    while font.getlength(text) > width and len(text) > 2:
        text = f"{text[:-2]}…"
    return text
