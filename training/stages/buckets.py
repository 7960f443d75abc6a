"""The shapes that images of one batch may have. Pure; must not know pixels or networks."""

from functools import lru_cache

from models.spec import InputSpec

NARROWEST = 4
"""Longest side over shortest, at most: narrower images are stretched a little."""

LEAST = 32


@lru_cache
def buckets(
    longest: int, *, step: int = 32, keep_aspect: bool = True
) -> tuple[tuple[int, int], ...]:
    """Return the (height, width) in pixels that images with one longest side are brought to.

    Args:
        longest: Longest side, at least 32; all buckets have it.
        step: Shorter sides are its multiples, beside the square.
        keep_aspect: Without, there is the square only.

    Returns:
        The square, then the wide ones and the tall ones, nearest to the square first.

    Raises:
        ValueError: A figure is out of its range.
    """
    if longest < LEAST or step < 1:
        raise ValueError(f"longest side {longest} or step {step} is too small")
    if not keep_aspect:
        return ((longest, longest),)
    least = max(LEAST, longest / NARROWEST)
    top = (longest - 1) // step * step
    shorter = [side for side in range(top, 0, -step) if side >= least]
    wide = tuple((side, longest) for side in shorter)
    tall = tuple((longest, side) for side in shorter)
    return ((longest, longest), *wide, *tall)


@lru_cache
def shapes(longest: int, *, step: int = 32, keep_aspect: bool = True) -> InputSpec:
    """Return the buckets as what ``models.pixels.prepare`` takes."""
    return InputSpec(buckets(longest, step=step, keep_aspect=keep_aspect))
