"""Read the settings: which values apply, from where, and what is wrong with them in one line.

Values come, the strongest first, from ``--set name=value``, environment variables
``MODERATOR_<NAME>``, a TOML file (``--config`` or ``MODERATOR_CONFIG``) and the defaults that
``moderator.concerns`` declares. Knows nothing of what the parts do with them.
"""

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from moderator.concerns.all import CONCERNS, Settings
from moderator.concerns.cache import Cache
from moderator.concerns.canaries import Canaries
from moderator.concerns.evidence import Evidence
from moderator.concerns.fetch import Fetch
from moderator.concerns.flood import Flood
from moderator.concerns.judging import STARTER, Judging
from moderator.concerns.kafka import Kafka
from moderator.concerns.limits import Limits
from moderator.concerns.overload import Overload
from moderator.concerns.pipeline import Pipeline
from moderator.concerns.releases import Releases
from moderator.concerns.retry import Retry
from moderator.concerns.serving import Serving
from moderator.concerns.topics import Topics
from moderator.errors import BadSettings

__all__ = [
    "CONCERNS",
    "PREFIX",
    "STARTER",
    "Cache",
    "Canaries",
    "Evidence",
    "Fetch",
    "Flood",
    "Judging",
    "Kafka",
    "Limits",
    "Overload",
    "Pipeline",
    "Releases",
    "Retry",
    "Serving",
    "Settings",
    "Topics",
    "default",
    "fields",
    "load_settings",
    "settings_table",
]

PREFIX = "MODERATOR_"

DERIVED = {
    "decode_processes": "one per core, 8 at most",
    "embed_threads": "one per core",
    "release": "the starter release",
}
"""Defaults that differ from one machine to the next, as the settings table names them."""


def fields() -> Iterator[tuple[str, str, FieldInfo]]:
    """Yield (concern, name, field) of every setting, in the order of the settings table."""
    for concern, cls in CONCERNS.items():
        for name, field in cls.model_fields.items():
            yield concern, name, field


@dataclass(frozen=True, slots=True)
class _Given:
    """A value that somebody gave; ``shown`` is the name as it was written, ``source`` where."""

    name: str
    value: object
    shown: str
    source: str


def load_settings(
    overrides: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
    config: Path | None = None,
) -> Settings:
    """Join overrides, environment and file into settings.

    Args:
        overrides: Setting name to text, as ``--set`` gives them.
        environ: Environment variables; the process's own when None.
        config: TOML file of setting = value, in tables named after the concerns or in none.

    Raises:
        BadSettings: A name is unknown or a value is not valid; the text names it and its source.
    """
    environ = os.environ if environ is None else environ
    if config is None and environ.get(f"{PREFIX}CONFIG"):
        config = Path(environ[f"{PREFIX}CONFIG"])
    homes = {name: concern for concern, name, _ in fields()}
    values: dict[str, dict[str, object]] = {concern: {} for concern in CONCERNS}
    sources: dict[str, str] = {}
    for given in _given(overrides or {}, environ, config):
        if given.name not in homes:
            raise BadSettings(_unknown(given, homes))
        values[homes[given.name]][given.name] = given.value
        sources[given.name] = given.source
    return _validated(values, sources)


def _given(
    overrides: Mapping[str, str], environ: Mapping[str, str], config: Path | None
) -> Iterator[_Given]:
    """Yield what is given, the weakest source first."""
    if config is not None:
        for name, value in _toml(config):
            yield _Given(name, value, name, f"{name} in {config}")
    for key, text in environ.items():
        name = key.removeprefix(PREFIX).lower()
        if key.startswith(PREFIX) and name != "config":
            yield _Given(name, text, key, key)
    for name, text in overrides.items():
        yield _Given(name, text, name, f"--set {name}")


def _toml(path: Path) -> Iterator[tuple[str, object]]:
    """Yield the settings of a file; tables named after concerns are for order's sake alone."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadSettings(f"cannot read {path}: {error.strerror}; check --config") from None
    except ValueError as error:
        raise BadSettings(f"{path} is not TOML: {error}; mend it") from None
    for name, value in content.items():
        if name in CONCERNS and isinstance(value, dict):
            yield from value.items()
        else:
            yield name, value


def _unknown(given: _Given, homes: Mapping[str, str]) -> str:
    near = difflib.get_close_matches(given.name, homes, n=1)
    if not near:
        return f"unknown setting {given.shown}; see `moderator worker --help`"
    known = PREFIX + near[0].upper() if given.shown.startswith(PREFIX) else near[0]
    return f"unknown setting {given.shown}; did you mean {known}?"


def _validated(values: Mapping[str, Mapping[str, Any]], sources: Mapping[str, str]) -> Settings:
    parts: dict[str, Any] = {}
    for concern, cls in CONCERNS.items():
        try:
            parts[concern] = cls(**values[concern])
        except ValidationError as error:
            # Only the message is told: the error's own text would show the value, secret or not.
            first = error.errors(include_input=False, include_url=False)[0]
            name = str(first["loc"][0]) if first["loc"] else ""
            reason = first["msg"].removeprefix("Value error, ")
            where = f"{sources.get(name, name)}: " if name else ""
            raise BadSettings(f"{where}{reason[0].lower()}{reason[1:]}") from None
    try:
        return Settings(**parts)
    except ValidationError as error:
        reason = error.errors(include_input=False, include_url=False)[0]["msg"]
        raise BadSettings(reason.removeprefix("Value error, ")) from None


def settings_table() -> str:
    """Return all settings as rows of a Markdown table: name, default, description.

    It is the same on every machine, so that a test can hold a document to it.
    """
    rows = [
        f"| `{name}` | {_shown(name, field)} | {_cell(field.description or '')} |"
        for _, name, field in fields()
    ]
    return "\n".join(["| setting | default | meaning |", "|---|---|---|", *rows])


def default(name: str, field: FieldInfo) -> str:
    """Return a setting's default as people are shown it, the same on every machine."""
    value = field.default
    if name in DERIVED:
        return DERIVED[name]
    if value is None or value in ("", ()):
        return "none"
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) and value < 1e6 else str(value)


def _shown(name: str, field: FieldInfo) -> str:
    text = default(name, field)
    return text if text == "none" or name in DERIVED else f"`{_cell(text)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
