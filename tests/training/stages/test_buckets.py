"""Buckets have one longest side and keep aspect ratios nearly."""

import math

import pytest

from training.stages.buckets import buckets, shapes


@pytest.mark.parametrize("longest", [64, 160, 200, 256, 384])
def test_buckets_have_one_longest_side_and_are_mirrored(longest):
    found = buckets(longest)
    assert found[0] == (longest, longest)
    assert len(set(found)) == len(found)
    assert all(max(size) == longest for size in found)
    assert all(min(size) % 32 == 0 for size in found[1:])
    assert {(w, h) for h, w in found} == set(found)


def test_a_wide_photograph_keeps_its_shape_nearly():
    for width in range(100, 400, 7):
        height, got = shapes(384).size_for(100, width)
        assert abs(math.log(got / height) - math.log(width / 100)) < 0.16


def test_without_aspect_ratios_there_is_one_square():
    assert buckets(96, keep_aspect=False) == ((96, 96),)


@pytest.mark.parametrize(("longest", "step"), [(31, 32), (64, 0)])
def test_sizes_that_are_too_small_are_refused(longest, step):
    with pytest.raises(ValueError, match="too small"):
        buckets(longest, step=step)
