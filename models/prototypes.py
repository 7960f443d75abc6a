"""The prototypes of an index: embeddings, ids, types and kinds. Must not know torch or indexes."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.archive import load_arrays, save_arrays
from models.errors import BadRelease

KINDS = ("firearm", "lookalike", "override")
NORM_TOLERANCE = 1e-3
"""How far from 1 the norm of an embedding may be: float16 rounds by less."""


@dataclass(frozen=True, eq=False)
class Prototypes:
    """What is indexed, as parallel columns.

    Args:
        embeddings: float32[N, D], L2-normalised, finite.
        ids: Unique.
        types: Type of firearm, or of look-alike.
        kinds: Each one of ``KINDS``.

    Raises:
        BadRelease: The columns do not fit each other, or a value is not as said above.
    """

    embeddings: NDArray[np.float32]
    ids: tuple[str, ...]
    types: tuple[str, ...]
    kinds: tuple[str, ...]

    def __post_init__(self) -> None:
        shape = self.embeddings.shape
        if len(shape) != 2 or shape[1] < 1 or self.embeddings.dtype != np.float32:
            raise BadRelease(
                f"prototypes need embeddings float32[N, D], not {self.embeddings.dtype}{shape}"
            )
        if not len(self.ids) == len(self.types) == len(self.kinds) == shape[0]:
            lengths = f"{len(self.ids)} ids, {len(self.types)} types, {len(self.kinds)} kinds"
            raise BadRelease(f"prototypes have {shape[0]} embeddings but {lengths}; give one each")
        if len(set(self.ids)) != len(self.ids):
            twice = Counter(self.ids).most_common(1)[0][0]
            raise BadRelease(f"prototype id {twice!r} is there twice; ids must be unique")
        unknown = sorted(set(self.kinds) - set(KINDS))
        if unknown:
            raise BadRelease(f"prototype kind {unknown[0]!r} is not one of {', '.join(KINDS)}")
        self._check_norms()

    def _check_norms(self) -> None:
        norms = np.linalg.norm(self.embeddings, axis=1)
        # A NaN fails every comparison, so the good ones are asked for.
        bad = np.flatnonzero(~(np.abs(norms - 1) <= NORM_TOLERANCE))
        if bad.size:
            name, norm = self.ids[bad[0]], norms[bad[0]]
            raise BadRelease(
                f"prototype {name!r} has an embedding of norm {norm:g}; normalise it to 1"
            )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def dimension(self) -> int:
        """Of each embedding."""
        return int(self.embeddings.shape[1])

    def without(self, ids: Collection[str]) -> "Prototypes":
        """Return those whose ids are not among these."""
        places = [place for place, name in enumerate(self.ids) if name not in ids]
        return Prototypes(
            self.embeddings[places],
            tuple(self.ids[place] for place in places),
            tuple(self.types[place] for place in places),
            tuple(self.kinds[place] for place in places),
        )

    def joined(self, others: "Prototypes") -> "Prototypes":
        """Return these and others after them.

        Raises:
            BadRelease: An id is in both.
            ValueError: Their dimensions differ.
        """
        return Prototypes(
            np.concatenate([self.embeddings, others.embeddings]),
            self.ids + others.ids,
            self.types + others.types,
            self.kinds + others.kinds,
        )

    def save(self, path: Path) -> None:
        """Write to a file; embeddings are rounded to float16, so ``load`` differs in the 4th digit.

        The same prototypes give the same bytes.
        """
        save_arrays(
            path,
            {
                "embeddings": self.embeddings.astype("<f2"),
                "ids": _text(self.ids),
                "types": _text(self.types),
                "kinds": _text(self.kinds),
            },
        )

    @classmethod
    def load(cls, path: Path, raw: bytes | None = None) -> "Prototypes":
        """Read what ``save`` wrote; embeddings are normalised anew after the rounding.

        Args:
            path: The file.
            raw: Its contents, where they have been read.

        Raises:
            BadRelease: The file is not there, damaged, or its prototypes do not fit each other.
        """
        arrays = load_arrays(path, ("embeddings", "ids", "types", "kinds"), raw)
        embeddings = arrays["embeddings"]
        if embeddings.ndim != 2 or embeddings.dtype.kind != "f":
            raise BadRelease(f"{path} holds embeddings {embeddings.dtype}{embeddings.shape}")
        rows = embeddings.astype(np.float32)
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        try:
            rows /= np.maximum(norms, np.float32(1e-12))
            texts = (tuple(map(str, arrays[name])) for name in ("ids", "types", "kinds"))
            return cls(rows, *texts)
        except (BadRelease, TypeError) as error:
            raise BadRelease(f"{path}: {error}") from None


def _text(values: tuple[str, ...]) -> NDArray[np.str_]:
    # The explicit type keeps no values at all a text, too; numpy would make them numbers.
    return np.array(values, dtype=np.str_) if values else np.zeros(0, "<U1")
