"""The manifest of a release: what it was made of, and the digest of every file.

Must not know torch. A manifest has one encoding, and a checksum of itself: every changed byte
is found.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

from models.errors import BadRelease

FORMAT = 1
"""Version of the release directory; raised when what reads it could not read it any more."""

HEAD_FORMAT = 2
"""Version of releases with a head: what reads only ``FORMAT`` would judge without it."""

NAME = "manifest.json"
CACHE = "index.bin"
"""The one file that may be absent or damaged: it is built from others."""

WEIGHTS = "weights.safetensors"

REQUIRED = (
    "network.json",
    WEIGHTS,
    "types.json",
    "prototypes.npz",
    "policy.json",
    "report.json",
    "selftest.npz",
)
REMEDY = "fetch the release again, or build it anew"


def encode(manifest: Mapping[str, Any]) -> bytes:
    """Return the one encoding of a manifest; a checksum in it is left out and made anew."""
    plain = {name: value for name, value in manifest.items() if name != "checksum"}
    checksum = hashlib.sha256(canonical(plain)).hexdigest()
    return canonical({**plain, "checksum": checksum})


def canonical(value: object) -> bytes:
    """Return JSON in the form in which a release holds it: sorted, indented, UTF-8.

    Raises:
        ValueError: The value holds a number that is not finite.
        TypeError: The value holds what is not JSON.
    """
    text = json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode()


def read(folder: Path) -> dict[str, Any]:
    """Read a manifest, without looking at the other files.

    Raises:
        BadRelease: It is not there, not a manifest, of another format, or has been changed.
    """
    path = folder / NAME
    try:
        raw = path.read_bytes()
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise BadRelease(
            f"{folder} is not a release: {NAME}: {reason}; give the folder that holds {NAME}"
        ) from None
    return decode(path, raw)


def decode(path: Path | str, raw: bytes) -> dict[str, Any]:
    """Read a manifest from its bytes; ``path`` says where they are from.

    Raises:
        BadRelease: It is not a manifest, of another format, or has been changed.
    """
    manifest = parse(path, raw)
    if manifest.get("format") not in (FORMAT, HEAD_FORMAT):
        raise BadRelease(
            f"{path} has format {manifest.get('format')!r} but this version reads {FORMAT} and "
            f"{HEAD_FORMAT}; "
            "install the moderator that the release was made for"
        )
    if encode(manifest) != raw:
        raise BadRelease(f"{path} has been changed since it was written; {REMEDY}")
    _check_fields(path, manifest)
    return manifest


def parse(path: Path | str, raw: bytes) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        BadRelease: It is none, or holds what JSON has not: NaN, or half a character.
    """
    try:
        value = json.loads(raw)
        canonical(value)
    except (ValueError, RecursionError):
        raise BadRelease(f"{path} is not JSON; {REMEDY}") from None
    if not isinstance(value, dict):
        raise BadRelease(f"{path} is not a JSON object; {REMEDY}")
    return value


def digest(*paths: Path) -> str:
    """Return the hex SHA-256 of files, one after another.

    Raises:
        OSError: One cannot be read.
    """
    total = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                total.update(block)
    return total.hexdigest()


def network_digest(folder: Path) -> str:
    """Return ``sha256:`` and the digest of the network: its description, then its weights.

    Raises:
        OSError: One cannot be read.
    """
    return f"sha256:{digest(folder / 'network.json', folder / WEIGHTS)}"


def verify(folder: Path, manifest: Mapping[str, Any]) -> dict[str, bytes]:
    """Read every file once and compare it with its digest.

    Returns:
        The contents that were compared, by name: what is used must be these, as a file can change
        after it was read. The weights are not among them: whoever loads them verifies what is
        loaded. Nor is the index's file where it is absent or damaged.

    Raises:
        BadRelease: Another file is absent or changed.
    """
    contents: dict[str, bytes] = {}
    weights = hashlib.sha256()
    for name, expected in sorted(manifest["files"].items()):
        try:
            contents[name] = (folder / name).read_bytes()
        except OSError as error:
            if name == CACHE:
                continue
            reason = error.strerror or "cannot be read"
            raise BadRelease(f"{folder / name}: {reason}; {REMEDY}") from None
        found = hashlib.sha256(contents[name]).hexdigest()
        if found != expected and name != CACHE:
            raise BadRelease(damaged(folder / name, found, expected))
        if found != expected:
            del contents[name]
        if name == WEIGHTS:
            weights.update(contents["network.json"])
            weights.update(contents.pop(name))
    if f"sha256:{weights.hexdigest()}" != manifest["network_digest"]:
        raise BadRelease(f"{folder / NAME} names another network than the one beside it; {REMEDY}")
    return contents


def damaged(path: Path, found: str, expected: str) -> str:
    """Return what is said of a file whose digest is another than the manifest's."""
    return (
        f"{path} is damaged: its SHA-256 is {found[:16]}…, not {expected[:16]}… as {NAME} says; "
        f"{REMEDY}"
    )


def _check_fields(path: Path | str, manifest: Mapping[str, Any]) -> None:
    files = manifest.get("files")
    if not isinstance(files, dict) or not isinstance(manifest.get("network_digest"), str):
        raise BadRelease(f"{path} lacks its files or its network's digest; {REMEDY}")
    for name, expected in files.items():
        # A name with a folder in it could lead out of the release.
        if PurePath(name).name != name or not name.isprintable() or not isinstance(expected, str):
            raise BadRelease(f"{path} lists {name!r}, which is not a file of a release; {REMEDY}")
    absent = [name for name in REQUIRED if name not in files]
    if absent:
        raise BadRelease(f"{path} does not list {absent[0]}; {REMEDY}")
