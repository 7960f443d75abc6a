"""Views and backgrounds: the same for the same chance, and boxes where the firearm is seen."""

import numpy as np
import pytest
from PIL import Image

from tests.training.tuning.samples import extent, in_pixels, red, striped
from training.tuning.areas import WHOLE, Area, overlap
from training.tuning.views import (
    LEAST_BACKGROUND,
    LEAST_VISIBLE,
    Picture,
    background,
    reframed,
    view,
)


def test_the_same_chance_gives_the_same_view():
    first, again, other = (
        view(striped(), np.random.default_rng(n), firearm=True) for n in (7, 7, 8)
    )
    assert first.image.tobytes() == again.image.tobytes()
    assert first.firearms == again.firearms
    assert first.image.tobytes() != other.image.tobytes()


def test_the_firearms_colour_is_within_its_area():
    sizes = []
    for n in range(150):
        seen = reframed(striped(), np.random.default_rng(n), firearm=True)
        mask = red(seen.image)
        # Corners of turned pictures take the first pixel's colour, which may be the firearm's.
        if mask.sum() < 20 or mask[0, 0]:
            continue
        left, top, right, bottom = in_pixels(seen.firearms[0], seen.image)
        found = extent(mask)
        assert found[0] >= left - 2
        assert found[1] >= top - 2
        assert found[2] <= right + 2
        assert found[3] <= bottom + 2
        sizes.append(seen.firearms[0].size)
    # Far and near ones among them.
    assert len(sizes) > 110
    assert min(sizes) < 0.1
    assert max(sizes) > 0.5


def test_every_view_of_a_firearm_shows_most_of_it():
    for n in range(100):
        seen = reframed(striped(), np.random.default_rng(n), firearm=True)
        # Turned, the rectangle about it grows and may leave the picture a little more.
        assert seen.firearms[0].visible > LEAST_VISIBLE - 0.15


def test_a_firearm_of_unknown_place_is_within_the_picture_that_was_laid_on_a_blur():
    unknown = Picture(striped().image)
    found = [reframed(unknown, np.random.default_rng(n), firearm=True) for n in range(60)]
    laid = [seen for seen in found if seen.firearms]
    assert 5 < len(laid) < 30
    for seen in laid:
        area = seen.firearms[0]
        assert 0.05 < area.size < 1.2
    harmless = [reframed(unknown, np.random.default_rng(n), firearm=False) for n in range(60)]
    assert not any(seen.firearms for seen in harmless)


def test_backgrounds_have_nothing_of_a_firearm():
    pixels = np.full((180, 240, 3), 30, np.uint8)
    pixels[50:98, 60:132] = 255
    picture = Picture(Image.fromarray(pixels), striped().firearms)
    found = [background(picture, np.random.default_rng(n)) for n in range(60)]
    assert sum(part is not None for part in found) > 30
    for part in filter(None, found):
        shown = np.asarray(part.image)
        assert part.firearms == ()
        # A ground of one grey stays one grey, whatever the light.
        assert int(shown.max()) - int(shown.min()) < 12


def test_there_is_no_background_where_the_firearm_fills_the_picture():
    picture = Picture(striped().image, (Area(0.05, 0.1, 0.95, 0.9),))
    assert all(background(picture, np.random.default_rng(n)) is None for n in range(10))
    small = Picture(Image.new("RGB", (LEAST_BACKGROUND, LEAST_BACKGROUND)))
    assert background(small, np.random.default_rng(0)) is None


@pytest.mark.parametrize("size", [(16, 16), (300, 20), (21, 200)])
def test_odd_shapes_are_seen_too(size):
    picture = Picture(Image.new("RGB", size, (9, 9, 9)), (Area(0.2, 0.2, 0.6, 0.7),))
    for n in range(40):
        seen = view(picture, np.random.default_rng(n), firearm=True)
        assert min(seen.image.size) >= 8
        assert overlap(seen.firearms[0], WHOLE) > 0
