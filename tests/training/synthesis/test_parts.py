import numpy as np
import pytest

from training.synthesis.parts import bow, ellipse, soft, stroke, tinted, tube

RED = (200, 40, 40)


def area(outline):
    x, y = outline.T
    return abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2


def test_a_straight_stroke_has_its_width_everywhere():
    outline = stroke(RED, 0.2, [(0, 0), (1, 0), (3, 0)]).outline
    assert area(outline) == pytest.approx(3 * 0.2)
    assert set(np.round(outline[:, 1], 9)) == {0.1, -0.1}


def test_a_stroke_along_a_bow_is_a_ring():
    outline = stroke(RED, 0.1, bow((0, 0), (1, 1), (0, 180))).outline
    radii = np.linalg.norm(outline, axis=1)
    assert radii == pytest.approx(np.where(radii > 1, 1.05, 0.95), abs=0.02)


def test_soft_corners_lie_within_the_polygon_and_cut_it():
    outline = soft(RED, (0, 0), (2, 0), (2, 1), (0, 1)).outline
    assert outline.min() >= 0 and (outline <= (2, 1)).all()
    assert 0.85 * 2 < area(outline) < 2


def test_no_cut_leaves_a_polygon_as_it_is():
    assert area(soft(RED, (0, 0), (2, 0), (2, 1), (0, 1), cut=0.0).outline) == pytest.approx(2)


def test_an_ellipse_has_nearly_its_area():
    assert area(ellipse(RED, (3, 4), (2, 1)).outline) == pytest.approx(2 * np.pi, rel=0.01)


def test_a_tube_fills_its_height_and_is_brighter_above():
    strips = tube((100, 100, 100), (0, 2), 5.0, 0.5)
    every = np.concatenate([strip.outline for strip in strips])
    assert (every.min(0) == (0, 4.5)).all() and (every.max(0) == (2, 5.5)).all()
    assert max(strips[:3], key=lambda strip: strip.colour).colour > strips[-1].colour


@pytest.mark.parametrize(("factor", "expected"), [(0.5, (100, 20, 20)), (2, (255, 80, 80))])
def test_tints_stay_colours(factor, expected):
    assert tinted(RED, factor) == expected
