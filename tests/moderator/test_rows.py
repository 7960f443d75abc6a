import numpy as np
import pytest

from moderator.caching.cached import Cached
from moderator.decoding.view import Layout, View
from moderator.rows import Rows
from tests.moderator.layouts import layout

SQUARE, WIDE = (64, 64), (48, 80)
BOXES = {
    SQUARE: np.array([[0, 0, 0.5, 0.5], [0.5, 0.5, 0.5, 0.5]]),
    WIDE: np.array([[0, 0, 0.4, 1], [0.3, 0, 0.4, 1], [0.6, 0, 0.4, 1]]),
}
ROWS = Rows(BOXES)


def cached(rows: int, *sizes: tuple[int, int]) -> Cached:
    return Cached(np.zeros((rows, 8), np.float16), layout(640, 480, *sizes))


def test_every_row_of_a_picture_is_of_one_frame_and_region() -> None:
    sizes = layout(640, 480, SQUARE, WIDE, SQUARE)
    assert ROWS.counts(sizes) == [3, 4, 3]
    places = [
        ROWS.place(sizes, frame, region)
        for frame, count in enumerate(ROWS.counts(sizes))
        for region in range(count)
    ]
    assert places == list(range(10))


def test_a_region_has_its_box_and_the_whole_none() -> None:
    assert ROWS.box(layout(640, 480, WIDE, SQUARE), 1, 0) is None
    assert ROWS.box(layout(640, 480, WIDE, SQUARE), 1, 2) == (0.5, 0.5, 0.5, 0.5)
    assert ROWS.box(layout(640, 480, WIDE, SQUARE), 0, 2) == (0.3, 0, 0.4, 1)


def test_without_regions_rows_are_frames() -> None:
    rows = Rows({})
    shown = layout(640, 480, SQUARE, WIDE, SQUARE)
    assert rows.counts(shown) == [1, 1, 1]
    assert [rows.place(shown, view, 0) for view in range(3)] == [0, 1, 2]
    assert rows.box(shown, 2, 0) is None
    assert rows.fit(cached(3, SQUARE, WIDE, SQUARE))
    assert not rows.fit(cached(2, SQUARE, WIDE, SQUARE))


def test_a_region_of_a_part_lies_within_the_part() -> None:
    shown = Layout(640, 480, (SQUARE, SQUARE), (View(), View(box=(320, 120, 640, 360))))
    assert ROWS.box(shown, 1, 0) == (0.5, 0.25, 0.5, 0.5)
    assert ROWS.box(shown, 1, 1) == (0.5, 0.25, 0.25, 0.25)
    assert ROWS.box(shown, 1, 2) == (0.75, 0.5, 0.25, 0.25)
    assert ROWS.box(shown, 0, 2) == (0.5, 0.5, 0.5, 0.5)
    assert Rows({}).box(shown, 1, 0) == (0.5, 0.25, 0.5, 0.5)


@pytest.mark.parametrize(
    ("entry", "fits"),
    [
        (cached(7, SQUARE, WIDE), True),
        (cached(4, WIDE), True),
        (cached(6, SQUARE, WIDE), False),
        (cached(1, SQUARE), False),  # of a member that judges no regions
        (cached(3, (32, 32)), False),  # of another size than the network takes
    ],
)
def test_what_has_another_number_of_rows_does_not_fit(entry, fits) -> None:
    assert ROWS.fit(entry) == fits
