"""The prototypes that are served: a release's own with the overlay's changes on top.

Knows nothing of Kafka or of how embeddings come about. An index that is served is never written:
each set of changes makes a new one, and the reference is swapped.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.index import PrototypeIndex
from models.prototypes import Prototypes
from models.release import Release
from models.types import Types
from moderator.decide import Override


@dataclass(frozen=True, eq=False, slots=True)
class Added:
    """A prototype that the overlay adds or replaces.

    ``embedding`` is float32[D], L2-normalised; for the kind ``override`` it is None, and
    ``digest`` names the picture instead.
    """

    prototype_id: str
    type: str
    kind: str
    family: str
    display_name: str
    embedding: NDArray[np.float32] | None
    digest: str | None = None


Change = Added | Literal["removed", "forgotten"]
"""What the overlay's last record says of a prototype; ``forgotten``: nothing, as if there were no
record, so that the release's own is served."""


@dataclass(frozen=True, eq=False, slots=True)
class Served:
    """One consistent set of prototypes.

    ``overlay`` is the overlay's version: the offset up to which the prototypes topic has been
    applied, 0 without one. ``overrides`` are by content digest.
    """

    index: PrototypeIndex
    types: Types
    overrides: Mapping[str, Override]
    overlay: int


class Matcher:
    """Holds what is served now; ``served`` is a plain reference, safe to read from any thread."""

    def __init__(self, release: Release) -> None:
        self._release = release
        self._changes: dict[str, Change] = {}
        self._lock = threading.Lock()
        if release.policy.by_kind:
            # Before changes come on top: they then cost what they hold, and no query waits.
            release.index.prepare_kinds()
        self.served = Served(release.index, release.types, {}, 0)

    def apply(self, changes: Mapping[str, Change], version: int, *, anew: bool = False) -> None:
        """Serve with these changes on top of those so far, as overlay ``version``.

        What is served depends on the last change of each prototype and on their order alone, so
        that members agree which read different parts of the topic, and a compacted one, in
        different steps.

        Args:
            changes: By prototype id, in the order of the records.
            version: The offset up to which the prototypes topic has been applied.
            anew: Whether the changes so far are forgotten first.
        """
        with self._lock:
            known = {} if anew else self._changes
            for prototype_id, change in changes.items():
                # Taken out first, so that it moves to the end: of two that speak of one picture
                # or one type, the later wins.
                known.pop(prototype_id, None)
                if change != "forgotten":
                    known[prototype_id] = change
            self._changes = known
            if changes or anew:
                self.served = self._build(version)
            else:
                self.served = replace(self.served, overlay=version)

    def _build(self, version: int) -> Served:
        added = [change for change in self._changes.values() if isinstance(change, Added)]
        embedded = [p for p in added if p.embedding is not None]
        index = self._release.index
        if self._changes:
            index = index.with_changes(_prototypes(embedded, index.dimension), self._changes)
        overrides = {
            p.digest: Override(p.prototype_id, p.type) for p in added if p.digest is not None
        }
        types = self._release.types.with_added(
            {p.type: (p.family, p.display_name) for p in added if p.type}
        )
        return Served(index, types, overrides, version)


def _prototypes(added: Sequence[Added], dimension: int) -> Prototypes:
    rows = [p.embedding for p in added if p.embedding is not None]
    return Prototypes(
        embeddings=np.stack(rows) if rows else np.zeros((0, dimension), np.float32),
        ids=tuple(p.prototype_id for p in added),
        types=tuple(p.type for p in added),
        kinds=tuple(p.kind for p in added),
    )
