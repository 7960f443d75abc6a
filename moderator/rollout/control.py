"""The record of the control topic: which releases a group serves. Pure; knows no clients.

The topic is compacted and its key is the group, so that its last record is all there is to know.
Releases are named by their ids, and by the digests of their manifests, of which an id is only the
first 64 bits: where they lie is each member's own setting.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from moderator.errors import BadInput, BadSettings

SCHEMA = "control/1"

RELEASE_ID = re.compile(r"[0-9a-f]{16}")
DIGEST = re.compile(r"[0-9a-f]{64}")

MOST_HISTORY = 16
"""Releases remembered for going back to."""


@dataclass(frozen=True, slots=True)
class Control:
    """What a group's members are to serve; each release is an id.

    Args:
        release: Judges the posts; None: what each member's own setting ``release`` names.
        history: Those active before, the last first; None as above.
        shadow: Judges the same posts beside it, for the shadow topic alone.
        staged: Judges ``fraction`` of the posts in place of ``release``.
        fraction: In 0..1; 0 where nothing is staged.
        digests: Id → hex SHA-256 of the manifest, of those named above; a member refuses a release
            with another one. Records written before this was known have none.
    """

    release: str | None = None
    history: tuple[str | None, ...] = ()
    shadow: str | None = None
    staged: str | None = None
    fraction: float = 0.0
    digests: Mapping[str, str] = field(default_factory=dict)

    def knowing(self, release: str, digest: str) -> "Control":
        """Return this with the digest of a release's manifest."""
        return replace(self, digests={**self.digests, release: digest})

    def activated(self, release: str) -> "Control":
        """Return this with another active release; a candidate that it was is one no more."""
        history = self.history
        if release != self.release:
            history = (self.release, *history)[:MOST_HISTORY]
        candidate = self.staged != release
        return replace(
            self,
            release=release,
            history=history,
            shadow=None if self.shadow == release else self.shadow,
            staged=self.staged if candidate else None,
            fraction=self.fraction if candidate else 0.0,
        )

    def rolled_back(self) -> "Control":
        """Return this with the release active that was so before, and nothing staged.

        What is active now comes first among those before: going back twice is back and forth.

        Raises:
            BadSettings: There was none before.
        """
        if not self.history:
            raise BadSettings(
                "no release was active before; name one with `moderator release activate`"
            )
        before, *others = self.history
        history = (self.release, *(each for each in others if each != self.release))
        return replace(self, release=before, history=history, staged=None, fraction=0.0)


def encode_control(group: str, control: Control, set_at: str) -> tuple[bytes, bytes]:
    """Return key and value of a record of the control topic.

    Args:
        group: Whose members it is for.
        control: What they are to serve.
        set_at: Time of the change, ISO 8601.
    """
    named = {control.release, control.shadow, control.staged, *control.history}
    body = {
        "schema": SCHEMA,
        "group": group,
        "release": control.release,
        "history": list(control.history),
        "shadow": control.shadow,
        "staged": control.staged,
        "staged_fraction": control.fraction,
        "digests": {name: digest for name, digest in control.digests.items() if name in named},
        "set_at": set_at,
    }
    return group.encode(), json.dumps(body).encode()


def decode_control(value: bytes | None) -> Control:
    """Read the value of a record of the control topic; none at all means: nothing is set.

    Raises:
        BadInput: It is not such a record; one line.
    """
    if value is None:
        return Control()
    try:
        body = json.loads(value)
    except (ValueError, RecursionError):
        raise BadInput("the control record is not JSON") from None
    if not isinstance(body, dict) or body.get("schema") != SCHEMA:
        raise BadInput(f"the control record does not have schema {SCHEMA}")
    history = body.get("history") or []
    if not isinstance(history, list):
        raise BadInput("the control record's history is not a list")
    staged = _release(body, "staged")
    return Control(
        release=_release(body, "release"),
        history=tuple(_release({"history": each}, "history") for each in history)[:MOST_HISTORY],
        shadow=_release(body, "shadow"),
        staged=staged,
        fraction=_fraction(body) if staged else 0.0,
        digests=_digests(body),
    )


def _release(body: Mapping[str, Any], field: str) -> str | None:
    name = body.get(field)
    if name is None:
        return None
    if not isinstance(name, str) or not RELEASE_ID.fullmatch(name):
        raise BadInput(f"the control record's {field} is not a release's id of 16 hex digits")
    return name


def _fraction(body: Mapping[str, Any]) -> float:
    value = body.get("staged_fraction")
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
        return float(value)
    raise BadInput("the control record's staged_fraction is not a number in 0..1")


def _digests(body: Mapping[str, Any]) -> dict[str, str]:
    digests = body.get("digests") or {}
    if isinstance(digests, dict) and all(
        isinstance(digest, str) and DIGEST.fullmatch(digest) for digest in digests.values()
    ):
        return digests
    raise BadInput("the control record's digests are not 64 hex digits by release")
