from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.training.ranking.examples import embedded, split
from training.data.folders import every_image_as_query
from training.ranking import sheets
from training.ranking.measure import ranking
from training.ranking.precision import average_precision
from training.ranking.sheets import HIT, MISS, query_row, sheet, thumbnail, write_sheets


@pytest.fixture
def asked(tmp_path):
    """Queries whose photographs are plain colours, on disk."""
    data = split(types=12, each=8)
    found = every_image_as_query(data.test)

    def drawn(photos):
        moved = [replace(p, path=tmp_path / f"{p.digest}.png") for p in photos]
        for number, photo in enumerate(moved):
            Image.new("RGB", (40 + number, 30), (number, 99, 200)).save(photo.path)
        return tuple(moved)

    on_disk = replace(found, queries=drawn(found.queries), database=drawn(found.database))
    return on_disk, ranking(found, embedded(data, noise=1.2))


def test_a_row_is_the_query_and_its_first_ten(asked):
    queries, ranked = asked
    row = query_row(queries, ranked, 3, 0.25)
    assert len(row) == 11
    assert row[0].lines == (queries.queries[3].name, "query, AP 25 %")
    for number, tile in enumerate(row[1:]):
        photo = queries.database[ranked.order[3][number]]
        assert tile.path == photo.path
        same = photo.name == queries.queries[3].name
        assert tile.colour == (HIT if same else MISS)
        assert tile.lines[1].startswith(f"{number + 1} {'hit' if same else 'miss'}, ")


def test_a_short_database_gives_a_short_row(asked, monkeypatch):
    monkeypatch.setattr(sheets, "FIRST", 100)
    queries, ranked = asked
    assert len(query_row(queries, ranked, 0, 1.0)) == 1 + len(ranked.order[0]) < 25


def test_sheets_show_the_worst_and_the_best(asked, tmp_path, monkeypatch):
    queries, ranked = asked
    shown = {}

    def remember(title, rows):
        shown[title.split("(")[1].split()[0]] = [row[0].lines[1] for row in rows]
        return sheet(title, rows)

    monkeypatch.setattr(sheets, "sheet", remember)
    write_sheets(queries, ranked, tmp_path / "sheets", "cls + double/x", rows=3)
    names = sorted(path.name for path in (tmp_path / "sheets").iterdir())
    assert names == [f"cls_+_double_x-{kind}.png" for kind in ("best", "between", "worst")]
    values = sorted(average_precision(relevant) for relevant in ranked.relevant)
    said = [f"query, AP {100 * value:.0f} %" for value in values]
    assert shown["worst"] == said[:3]
    assert shown["best"] == said[::-1][:3]
    assert shown["between"] == [said[0], said[round((len(said) - 1) / 2)], said[-1]]


def test_frames_have_the_colours_of_hits_and_misses(asked):
    queries, ranked = asked
    row = query_row(queries, ranked, 0, 0.5)
    picture = np.asarray(sheet("title", [row]))
    for column, tile in enumerate(row):
        x = sheets.MARGIN + column * (sheets.TILE + 2 * sheets.FRAME + sheets.GAP) + 1
        pixel = picture[sheets.MARGIN + sheets.HEAD + 1, x]
        assert "#{:02X}{:02X}{:02X}".format(*pixel) == tile.colour


def test_pictures_are_shown_whole_and_unreadable_ones_grey(tmp_path):
    Image.new("RGB", (400, 100), "black").save(tmp_path / "wide.png")
    wide = np.asarray(thumbnail(tmp_path / "wide.png"))
    assert wide.shape == (sheets.TILE, sheets.TILE, 3)
    assert (wide[sheets.TILE // 2] == 0).all()
    assert (wide[0] == 255).all()
    (tmp_path / "broken.jpg").write_bytes(b"no photograph")
    assert (np.asarray(thumbnail(tmp_path / "broken.jpg")) == 128).all()
