"""The kinds of values that settings take, and how each is read from a text and checked.

Knows no setting, and nothing of where values come from.
"""

import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from moderator.secret_file import read_secret

LEAST_SECRET = 16
"""Fewest characters of a secret that signs."""

NO_STORES = {"file", "local", "git", "http", "https"}
"""Schemes of fsspec that lead to this machine's disk, or to hosts past ``allowed_hosts``."""


def _listed(value: object) -> object:
    """Take a text as a list of what its commas separate."""
    if not isinstance(value, str):
        return value
    return [part.strip() for part in value.split(",") if part.strip()]


def _version(value: object) -> object:
    """Take a text such as ``2.3`` as a version's numbers."""
    parts = value.replace(",", ".").split(".") if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)) or len(parts) != 2:
        raise ValueError("a version is written as major.minor, such as 2.3")
    return parts


def _brokers(text: str) -> str:
    for each in text.split(","):
        if not _is_broker(each.strip()):
            raise ValueError(
                f"{each.strip() or 'an empty text'!r} is no broker; write host:port, separated "
                "by commas, such as kafka-1:9092,kafka-2:9092"
            )
    return text


def _is_broker(text: str) -> bool:
    """Whether a text is host, host:port or [IPv6 address]:port, and nothing else."""
    try:
        found = urlsplit(f"//{text}")
        port = found.port
    except ValueError:
        # No number, over 65535, or brackets that do not match.
        return False
    plain = found.netloc == text and text.isprintable() and not set(text) & set(" @")
    return bool(plain and found.hostname and port != 0 and not text.endswith(":"))


def _hosts(hosts: tuple[str, ...]) -> tuple[str, ...]:
    for host in hosts:
        name = host.removeprefix("*.")
        if not name.strip(".") or set(name) & set("*/:@ "):
            raise ValueError(f"{host!r} names no host; write example.org or *.example.org")
    return hosts


def _stores(prefixes: tuple[str, ...]) -> tuple[str, ...]:
    for prefix in prefixes:
        scheme, _, place = prefix.partition("://")
        # "::" chains file systems, one of which might be the disk.
        if not place.strip("/") or not scheme or "::" in prefix:
            raise ValueError(f"{prefix!r} is no place in a store; write one such as s3://bucket/")
        if scheme.lower() in NO_STORES:
            raise ValueError(
                f"{prefix!r} is in no object store; https has allowed_hosts, files allowed_root"
            )
    return prefixes


UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def seconds(text: str) -> float:
    """Return the seconds of a duration such as ``500ms``, ``10s``, ``1m``, ``2h`` or ``7d``.

    Raises:
        ValueError: It is none; the text says how one is written.
    """
    found = re.fullmatch(r"([0-9]{1,9})(ms|s|m|h|d)", text)
    if found is None:
        raise ValueError(f"{text!r} is no duration; write one such as 500ms, 10s, 1m or 2h")
    return int(found[1]) * UNITS[found[2]]


def _delays(texts: tuple[str, ...]) -> tuple[str, ...]:
    delays = [seconds(text) for text in texts]
    if any(later <= earlier for earlier, later in zip([0.0, *delays], delays, strict=False)):
        raise ValueError(f"{', '.join(texts)}: each delay must be longer than the one before")
    return texts


def _place(place: str) -> str:
    """Refuse what would be no place, or would show a password wherever a copy is named."""
    scheme, separator, rest = place.partition("://")
    if "::" in place or not place.isprintable() or (separator and not rest.strip("/")):
        raise ValueError(
            "it must be a folder, or one place in a store such as s3://bucket/evidence"
        )
    if separator and "@" in rest.partition("/")[0] and scheme.lower() != "abfs":
        raise ValueError(
            "it must hold no user or password: decisions name it; give these to the store's own "
            "settings"
        )
    return place


def _present(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"there is no file {path}; name one that is there")
    return path


def _secret(path: Path) -> Path:
    read_secret(path)
    return path


def _token_endpoint(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/"):
        return url
    if parts.scheme != "https" or not parts.hostname:
        raise ValueError(
            "it is no place of tokens; write https://host/path of an identity provider, or "
            "file:///path of a file that holds one"
        )
    if parts.username is not None or parts.password is not None:
        raise ValueError("leave user and password out of the URL; there are settings for them")
    return url


Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,249}$")]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Action = Literal["flag", "pass"]
Texts = Annotated[tuple[str, ...], BeforeValidator(_listed)]
Version = Annotated[tuple[int, int], BeforeValidator(_version)]
Brokers = Annotated[str, AfterValidator(_brokers)]
Hosts = Annotated[Texts, AfterValidator(_hosts)]
Stores = Annotated[Texts, AfterValidator(_stores)]
Delays = Annotated[Texts, AfterValidator(_delays)]
Place = Annotated[str, AfterValidator(_place)]
PresentFile = Annotated[Path, AfterValidator(_present)]
SecretFile = Annotated[Path, AfterValidator(_secret)]
TokenEndpoint = Annotated[str, AfterValidator(_token_endpoint)]
