"""The firearm types of a release: mechanisms, families, names. Must not know torch or indexes."""

from collections.abc import Mapping
from typing import Any

from models.errors import BadRelease

UNKNOWN = "unknown"
"""Mechanism of types that are added where others have one."""


class Types:
    """Type → family, display name and, of some, mechanism; immutable.

    Args:
        entries: Type → (family, display name), none of them empty.
        mechanisms: Type → how it works, such as ``revolver``, of types that are known to do so.

    Raises:
        BadRelease: A type, family, name or mechanism is empty or not a text, or a mechanism is of
            a type that is not there.
    """

    def __init__(
        self,
        entries: Mapping[str, tuple[str, str]],
        mechanisms: Mapping[str, str] | None = None,
    ) -> None:
        for name, (family, display_name) in entries.items():
            texts = (name, family, display_name)
            if not all(isinstance(text, str) and text for text in texts):
                raise BadRelease(
                    f"type {name!r} has family {family!r} and name {display_name!r}; "
                    "give each as a text that is not empty"
                )
        self._entries = {name: (entries[name][0], entries[name][1]) for name in sorted(entries)}
        self._mechanisms = dict(mechanisms or {})
        for name, mechanism in self._mechanisms.items():
            if name not in entries or not (isinstance(mechanism, str) and mechanism):
                raise BadRelease(
                    f"type {name!r} has mechanism {mechanism!r}; give it as a text that is not "
                    "empty, of a type that is there"
                )

    @property
    def names(self) -> tuple[str, ...]:
        """All types, in alphabetical order."""
        return tuple(self._entries)

    def family(self, name: str) -> str:
        """Return the family of a type; the type itself where it is not known."""
        return self._entries.get(name, (name, name))[0]

    def display_name(self, name: str) -> str:
        """Return a type as people read it; the type itself where it is not known."""
        return self._entries.get(name, (name, name))[1]

    def mechanism(self, name: str) -> str | None:
        """Return how a type works; None where that is not known."""
        return self._mechanisms.get(name)

    def with_added(self, entries: Mapping[str, tuple[str, str]]) -> "Types":
        """Return these types with others added; an entry of the same type is replaced.

        A type that is replaced works as before. How a new one works is unknown, which must be said
        where the others' mechanisms are: it is none of those.
        """
        if not entries:
            return self
        new = [name for name in entries if name not in self._entries] if self._mechanisms else []
        mechanisms = {**self._mechanisms, **dict.fromkeys(new, UNKNOWN)}
        return Types({**self._entries, **entries}, mechanisms)

    def to_json(self) -> dict[str, Any]:
        """Return the plain form that ``from_json`` reads."""
        return {
            "types": {
                name: {
                    "family": family,
                    "display_name": display_name,
                    **({"mechanism": self._mechanisms[name]} if name in self._mechanisms else {}),
                }
                for name, (family, display_name) in self._entries.items()
            }
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> "Types":
        """Read the form that ``to_json`` gives; what else it holds is ignored.

        Raises:
            BadRelease: A field is missing or of the wrong kind.
        """
        try:
            types = raw["types"].items()
            return cls(
                {name: (entry["family"], entry["display_name"]) for name, entry in types},
                {name: entry["mechanism"] for name, entry in types if "mechanism" in entry},
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise BadRelease(f"the types are not described as they should be: {error!r}") from error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Types) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(tuple(self._entries.items()))

    def __len__(self) -> int:
        return len(self._entries)
