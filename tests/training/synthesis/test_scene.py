"""Where a figure is in its picture, and whether one can tell types by their silhouettes."""

from itertools import combinations

import numpy as np
import pytest

from training.synthesis.design import designs
from training.synthesis.firearm import firearm
from training.synthesis.parts import Figure, Part
from training.synthesis.scene import SOURCES, picture

TYPES = designs(0, 16)
BLUR = 4
"""Pixels by which a blurred figure may leave its box."""


def painted(figure, colour):
    return Figure(tuple(Part(part.outline, colour) for part in figure.parts), figure.hold)


def drawn(design, number, source="catalogue", side=128, colour=None):
    figure = firearm(design) if colour is None else painted(firearm(design), colour)
    return picture(figure, SOURCES[source], side, 0, (design.name, number))


def edges(box, shape):
    height, width = shape
    return (
        (box.x - box.width / 2) * width,
        (box.y - box.height / 2) * height,
        (box.x + box.width / 2) * width,
        (box.y + box.height / 2) * height,
    )


@pytest.mark.parametrize("source", SOURCES)
def test_only_pixels_within_the_box_depend_on_the_figure(source):
    for number, design in enumerate(TYPES):
        black = drawn(design, number, source, colour=(0, 0, 0))
        white = drawn(design, number, source, colour=(255, 255, 255))
        assert black.box == white.box
        changed = np.abs(black.pixels.astype(int) - white.pixels.astype(int)).max(2) > 24
        y, x = np.nonzero(changed)
        left, top, right, bottom = edges(black.box, changed.shape)
        assert x.min() >= left - BLUR and x.max() < right + BLUR
        assert y.min() >= top - BLUR and y.max() < bottom + BLUR
        if source == "catalogue":
            # Nothing covers it there, so that it touches all four sides.
            found = np.array([x.min(), y.min(), x.max() + 1, y.max() + 1])
            assert found == pytest.approx([left, top, right, bottom], abs=BLUR)


def test_the_box_is_the_smallest_that_holds_the_mask():
    for number, design in enumerate(TYPES):
        one = drawn(design, number, "outdoors")
        y, x = np.nonzero(one.mask)
        expected = (x.min(), y.min(), x.max() + 1, y.max() + 1)
        assert edges(one.box, one.mask.shape) == pytest.approx(expected)
        assert one.mask.any()


def test_pictures_are_as_long_as_asked_and_of_several_shapes():
    shapes = {drawn(TYPES[0], number, side=90).pixels.shape for number in range(24)}
    assert {max(shape) for shape in shapes} == {90}
    assert len(shapes) > 3


def test_some_firearms_are_small_in_their_scenes():
    boxes = [drawn(TYPES[n % 16], n, "outdoors").box for n in range(40)]
    areas = sorted(box.width * box.height for box in boxes)
    assert areas[4] < 0.05
    assert areas[-1] > 0.1


def test_a_picture_does_not_depend_on_those_drawn_before():
    first = drawn(TYPES[3], 7, "indoors").pixels
    drawn(TYPES[4], 1, "outdoors")
    assert (drawn(TYPES[3], 7, "indoors").pixels == first).all()
    assert (drawn(TYPES[3], 8, "indoors").pixels.shape != first.shape) or (
        drawn(TYPES[3], 8, "indoors").pixels != first
    ).any()


def normalised(mask, cells=(24, 48)):
    """Turn a silhouette's longest axis level, its heavier sides to the left and down; crop it."""
    y, x = np.nonzero(mask)
    points = np.stack([x - x.mean(), y - y.mean()], 1)
    _, axes = np.linalg.eigh(np.cov(points.T))
    along = points @ axes[:, ::-1]
    along *= np.where((along**3).sum(0) < 0, -1, 1)
    along = (along - along.min(0)) / np.ptp(along, axis=0)
    grid = np.zeros(cells, bool)
    rows, columns = ((along * 0.999) * cells[::-1]).astype(int).T[::-1]
    grid[rows, columns] = True
    return grid


def test_silhouettes_of_a_type_overlap_more_than_those_of_two():
    shapes = [
        (design.name, normalised(drawn(design, number, side=160).mask))
        for design in TYPES
        for number in range(5)
    ]
    within, between = [], []
    best: dict[int, tuple[float, bool]] = {}
    for (i, (one, a)), (j, (other, b)) in combinations(enumerate(shapes), 2):
        overlap = (a & b).sum() / (a | b).sum()
        (within if one == other else between).append(overlap)
        for place in (i, j):
            best[place] = max(best.get(place, (0.0, False)), (overlap, one == other))
    assert np.mean(within) > np.mean(between) + 0.15
    # By chance it would be 4 of 79.
    assert np.mean([same for _, same in best.values()]) > 0.5
