"""Find the parts of a picture that deserve a view of their own, by the picture's shape alone.

A network squeezes every picture to its input, so that a photograph within wide margins, in a long
strip or in a collage is too small or too narrow to be recognised. What has none of these shapes
has no parts, and costs the search for them only.
"""

from collections.abc import Iterator
from math import ceil

import numpy as np
from numpy.typing import NDArray

from moderator.decoding.view import MAX_CROPS, Box

TOLERANCE = 24
"""By how much, of 255, a pixel of a margin may differ from the margin's colour: JPEG noise."""

EVEN = 0.98
"""Share of a line's pixels that must have the margin's colour."""

SMALL = 0.7
"""Margins are cut off where both sides of what they enclose are below this share of the whole."""

WIDE = 3.0
TALL = 2.1
"""Width to height, and height to width, from which a picture is looked at in windows. Screens of
phones are longer."""

PLAIN = 0.5
"""A wide picture with more of this in one colour, and no gap, shows one long thing, which no
window holds."""

ROOM = 1.2
"""How much wider and higher than the content the part that shows it is, for some room around it."""

SLIM = 2.0
"""Most length of that part to its other side, as squeezing distorts what is longer."""

BLANK = 0.9
"""A part with more of this in one colour shows nothing."""

WINDOW_WIDE = 4 / 3
WINDOW_TALL = 1.0
"""Length of a window to the short side of a wide, and of a tall, picture."""

OVERLAP = 0.4
"""Share of a window that the next one shows as well, at least."""

SEAM = 0.45
"""Share of a line across the picture at which the colour must jump where two photographs meet."""

SEAMS = 0.2
"""Most columns that may look like half a seam: tiles and other patterns have them everywhere."""

JUMP = 16
"""Least difference, of 255, on both sides of a seam; at most half of it beside the seam."""

BLUR = 3
"""Pixels on both sides of a seam that show something of both photographs."""

MIDDLE = 0.4, 0.6
"""Where the seams of a collage of two by two are looked for, in shares of the side."""

TELLING = 16
"""Pixels from which on it says something that a line has two colours."""

STEP = 4
"""Every so many pixels along a line are looked at: what is looked for is longer."""

Pixels = NDArray[np.uint8]
Frame = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels of the network's input."""


def parts(frame: Pixels, width: int, height: int, *, filled: bool = False) -> tuple[Box, ...]:
    """Return the parts of a picture that need a view of their own; most pictures have none.

    - The content within margins of one colour, if it is small.
    - Windows along the long side of a picture, or of that content, that is long.
    - The four cells of a collage.

    A part of one colour is left out.

    Args:
        frame: uint8[H, W, 3], the whole picture as the network takes it.
        width: Of the upright picture in pixels.
        height: As ``width``.
        filled: Whether decoders may have filled what is missing, of a damaged file.

    Returns:
        At most ``MAX_CROPS`` different boxes in pixels of the upright picture, none of them the
        whole, each at least a pixel wide and high.
    """
    rows, columns = frame.shape[:2]
    whole = (0, 0, columns, rows)
    left, top, right, bottom = inner = content(frame, filled=filled)
    small = right - left < SMALL * columns and bottom - top < SMALL * rows
    shown = inner if small else whole
    found = [shown] if small else []
    ratio = (shown[2] - shown[0]) * width * rows / ((shown[3] - shown[1]) * height * columns)
    if ratio <= 1 / TALL or (ratio >= WIDE and not _is_one_thing(_cut(frame, shown))):
        found += windows(shown, ratio, MAX_CROPS - len(found))
    elif not small:
        found += cells(frame)
    telling = [each for each in found if plain_share(_cut(frame, each)) <= BLANK]
    boxes = [_scaled(each, width / columns, height / rows) for each in telling]
    if small and inner in telling:
        boxes[0] = _with_room(boxes[0], width, height)
    return tuple(dict.fromkeys(box for box in boxes if box[2] > box[0] and box[3] > box[1]))


def content(frame: Pixels, *, filled: bool = False) -> Frame:
    """Return what is left of a picture without margins that have one colour on each side.

    Args:
        frame: uint8[H, W, 3].
        filled: As ``parts`` takes it. Filling begins within a line of blocks, so that lines there
            have two colours: that of a margin and its own.

    Returns:
        The whole where nothing is left, as in a picture of one colour.
    """
    rows, columns = frame.shape[:2]
    found = 0, 0, columns, rows
    inner = _inner(frame, found, filled=filled)
    # As long as there is more: what keeps a line from being even may lie in another side's margin.
    while inner != found and _is_some(inner):
        found, inner = inner, _inner(frame, inner, filled=filled)
    return found if _is_some(inner) else (0, 0, columns, rows)


def _inner(frame: Pixels, part: Frame, *, filled: bool) -> Frame:
    """Return a part without the margin of each of its sides, which may leave nothing."""
    left, top, right, bottom = part
    top += _margin(frame[top:bottom, left:right], filled=filled)
    bottom -= _margin(frame[top:bottom, left:right][::-1], filled=filled)
    turned = frame.transpose(1, 0, 2)
    left += _margin(turned[left:right, top:bottom], filled=filled)
    right -= _margin(turned[left:right, top:bottom][::-1], filled=filled)
    return left, top, right, bottom


def _is_some(part: Frame) -> bool:
    left, top, right, bottom = part
    return left < right and top < bottom


