"""Draws the trigger of a handgun within its guard. Knows nothing else of it."""

import numpy as np

from training.synthesis.parts import Colour, Part, bow, stroke

WIRE = 0.022
"""Width of a trigger guard."""


def trigger(colour: Colour, x: float, size: float, shape: str, drop: float = 0.0) -> list[Part]:
    """Return a guard that begins at (x, drop), and its trigger.

    Args:
        colour: Of both.
        x: Where the guard begins.
        size: Its depth and half its length.
        shape: ``round``, ``square`` or ``hooked``.
        drop: Of the frame that it hangs from.
    """
    y, end = drop, x + size * 2
    if shape == "round":
        line = bow((x + size, y), (size, size), (0, 180))
    else:
        hook = 0.035 if shape == "hooked" else 0.0
        line = np.array([(end, y), (end + hook, y + size), (x + 0.02, y + size), (x, y)])
    pull = bow((x + size * 1.5, y), (size * 0.7, size * 0.8), (180, 110))
    return [stroke(colour, WIRE, line), stroke(colour, WIRE * 1.1, pull)]
