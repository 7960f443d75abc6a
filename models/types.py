"""The firearm types of a release: families and names for people. Must not know torch or indexes."""

from collections.abc import Mapping
from typing import Any

from models.errors import BadRelease


class Types:
    """Type → family and display name; immutable.

    Args:
        entries: Type → (family, display name), none of them empty.

    Raises:
        BadRelease: A type, family or name is empty or not a text.
    """

    def __init__(self, entries: Mapping[str, tuple[str, str]]) -> None:
        for name, (family, display_name) in entries.items():
            texts = (name, family, display_name)
            if not all(isinstance(text, str) and text for text in texts):
                raise BadRelease(
                    f"type {name!r} has family {family!r} and name {display_name!r}; "
                    "give each as a text that is not empty"
                )
        self._entries = {name: (entries[name][0], entries[name][1]) for name in sorted(entries)}

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

    def with_added(self, entries: Mapping[str, tuple[str, str]]) -> "Types":
        """Return these types with others added; an entry of the same type is replaced."""
        return Types({**self._entries, **entries}) if entries else self

    def to_json(self) -> dict[str, Any]:
        """Return the plain form that ``from_json`` reads."""
        return {
            "types": {
                name: {"family": family, "display_name": display_name}
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
            return cls({name: (entry["family"], entry["display_name"]) for name, entry in types})
        except (KeyError, TypeError, AttributeError) as error:
            raise BadRelease(f"the types are not described as they should be: {error!r}") from error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Types) and self._entries == other._entries

    def __hash__(self) -> int:
        return hash(tuple(self._entries.items()))

    def __len__(self) -> int:
        return len(self._entries)
