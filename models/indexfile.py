"""Checks of hnswlib's files before hnswlib reads them: it trusts their figures. Reads headers only.

Source: hnswlib 0.8.0, ``hnswalg.h`` and ``bruteforce.h``, ``saveIndex``.
"""

import struct
from pathlib import Path

from models.errors import BadRelease

GRAPH_HEADER = struct.Struct("<QQQQQQ")
"""offsetLevel0, max_elements, cur_element_count, size_data_per_element, label_offset, offsetData"""

EXACT_HEADER = struct.Struct("<QQQ")
"""maxelements, size_per_element, cur_element_count"""

REMEDY = "build the release anew"
LABEL_BYTES = 8
FLOAT_BYTES = 4


def check(path: Path, count: int, dimension: int, *, exact: bool) -> None:
    """Compare a file's header with what it should be an index of.

    Args:
        path: An ``hnswlib`` file.
        count: Elements that it must hold.
        dimension: Of each element.
        exact: Whether it is one of ``BFIndex``, not of the graph.

    Raises:
        BadRelease: The file is not there, too short, or of another count or dimension.
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
    # The graph's reader finds a file that was cut short; the other reads past its end.
    if exact and size != header.size + figures[0] * figures[1]:
        raise BadRelease(f"{path} has {size} bytes, which is not its whole; {REMEDY}")
