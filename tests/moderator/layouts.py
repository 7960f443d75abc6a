"""Layouts of pictures for tests of what is kept and decided of them. Not a test itself."""

from moderator.decoding.view import Layout, View


def layout(width: int, height: int, *sizes: tuple[int, int]) -> Layout:
    """An animation of whole frames that are judged in these sizes, at every second position."""
    views = tuple(View(2 * place) for place in range(len(sizes)))
    return Layout(width, height, sizes, views, max(1, 2 * len(sizes) - 1))


def still(width: int, height: int) -> Layout:
    """A picture with one view, of 64 by 64 pixels."""
    return layout(width, height, (64, 64))
