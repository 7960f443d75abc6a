import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.regions import Window, boxes, windows


@st.composite
def pair(draw) -> tuple[int, int]:
    side = draw(st.integers(1, 12))
    return side, draw(st.integers(1, side))


maps = st.integers(1, 15), st.integers(1, 15)
pairs = st.lists(pair(), max_size=3)


@given(*maps, pairs)
def test_windows_lie_inside_the_map_differ_and_each_pair_covers_it(rows, columns, regions) -> None:
    found = windows(rows, columns, regions)
    assert len(set(found)) == len(found)
    for window in found:
        assert 0 <= window.top < window.bottom <= rows
        assert 0 <= window.left < window.right <= columns
    for only in regions:
        seen = np.zeros((rows, columns), np.bool_)
        for window in windows(rows, columns, [only]):
            assert window in found
            seen[window.top : window.bottom, window.left : window.right] = True
            assert window.bottom - window.top == min(only[0], rows)
            assert window.right - window.left == min(only[0], columns)
        assert seen.all()


@given(*maps, pairs)
def test_boxes_are_the_windows_as_shares_inside_the_image(rows, columns, regions) -> None:
    found = boxes(rows, columns, regions)
    assert found.shape == (len(windows(rows, columns, regions)), 4)
    assert found.dtype == np.float64
    assert (found >= 0).all()
    assert (found[:, :2] + found[:, 2:] <= 1 + 1e-12).all()
    scaled = found * [columns, rows, columns, rows]
    for (x, y, width, height), window in zip(
        scaled.tolist(), windows(rows, columns, regions), strict=True
    ):
        assert x == pytest.approx(window.left)
        assert y == pytest.approx(window.top)
        assert x + width == pytest.approx(window.right)
        assert y + height == pytest.approx(window.bottom)


def test_windows_come_row_by_row_and_the_last_ones_end_at_the_border() -> None:
    found = windows(3, 5, [(2, 2)])
    assert found == (
        Window(0, 2, 0, 2), Window(0, 2, 2, 4), Window(0, 2, 3, 5),
        Window(1, 3, 0, 2), Window(1, 3, 2, 4), Window(1, 3, 3, 5),
    )  # fmt: skip


def test_a_side_beyond_the_map_is_cut_and_what_came_before_is_left_out() -> None:
    assert windows(2, 3, [(9, 4)]) == (Window(0, 2, 0, 3),)
    assert windows(2, 3, [(9, 4), (3, 1)]) == (Window(0, 2, 0, 3),)
    assert windows(2, 3, []) == ()
    assert boxes(2, 3, []).shape == (0, 4)