def windows(shown: Frame, ratio: float, most: int) -> list[Frame]:
    """Return overlapping windows along the long side of a part of a picture.

    Args:
        shown: The part.
        ratio: Its width to its height in the picture itself, which the frame distorts.
        most: Windows at most, 2 or more.

    Returns:
        Windows that cover it: the longer it is, the longer are they.
    """
    left, top, right, bottom = shown
    wide = ratio >= 1
    length = right - left if wide else bottom - top
    side = length / ratio * WINDOW_WIDE if wide else length * ratio * WINDOW_TALL
    side = min(length, max(side, length / (1 + (most - 1) * (1 - OVERLAP))))
    count = min(most, ceil((length - side) / (side * (1 - OVERLAP)) - 1e-9) + 1)
    starts = [round((length - side) * place / max(1, count - 1)) for place in range(count)]
    if wide:
        return [(left + at, top, left + at + round(side), bottom) for at in starts]
    return [(left, top + at, right, top + at + round(side)) for at in starts]


def cells(frame: Pixels) -> Iterator[Frame]:
    """Yield the four cells of a collage of two by two; none where the picture is not one.

    Args:
        frame: uint8[H, W, 3].
    """
    rows, columns = frame.shape[:2]
    across = _seam(frame)
    # Most pictures have no seam, and the search for one costs as much as all else here.
    down = None if across is None else _seam(frame.transpose(1, 0, 2))
    if across is None or down is None:
        return
    for top, bottom in ((0, down - BLUR), (down + BLUR, rows)):
        for left, right in ((0, across - BLUR), (across + BLUR, columns)):
            yield left, top, right, bottom


def plain_share(frame: Pixels) -> float:
    """Return the share of a picture that has the colour of most of its border.

    Args:
        frame: uint8[H, W, 3].
    """
    return float(_plain(frame).mean())


def _plain(frame: Pixels) -> NDArray[np.bool_]:
    """Return which of every ``STEP`` pixels have the colour of most of the border."""
    thin = frame[::STEP, ::STEP].astype(np.int16)
    border = np.concatenate([thin[0], thin[-1], thin[:, 0], thin[:, -1]])
    found: NDArray[np.bool_] = np.abs(thin - np.median(border, axis=0)).max(axis=2) <= TOLERANCE
    return found


def _is_one_thing(frame: Pixels) -> bool:
    """Whether a wide picture shows one thing on a plain ground: no column within it is empty."""
    plain = _plain(frame)
    filled = np.flatnonzero(plain.mean(axis=0) < EVEN)
    gaps = len(filled) and filled[-1] - filled[0] + 1 > len(filled)
    return bool(plain.mean() >= PLAIN and not gaps)


def _with_room(box: Box, width: int, height: int) -> Box:
    """Return a box with some room around it, and not too slim, within a picture."""
    left, top, right, bottom = box
    wide, high = right - left, bottom - top
    across = min(width, round(ROOM * max(wide, high / SLIM)))
    down = min(height, round(ROOM * max(high, wide / SLIM)))
    x = min(max(0, (left + right - across) // 2), width - across)
    y = min(max(0, (top + bottom - down) // 2), height - down)
    return x, y, x + across, y + down


def _margin(lines: Pixels, *, filled: bool) -> int:
    """Return how many of the first lines, uint8[N, L, 3], have the colour of the first one.

    With ``filled``, those that are of two colours, one behind the other, count as well.
    """
    if not lines.size:
        return 0
    thin = lines[:, ::STEP]
    colour = np.sort(thin[0], axis=0)[thin.shape[1] // 2].astype(np.int16)
    for place, line in enumerate(thin):
        near = (np.abs(line - colour) <= TOLERANCE).all(axis=1)
        even = np.count_nonzero(near) >= EVEN * len(near)
        if not (even or (filled and _is_of_two_colours(line))):
            return place
    return len(lines)


def _is_of_two_colours(line: Pixels) -> bool:
    """Whether a line, uint8[L, 3], has one colour up to some place and one from there on."""
    if len(line) < TELLING:
        return False
    pixels = line.astype(np.int16)
    other = (np.abs(pixels - pixels[0]) > TOLERANCE).any(axis=1)
    first = int(other.argmax()) if other.any() else len(line)
    rest = pixels[first:]
    if not len(rest):
        return True
    near = (np.abs(rest - np.median(rest, axis=0)) <= TOLERANCE).all(axis=1)
    return bool(first + np.count_nonzero(near) >= EVEN * len(line))


def _seam(frame: Pixels) -> int | None:
    """Return the column near the middle at which the colour jumps in most rows, if there is one."""
    columns = frame.shape[1]
    first, last = (int(share * columns) for share in MIDDLE)
    wide = last - first
    if first < 5 or last + 4 > columns or wide < 1:
        return None
    near = frame[STEP // 2 :: 2 * STEP, first - 5 : last + 4].astype(np.int16)
    red, green, blue = np.moveaxis(np.abs(near[:, 3:] - near[:, :-3]), 2, 0)
    steps = np.maximum(np.maximum(red, green), blue)
    here = steps[:, 3 : 3 + wide]
    beside = np.maximum(steps[:, :wide], steps[:, 6 : 6 + wide])
    shares = ((here > JUMP) & (here > 2 * beside)).mean(axis=0)
    if shares.max() < SEAM or (shares > SEAM / 2).mean() > SEAMS:
        return None
    return first + int(np.flatnonzero(shares == shares.max()).mean() + 0.5)


def _cut(frame: Pixels, part: Frame) -> Pixels:
    left, top, right, bottom = part
    return frame[top:bottom, left:right]


def _scaled(part: Frame, across: float, down: float) -> Box:
    left, top, right, bottom = part
    return round(left * across), round(top * down), round(right * across), round(bottom * down)
