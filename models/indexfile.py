"""Checks of hnswlib's files before hnswlib reads them: it trusts every figure in them.

A release may come from somewhere else, and a digest only says that nobody has changed it since.
Whatever of a graph hnswlib would use to find its way in memory is looked at here; what it says of
neighbourhoods may be wrong, which costs recall and no more.

Source: hnswlib 0.8.0, ``hnswalg.h`` and ``bruteforce.h``, ``saveIndex`` and ``loadIndex``.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.errors import BadRelease

GRAPH_HEADER = struct.Struct("<QQQQQQiIQQQdQ")
"""offsetLevel0, max_elements, cur_element_count, size_data_per_element, label_offset, offsetData,
maxlevel, enterpoint_node, maxM, maxM0, M, mult, ef_construction"""

EXACT_HEADER = struct.Struct("<QQQ")
"""maxelements, size_per_element, cur_element_count"""

REMEDY = "build the release anew"
LABEL_BYTES = 8
FLOAT_BYTES = 4
LINK_BYTES = 4

BLOCK = 2**14
"""Elements whose links are looked at together."""


@dataclass(frozen=True, slots=True)
class _Graph:
    """The figures of a graph's header that its contents are compared with.

    ``size`` is the bytes of an element at the lowest level, ``links`` the most links of one at
    each level above; the lowest has twice as many.
    """

    count: int
    size: int
    top: int
    entry: int
    links: int


def check(path: Path, count: int, dimension: int, *, exact: bool) -> None:
    """Compare a file with what it should be an index of; its vectors are not looked at.

    Args:
        path: An ``hnswlib`` file.
        count: Elements that it must hold.
        dimension: Of each element.
        exact: Whether it is one of ``BFIndex``, not of the graph.

    Raises:
        BadRelease: The file is not there, not whole, of another count or dimension, or a graph
            that leads out of itself.
    """
    header = EXACT_HEADER if exact else GRAPH_HEADER
    try:
        with path.open("rb") as file:
            figures = header.unpack(file.read(header.size))
        size = path.stat().st_size
    except (OSError, struct.error) as error:
        raise BadRelease(f"{path} is not an index ({error}); {REMEDY}") from None
    if exact:
        found, width = figures[2], figures[1] - LABEL_BYTES
    else:
        found, width = figures[2], figures[4] - figures[5]
    if found != count or width != dimension * FLOAT_BYTES:
        raise BadRelease(
            f"{path} holds {found} vectors of {width / FLOAT_BYTES:g} dimensions but there are "
            f"{count} prototypes of {dimension}; {REMEDY}"
        )
    if exact and size != header.size + figures[0] * figures[1]:
        # Its reader reads past the end of a file that was cut short.
        raise BadRelease(f"{path} has {size} bytes, which is not its whole; {REMEDY}")
    if not exact and not _is_sound(path, figures, width):
        raise BadRelease(f"{path} is not a graph that can be searched; {REMEDY}")


def _is_sound(path: Path, figures: tuple[int, ...], width: int) -> bool:
    """Whether a graph's figures fit each other and all of its links lead to its own elements."""
    start, most, count, size, label, data, top, entry, links, lowest_links, m, _, _ = figures
    lowest = LINK_BYTES * (1 + lowest_links)
    fits = (start, data, label, size) == (0, lowest, lowest + width, lowest + width + LABEL_BYTES)
    if not (fits and most == count and 1 <= m == links and lowest_links == 2 * links):
        return False
    graph = _Graph(count, size, top, entry, links)
    content = np.memmap(path, np.uint8, "r", offset=GRAPH_HEADER.size)
    end = count * size
    if not (len(content) >= end and 0 <= entry < count):
        return False
    levels = _levels(content[end:], graph)
    if levels is None or levels.max() != top or levels[entry] != top:
        return False
    elements = content[:end].reshape(count, size)
    return _are_own(elements, graph) and _lead_up(content[end:], graph, levels)


def _levels(lists: NDArray[np.uint8], graph: _Graph) -> NDArray[np.int64] | None:
    """Return the levels int64[count] at which elements have links; None if the file is not whole.

    Each element's links above the lowest level follow the number of their bytes.
    """
    raw, at, each = lists.data, 0, LINK_BYTES * (1 + graph.links)
    levels = np.zeros(graph.count, np.int64)
    for element in range(graph.count):
        if at + LINK_BYTES > len(raw):
            return None
        length = int.from_bytes(raw[at : at + LINK_BYTES], "little")
        at += LINK_BYTES + length
        levels[element], rest = divmod(length, each)
        if rest:
            return None
    return levels if at == len(raw) else None


def _are_own(elements: NDArray[np.uint8], graph: _Graph) -> bool:
    """Whether the links at the lowest level lead to elements, and none of these is marked."""
    most = 2 * graph.links
    for block in range(0, graph.count, BLOCK):
        rows = elements[block : block + BLOCK, : LINK_BYTES * (1 + most)]
        # The upper half of a count holds the mark of a deleted element.
        table = np.ascontiguousarray(rows).view("<u4")
        used = np.arange(most) < table[:, :1]
        if (table[:, 0] > most).any() or (table[:, 1:][used] >= graph.count).any():
            return False
    return True


def _lead_up(lists: NDArray[np.uint8], graph: _Graph, levels: NDArray[np.int64]) -> bool:
    """Whether links above the lowest level lead to elements that are at that level too."""
    raw, at, each = lists.data, 0, 1 + graph.links
    for highest in levels.tolist():
        at += LINK_BYTES
        for level in range(1, highest + 1):
            table = np.frombuffer(raw, "<u4", each, at)
            at += LINK_BYTES * each
            linked = table[1 : 1 + min(int(table[0]), graph.links)]
            if table[0] > graph.links or (linked >= graph.count).any():
                return False
            if (levels[linked] < level).any():
                return False
    return True
