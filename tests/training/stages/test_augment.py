"""Augmentation is decided by its chance alone and keeps to the shapes of a batch."""

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageEnhance, ImageStat

from models.pixels import prepare
from tests.training.stages.samples import SIDE
from training.folder import Box
from training.stages.augment import (
    MILD_CROP,
    as_in_the_paper,
    augment,
    faithfully,
    framed,
    mildly,
    mostly,
)
from training.stages.buckets import LEAST, shapes
from training.stages.chance import chance


@pytest.fixture
def pixels():
    lot = np.random.default_rng(5)
    small = Image.fromarray(lot.integers(0, 256, (9, 15, 3), np.uint8))
    return np.array(small.resize((150, 90), Image.Resampling.BICUBIC))


def released(pixels, size, mirrored, degrees, steps):
    """Vary a picture as the authors' code does, of choices that were made."""
    image = Image.fromarray(pixels)
    ratio = float(size) / max(image.size)
    image = image.resize([int(side * ratio) for side in image.size], Image.BILINEAR)
    if mirrored:
        image = image.transpose(Image.FLIP_LEFT_RIGHT)
    image = image.rotate(degrees, resample=Image.BILINEAR)
    for enhancer, factor in steps:
        image = enhancer(image).enhance(factor)
    return np.asarray(image)


def test_faithful_pictures_are_those_of_the_released_code(pixels):
    """The same choices, replayed in their order of drawing, give the same bytes."""
    for n in range(12):
        lot = chance(3, "x", n)
        mirrored, degrees = lot.random() < 0.5, float(lot.uniform(-5, 5))
        order = lot.permutation(2)
        enhancers = (ImageEnhance.Contrast, ImageEnhance.Color)
        steps = [(enhancers[k], float(lot.uniform(0.5, 1.5))) for k in order]
        found = faithfully(pixels, 61, chance(3, "x", n))
        assert found.shape == (int(90 * 61 / 150), 61, 3)
        assert np.array_equal(found, released(pixels, 61, mirrored, degrees, steps))


def test_a_narrow_picture_keeps_enough_for_a_network():
    narrow = np.zeros((400, 40, 3), np.uint8)
    assert faithfully(narrow, 64, chance(0, "x")).shape == (64, LEAST, 3)


@pytest.mark.parametrize("kind", ["none", "paper", "mild", "strong"])
def test_the_same_chance_gives_the_same_picture(kind, pixels):
    before = pixels.copy()
    for n in range(20):
        once, again = (
            augment(pixels, kind, shapes(SIDE), chance(1, "x", n), scene=pixels) for _ in range(2)
        )
        assert np.array_equal(once, again)
        assert once.shape[:2] in shapes(SIDE).sizes
        assert once.dtype == np.uint8
    assert np.array_equal(pixels, before)


def test_without_augmentation_it_is_what_validation_sees(pixels):
    plain = augment(pixels, "none", shapes(SIDE), chance(0, "x"))
    assert np.array_equal(plain, prepare(Image.fromarray(pixels), shapes(SIDE)))


@pytest.mark.parametrize("kind", ["paper", "mild", "strong"])
def test_other_chance_gives_other_pictures(kind, pixels):
    found = {augment(pixels, kind, shapes(SIDE), chance(1, "x", n)).tobytes() for n in range(20)}
    assert len(found) == 20


def test_the_paper_turns_flips_and_jitters_within_its_bounds():
    grey = Image.new("RGB", (90, 60), (100, 100, 100))
    for n in range(30):
        varied = np.asarray(as_in_the_paper(grey, chance(2, "x", n)))
        # Plain grey has neither contrast nor saturation to change: only corners turn black.
        assert (np.abs(varied.astype(int) - 100) <= 8).all(axis=2).mean() > 0.85
        assert (varied[28:32, 40:50] > 92).all()


def test_mild_crops_keep_the_aspect_ratio_and_most_of_the_sides(pixels):
    image = Image.fromarray(pixels)
    seen = [mostly(image, chance(5, "x", n)).size for n in range(60)]
    assert all(abs(height - width * 90 / 150) <= 1 for width, height in seen)
    assert all(MILD_CROP * 90 - 1 <= height <= 90 for _, height in seen)
    assert len(set(seen)) > 15


def test_mild_light_changes_little():
    colours = np.array([[(60, 120, 180)] * 30] * 20, np.uint8)
    for n in range(40):
        varied = np.asarray(mildly(Image.fromarray(colours), chance(6, "x", n))).astype(int)
        assert np.abs(varied - colours).max() <= 75, n


def test_half_of_the_pictures_are_mirrored(pixels):
    image = Image.fromarray(pixels)
    mirrored = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    nearer = sum(
        distance(varied, mirrored) < distance(varied, image)
        for varied in (as_in_the_paper(image, chance(3, "x", n)) for n in range(60))
    )
    assert 18 <= nearer <= 42


def distance(a, b):
    return sum(ImageStat.Stat(ImageChops.difference(a, b)).mean)


def test_crops_never_lose_the_firearm():
    """A red square marks the box's centre; insets and crops at the box keep some of it."""
    pixels = np.zeros((100, 200, 3), np.uint8)
    pixels[68:73, 148:153] = (255, 0, 0)
    box = Box(0.75, 0.70, 0.2, 0.3)
    for n in range(200):
        seen = np.asarray(framed(Image.fromarray(pixels), chance(4, "x", n), [box], None))
        assert ((seen[..., 0] > 60) & (seen[..., 1] < 60)).any(), n
