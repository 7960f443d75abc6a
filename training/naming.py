"""Families and display names of types, from tables or from the names of folders. Knows no images.

A table is JSON: ``{"types": {"<type>": {"family": "pistol", "display_name": "Glock pistol"}}}``.
"""

import json
from collections.abc import Collection
from pathlib import Path

from models.errors import BadRelease
from models.types import Types
from training.data.types14k import find_type, firearm14k_types
from training.errors import BadInput

STARTER = Path(__file__).with_name("types_starter.json")
FAMILY = "firearm"
"""Family of types that no table names."""


def named(names: Collection[str], known: Types) -> Types:
    """Return families, names and, where the table has them, mechanisms for these types.

    Args:
        names: Of the types, as their folders are called.
        known: Of a table. A type missing in it is described as Firearm 14k's type of this name or
            alias; one that is missing there too is called as its folder, with blanks for ``_``
            and ``+``.
    """
    shipped = firearm14k_types()
    entries, mechanisms = {}, {}
    for name in names:
        if name in known.names:
            entries[name] = (known.family(name), known.display_name(name))
            if (mechanism := known.mechanism(name)) is not None:
                mechanisms[name] = mechanism
        elif (other := find_type(name)) is not None:
            entries[name] = (shipped.family(other), shipped.display_name(other))
        else:
            entries[name] = (FAMILY, name.replace("_", " ").replace("+", " ").strip() or name)
    return Types(entries, mechanisms)


def read_types(table: Path | None) -> Types:
    """Return what a table says; nothing without one.

    Raises:
        BadInput: It cannot be read.
    """
    if table is None:
        return Types({})
    try:
        raw = json.loads(table.read_text("utf-8"))
        return Types.from_json(raw)
    except (OSError, ValueError, BadRelease) as error:
        raise BadInput(f"{table} cannot be read as a table of types: {error}") from None


def known_families(types: Types) -> dict[str, str]:
    """Return the families of types, without those that no table names.

    Types without a family would otherwise seem to be of one and the same.
    """
    families = {name: types.family(name) for name in types.names}
    return {name: family for name, family in families.items() if family != FAMILY}
