"""The published JSON Schemas as validators, for tests of what is written and read."""

import functools
import json
from importlib import resources

from jsonschema import Draft202012Validator


@functools.cache
def schema(name: str) -> Draft202012Validator:
    """Return the validator of a schema, such as ``decision-1``; formats are checked as well."""
    text = (resources.files("moderator") / "schemas" / f"{name}.json").read_text()
    return Draft202012Validator(
        json.loads(text), format_checker=Draft202012Validator.FORMAT_CHECKER
    )
