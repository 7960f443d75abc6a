"""Areas against what pixels show."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.tuning.samples import FRAME, extent, in_pixels, red, striped
from training.tuning.areas import WHOLE, Area, areas_of, overlap
from training.tuning.views import cut, mirrored, turned, upended

SHARE = st.floats(-0.5, 1.5)


@st.composite
def areas(draw):
    left, top = draw(SHARE), draw(SHARE)
    return Area(left, top, left + draw(st.floats(0.05, 1)), top + draw(st.floats(0.05, 1)))


@given(areas(), areas())
def test_what_is_cut_and_laid_back_is_where_it_was(area, frame):
    back = area.cut(frame).laid(frame)
    assert (back.left, back.top, back.right, back.bottom) == pytest.approx(
        (area.left, area.top, area.right, area.bottom), abs=1e-6
    )


@given(areas(), areas())
def test_overlap_is_what_cells_say(one, other):
    grid = (np.arange(-60, 260) + 0.5) / 100

    def covers(area):
        across = (grid > area.left) & (grid < area.right)
        down = (grid > area.top) & (grid < area.bottom)
        return down[:, None] & across[None]

    counted = (covers(one) & covers(other)).sum() / 1e4
    assert overlap(one, other) == pytest.approx(counted, abs=0.05)
    assert overlap(one, other) == overlap(other, one)


def test_visible_is_the_share_within_the_picture():
    assert Area(-0.5, 0.0, 0.5, 1.0).visible == pytest.approx(0.5)
    assert Area(0.75, 0.75, 1.25, 1.25).visible == pytest.approx(0.25)
    assert Area(1.0, 0.0, 2.0, 1.0).visible == 0
    assert WHOLE.visible == 1


def test_boxes_become_areas():
    picture = striped()
    assert in_pixels(picture.firearms[0], picture.image) == pytest.approx(FRAME)
    assert areas_of(()) == ()


def near(picture, slack):
    found = extent(red(picture.image, 200))
    assert in_pixels(picture.firearms[0], picture.image) == pytest.approx(found, abs=slack)


def test_a_quarter_turn_takes_the_area_with_it():
    picture = striped()
    for _ in range(4):
        picture = upended(picture)
        near(picture, 1)
    assert picture.image.tobytes() == striped().image.tobytes()
    once = upended(striped())
    assert once.image.size == striped().image.size[::-1]


def test_corners_of_a_turned_picture_have_the_colour_that_is_given():
    for corners, colour in (((0, 0, 0), (0, 0, 0)), (None, striped().image.getpixel((0, 0)))):
        found = turned(striped(), 15, corners).image
        assert found.getpixel((0, found.height - 1)) == colour


def test_a_part_has_the_firearm_where_its_colour_is():
    near(cut(striped(), (40, 30, 200, 110)), 0.01)


def test_a_mirrored_picture_has_the_firearm_where_its_colour_is():
    near(mirrored(striped()), 0.01)


@pytest.mark.parametrize("degrees", [-20, -7.5, 3, 19])
def test_a_turned_picture_has_the_firearm_where_its_colour_is(degrees):
    near(turned(striped(), degrees), 2)
