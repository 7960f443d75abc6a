"""How frames of an animation become scenes, and which of them are chosen."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image

from moderator.decoding.animation import Shot
from moderator.decoding.scenes import (
    ALIKE,
    MAX_SCENES,
    SIDE,
    Look,
    Scenes,
    distances,
    signed,
)
from moderator.decoding.view import View
from tests.moderator.pictures import solid


def chosen(shots: list[Shot], most: int, seed: int = 0) -> list[int]:
    """The positions that are chosen, each of which its own look confirms."""
    scenes = Scenes(np.random.default_rng(seed))
    for position, shot in enumerate(shots):
        scenes.add(position, shot, lambda position=position: look(position))
    found = scenes.chosen(most)
    assert [scene.look()[0][0].frame for scene in found] == [scene.position for scene in found]
    return [scene.position for scene in found]


def look(position: int) -> Look:
    return lambda: [(View(position), np.zeros((1, 1, 3), np.uint8))]


def grey(level: int, seconds: float = 1.0) -> Shot:
    return Shot(solid((level,) * 3), seconds)


def noise(seed: int, seconds: float = 1.0) -> Shot:
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), np.uint8)
    return Shot(Image.fromarray(pixels), seconds)


def test_frames_that_differ_by_little_are_one_scene() -> None:
    assert len(chosen([grey(0), grey(100), grey(101), grey(103)], 4)) == 2
    assert len(chosen([grey(0), grey(100), grey(101), grey(120)], 4)) == 3


def test_what_is_equal_to_the_first_frame_is_one_with_it_and_nothing_else_is() -> None:
    assert chosen([grey(100)] * 5, 3) == [0]
    assert chosen([grey(100), grey(101)], 3) == [0, 1]


def mosaic(image: Image.Image) -> Image.Image:
    """The picture with the mean of each of the squares that frames are compared by."""
    small = image.resize((SIDE, SIDE), Image.Resampling.BOX)
    return small.resize(image.size, Image.Resampling.NEAREST)


@pytest.mark.parametrize("first", ["mosaic", "other"])
def test_a_mosaic_hides_no_frame_that_has_its_means(first) -> None:
    pixels = np.random.default_rng(5).integers(0, 256, (80, 80, 3), np.uint8)
    shown = Image.fromarray(pixels)
    blurred = Shot(mosaic(shown), 9.0)
    shots = [blurred, Shot(shown, 5.0)]
    if first == "other":
        shots.insert(0, grey(0, 0.02))
    for seed in range(10):
        assert len(shots) - 1 in chosen(shots, 3, seed)


def test_what_differs_in_a_sixteenth_of_the_picture_is_another_scene() -> None:
    plain = solid((200, 200, 200), 160, 160)
    other = plain.copy()
    other.paste((170, 170, 170), (40, 40, 80, 80))
    assert chosen([Shot(plain, 1), Shot(other, 1)], 3) == [0, 1]


def test_what_differs_in_transparency_alone_is_another_scene() -> None:
    for colour in (0, 128, 255):
        opaque, clear = (Image.new("RGBA", (64, 64), (colour,) * 3 + (a,)) for a in (255, 100))
        assert chosen([Shot(opaque, 1), Shot(clear, 1)], 3) == [0, 1]


def test_the_first_and_the_longest_are_always_chosen() -> None:
    shots = [noise(number, 1 + (number == 9)) for number in range(20)]
    for seed in range(10):
        found = chosen(shots, 3, seed)
        assert {0, 9} < set(found)
        assert chosen(shots, 2, seed) == [0, 9]
        assert chosen(shots, 1, seed) == [9]


def test_of_frames_that_look_alike_each_is_as_likely_as_it_is_long() -> None:
    shots = [noise(0), grey(100), grey(101, 3.0), grey(102)]
    found = Counter(chosen(shots, 2, seed)[1] for seed in range(2_000))
    assert [found[place] / 2_000 for place in (1, 2, 3)] == pytest.approx([0.2, 0.6, 0.2], abs=0.05)


def test_further_scenes_are_the_likelier_the_longer_and_the_more_different_they_are() -> None:
    shots = [grey(0), grey(255, 9.0), noise(1, 3.0), noise(2, 1.0)]
    found = Counter(next(iter({*chosen(shots, 3, seed)} - {0, 1})) for seed in range(1_000))
    assert found[2] / 1_000 == pytest.approx(0.75, abs=0.06)
    shots = [grey(0), grey(255, 9.0), grey(20), grey(120)]
    found = Counter(next(iter({*chosen(shots, 3, seed)} - {0, 1})) for seed in range(1_000))
    assert found[3] > 900


@pytest.mark.parametrize("count", [MAX_SCENES, MAX_SCENES + 1, 200])
def test_however_many_scenes_there_are_no_time_is_lost(count) -> None:
    scenes = Scenes(np.random.default_rng(3))
    shots = [noise(number, 0.5) for number in range(count)]
    for position, shot in enumerate(shots):
        scenes.add(position, shot, lambda position=position: look(position))
    found = scenes.chosen(1_000)
    assert len(found) == min(count, MAX_SCENES)
    assert sum(scene.seconds for scene in found) == pytest.approx(count / 2)
    assert found[0].position == 0
    # What they are compared by is still theirs.
    signs = {tuple(signed(shot.image, scenes._phase)) for shot in shots}
    assert {tuple(sign) for sign in scenes._signs[: len(found)]} <= signs
    within = scenes._apart[: len(found), : len(found)]
    expected = np.stack([distances(scenes._signs[: len(found)], each) for each in scenes._signs])
    expected = expected[: len(found)]
    np.fill_diagonal(expected, np.inf)
    np.testing.assert_allclose(within, expected, rtol=1e-4)


def test_the_odd_one_out_outlives_many_that_are_nearly_alike() -> None:
    shots = [grey(round(level)) for level in np.linspace(0, 255, 60)]
    shots.insert(17, Shot(solid((255, 0, 0)), 1.0))
    found = Counter(place for seed in range(200) for place in chosen(shots, 8, seed))
    assert found[17] > 150


def test_frames_that_look_alike_are_told_by_a_bound_on_their_distance() -> None:
    one, other = (signed(solid((level,) * 3), (0.3, 0.6)) for level in (100, 104))
    assert distances(one[None], other) == pytest.approx([ALIKE])
