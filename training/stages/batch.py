"""What one forward pass is made of. Plain data; must not know pixels or networks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]
NOTHING = np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class Batch:
    """Photographs, and how they are compared.

    Args:
        places: int64[N], photographs of the run.
        columns: int64[P] each: for pairs two, for triplets three columns of places *in
            ``places``*; empty where all are compared with all.
        same_type: bool[P], for pairs.
    """

    places: Places
    columns: tuple[Places, ...] = ()
    same_type: NDArray[np.bool_] | None = None

    @classmethod
    def of_columns(
        cls,
        columns: Sequence[Places],
        same_type: NDArray[np.bool_] | None = None,
        *,
        once: bool = True,
    ) -> Self:
        """Return the batch of pairs or triplets.

        Args:
            columns: int64[P] each, photographs.
            same_type: bool[P], for pairs.
            once: Each photograph is in it once, however many pairs have it; else each time anew.
        """
        if not once:
            places = np.concatenate(list(columns)).astype(np.int64)
            own = np.arange(len(places), dtype=np.int64).reshape(len(columns), -1)
            return cls(places, tuple(own), same_type)
        places, where = np.unique(np.stack(list(columns)), return_inverse=True)
        rows = where.reshape(len(columns), -1).astype(np.int64)
        return cls(places.astype(np.int64), tuple(rows), same_type)
