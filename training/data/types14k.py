"""The 167 types of Firearm 14k: families, names for people, other names and counts. Plain data.

``training.naming`` looks here for types that no table of the user names. The table
``firearm14k_types.json`` also serves wherever a table of types does.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from models.types import Types

TABLE = Path(__file__).with_name("firearm14k_types.json")


@dataclass(frozen=True, slots=True)
class TypeFacts:
    """What is known of one type.

    Args:
        family: For instance ``pistol`` or ``submachine gun``.
        display_name: As people read it.
        aliases: Other names of it; each belongs to this type alone.
        split: ``train``, ``validation`` or ``test``.
        photographs: Their number in the published data set, queries included.
    """

    family: str
    display_name: str
    aliases: tuple[str, ...]
    split: str
    photographs: int


@cache
def firearm14k_facts() -> Mapping[str, TypeFacts]:
    """Return the facts of each type, by its name in the data set (``+`` for a blank)."""
    raw = json.loads(TABLE.read_text("utf-8"))["types"]
    return MappingProxyType(
        {
            name: TypeFacts(**{**entry, "aliases": tuple(entry["aliases"])})
            for name, entry in raw.items()
        }
    )


def firearm14k_types() -> Types:
    """Return families and display names, as a release keeps them."""
    return Types(
        {name: (facts.family, facts.display_name) for name, facts in firearm14k_facts().items()}
    )


def find_type(text: str) -> str | None:
    """Return the type with this name, display name or alias; None if there is none.

    Case, blanks, ``+`` and other signs that are neither letter nor digit make no difference.
    """
    return _by_name().get(_plain(text))


@cache
def _by_name() -> Mapping[str, str]:
    found: dict[str, str] = {}
    for name, facts in firearm14k_facts().items():
        found |= {_plain(text): name for text in (name, facts.display_name, *facts.aliases)}
    return found


def _plain(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))
