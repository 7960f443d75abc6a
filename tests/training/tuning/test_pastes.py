"""Firearms that are cut out and laid into scenes: where they are, and what is left of them."""

from collections import deque

import numpy as np
import pytest
from PIL import Image

from tests.training.tuning.samples import FRAME, extent, in_pixels, striped
from training.tuning.pastes import cut_out, from_border, laid, on_plain_ground, paste
from training.tuning.views import Picture

SCENE = Image.new("RGB", (300, 220), (0, 0, 160))


def solid(ground=(250, 250, 250)):
    """A red block on a plain ground."""
    pixels = np.empty((180, 240, 3), np.uint8)
    pixels[:] = ground
    pixels[FRAME[1] : FRAME[3], FRAME[0] : FRAME[2]] = (255, 0, 0)
    return Image.fromarray(pixels)


def test_a_thing_on_a_plain_ground_is_found():
    mask = on_plain_ground(np.asarray(solid()))
    assert extent(mask) == FRAME
    assert mask.sum() == (FRAME[2] - FRAME[0]) * (FRAME[3] - FRAME[1])


def test_a_hole_of_the_grounds_colour_belongs_to_the_thing():
    pixels = np.asarray(solid()).copy()
    pixels[60:70, 80:90] = 250
    assert on_plain_ground(pixels)[60:70, 80:90].all()


def test_a_ground_of_many_colours_is_not_plain():
    lot = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    assert on_plain_ground(lot) is None
    assert on_plain_ground(np.full((60, 80, 3), 9, np.uint8)) is None


@pytest.mark.parametrize("seed", range(6))
def test_what_can_be_reached_is_what_a_walk_from_the_border_reaches(seed):
    open_ = np.random.default_rng(seed).random((23, 31)) < 0.62
    height, width = open_.shape
    seen = np.zeros_like(open_)
    queue = deque(
        (y, x)
        for y in range(height)
        for x in range(width)
        if open_[y, x] and (y in (0, height - 1) or x in (0, width - 1))
    )
    while queue:
        y, x = queue.popleft()
        if 0 <= y < height and 0 <= x < width and open_[y, x] and not seen[y, x]:
            seen[y, x] = True
            queue.extend(((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)))
    assert (from_border(open_) == seen).all()


@pytest.mark.parametrize("boxed", [False, True])
def test_the_pasted_firearm_is_where_its_box_says(boxed):
    firearm = Picture(solid((0, 0, 160)), striped().firearms) if boxed else Picture(solid())
    sizes = []
    for n in range(60):
        found = laid(firearm, SCENE, np.random.default_rng(n))
        area = found.firearms[0]
        pixels = np.asarray(found.image).astype(int)
        place = extent(pixels[..., 0] > pixels[..., 2] + 40)
        # A box is cut out with a margin and soft edges.
        slack = 0.18 * max(place[2] - place[0], place[3] - place[1]) if boxed else 0
        assert in_pixels(area, found.image) == pytest.approx(place, abs=3 + slack)
        sizes.append(area.size)
    assert 0.01 < min(sizes) < 0.04
    assert 0.15 < max(sizes) < 0.26


def test_the_scene_around_stays_as_it_was():
    found = laid(Picture(solid()), SCENE, np.random.default_rng(3))
    left, top, right, bottom = (round(v) for v in in_pixels(found.firearms[0], found.image))
    outside = np.asarray(found.image).copy()
    outside[max(0, top - 3) : bottom + 3, max(0, left - 3) : right + 3] = (0, 0, 160)
    assert (outside == (0, 0, 160)).all()
    assert SCENE.getpixel((0, 0)) == (0, 0, 160)


def test_the_same_chance_gives_the_same_paste():
    first, again = (paste(Picture(solid()), SCENE, np.random.default_rng(4)) for _ in range(2))
    assert first.image.tobytes() == again.image.tobytes()
    assert first.firearms == again.firearms


def test_what_cannot_be_cut_out_gives_none():
    lot = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    assert cut_out(Picture(Image.fromarray(lot))) is None
    assert paste(Picture(Image.fromarray(lot)), SCENE, np.random.default_rng(0)) is None
    tiny = Picture(Image.new("RGB", (40, 40)), striped().firearms)
    assert cut_out(tiny) is None
