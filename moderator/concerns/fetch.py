"""Images by reference."""

from pathlib import Path

from pydantic import Field

from moderator.concerns.concern import Concern
from moderator.values import Hosts, Seconds, Stores


class Fetch(Concern):
    """Images by reference."""

    allowed_hosts: Hosts = Field(
        default=(),
        description="Hosts that images may be fetched from over https; '*.example.org' takes "
        "in subdomains. Empty: none.",
    )
    allowed_root: Path | None = Field(
        default=None, description="Folder that file: URLs must lie under. None: no files."
    )
    allowed_stores: Stores = Field(
        default=(),
        description="URL prefixes of object stores (fsspec), such as s3://bucket/. Empty: none.",
    )
    fetch_timeout: Seconds = Field(
        default=2.0, gt=0, description="Seconds an image may take to arrive."
    )
    host_timeouts: int = Field(
        default=4,
        ge=0,
        le=1000,
        description="Images of a host in a row that do not arrive in time after which its posts no "
        "longer wait for it, until it answers again; 0: they always do.",
    )
    host_pause: Seconds = Field(
        default=5.0, gt=0, description="Seconds between attempts at a host that is not waited for."
    )
    fetch_connections: int = Field(default=16, ge=1, le=256, description="Images fetched at once.")
